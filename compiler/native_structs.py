"""The structures of octavo_runtime.h for ctypes.

Needs nothing but ctypes, since the packages for Python take this file.
"""

import ctypes

ABI_VERSION = 4
DTYPE_NAMES = (
    "float32", "float64", "float16", "bfloat16", "bool",
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
)  # fmt: skip


class TensorStruct(ctypes.Structure):
    """octavo_tensor."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("dtype", ctypes.c_int),
        ("rank", ctypes.c_uint32),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("num_bytes", ctypes.c_uint64),
        ("offset_bytes", ctypes.c_uint64),
        ("in_weights", ctypes.c_bool),
        ("is_quantized", ctypes.c_bool),
        ("scale", ctypes.c_float),
        ("zero_point", ctypes.c_int32),
    )


class StepStruct(ctypes.Structure):
    """octavo_step."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("kernel", ctypes.c_char_p),
        ("macs", ctypes.c_uint64),
        ("run", ctypes.c_void_p),
        ("launch", ctypes.c_void_p),
    )


class ProgramStruct(ctypes.Structure):
    """octavo_program."""

    _fields_ = (
        ("abi_version", ctypes.c_uint32),
        ("name", ctypes.c_char_p),
        ("cpu_features", ctypes.c_uint64),
        ("arena_bytes", ctypes.c_uint64),
        ("persistent_bytes", ctypes.c_uint64),
        ("weights_bytes", ctypes.c_uint64),
        ("num_inputs", ctypes.c_uint32),
        ("num_outputs", ctypes.c_uint32),
        ("num_steps", ctypes.c_uint32),
        ("inputs", ctypes.POINTER(TensorStruct)),
        ("outputs", ctypes.POINTER(TensorStruct)),
        ("steps", ctypes.POINTER(StepStruct)),
        ("accelerator", ctypes.c_void_p),
        ("packed", ctypes.c_void_p),
    )


class OptionsStruct(ctypes.Structure):
    """octavo_options."""

    _fields_ = (
        ("num_threads", ctypes.c_uint32),
        ("pin_threads", ctypes.c_bool),
        ("arena", ctypes.c_void_p),
        ("arena_bytes", ctypes.c_size_t),
        ("cache_folder", ctypes.c_char_p),
        ("cpus", ctypes.c_uint64),
    )


class UsageStruct(ctypes.Structure):
    """octavo_usage."""

    _fields_ = (
        ("arena_bytes", ctypes.c_uint64),
        ("weights_mapped_bytes", ctypes.c_uint64),
        ("weights_copied_bytes", ctypes.c_uint64),
        ("instance_bytes", ctypes.c_uint64),
        ("last_run_ns", ctypes.c_uint64),
        ("num_threads", ctypes.c_uint32),
        ("num_pinned_threads", ctypes.c_uint32),
    )
