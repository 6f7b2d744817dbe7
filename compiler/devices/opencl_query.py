"""What the OpenCL drivers of this machine say: a program of its own, since drivers can crash.

Imports nothing of the package. Prints a list of devices as JSON, in the drivers' order, or a
text that says why there is none.

Source: the OpenCL specification, clGetPlatformIDs, clGetDeviceIDs and clGetDeviceInfo;
constants are those of CL/cl.h.
"""

import ctypes
import json
import sys
from typing import Any

LIBRARIES = ("libOpenCL.so", "libOpenCL.so.1")  # as the runtime tries them: opencl_api.c
MAX_PLATFORMS, MAX_DEVICES, MAX_TEXT = 16, 64, 1024
TYPE_CPU, TYPE_GPU, TYPE_ALL = 1 << 1, 1 << 2, 0xFFFFFFFF
PLATFORM_NAME = 0x0902
DEVICE_TYPE, DEVICE_MAX_COMPUTE_UNITS = 0x1000, 0x1002
DEVICE_NAME, DRIVER_VERSION, DEVICE_VERSION = 0x102B, 0x102D, 0x102F


def query() -> list[dict[str, Any]] | str:
    """All devices, or why there is none."""
    library = _load()
    if library is None:
        return "no OpenCL library (libOpenCL.so) is installed"
    found = []
    for platform in _handles(library.clGetPlatformIDs, MAX_PLATFORMS):
        for device in _handles(
            library.clGetDeviceIDs, MAX_DEVICES, platform, ctypes.c_uint64(TYPE_ALL)
        ):
            kind = _number(library, device, DEVICE_TYPE, ctypes.c_uint64)
            found.append({
                "platform": _text(library.clGetPlatformInfo, platform, PLATFORM_NAME),
                "name": _text(library.clGetDeviceInfo, device, DEVICE_NAME),
                "version": _text(library.clGetDeviceInfo, device, DEVICE_VERSION),
                "driver": _text(library.clGetDeviceInfo, device, DRIVER_VERSION),
                "kind": "GPU" if kind & TYPE_GPU else "CPU" if kind & TYPE_CPU else "other",
                "num_compute_units": _number(
                    library, device, DEVICE_MAX_COMPUTE_UNITS, ctypes.c_uint32),
            })  # fmt: skip
    return found or "the OpenCL library has no driver of any device"


def _load() -> ctypes.CDLL | None:
    for name in LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def _handles(function: Any, most: int, *parents: Any) -> list[ctypes.c_void_p]:
    """What a function of the form (..., num_entries, entries, count) lists."""
    handles, count = (ctypes.c_void_p * most)(), ctypes.c_uint32()
    if function(*parents, ctypes.c_uint32(most), handles, ctypes.byref(count)) != 0:
        return []
    return [ctypes.c_void_p(handle) for handle in handles[: min(count.value, most)]]


def _text(function: Any, handle: ctypes.c_void_p, name: int) -> str:
    text = ctypes.create_string_buffer(MAX_TEXT)
    size = ctypes.c_size_t(MAX_TEXT - 1)
    if function(handle, ctypes.c_uint32(name), size, text, None) != 0:
        return ""
    return text.value.decode("utf-8", "replace").strip()


def _number(library: ctypes.CDLL, device: ctypes.c_void_p, name: int, kind: Any) -> int:
    value = kind()
    size = ctypes.c_size_t(ctypes.sizeof(value))
    code = library.clGetDeviceInfo(
        device, ctypes.c_uint32(name), size, ctypes.byref(value), None)
    return int(value.value) if code == 0 else 0


if __name__ == "__main__":
    json.dump(query(), sys.stdout)
