"""Build one GPU kernel, run it on an OpenCL device, return what it wrote."""

import ctypes
import ctypes.util
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from octavo.compiler.artifact.opencl_source import Launch, generate_opencl
from octavo.targets.accelerator import Accelerator
from octavo.targets.opencl.prelude import prelude

DEVICE_TYPE_ALL = 0xFFFFFFFF
DEVICE_TYPE_GPU = 1 << 2
COPY_HOST_PTR = 1 << 5
PROGRAM_BUILD_LOG = 0x1183
GUARD_BYTES = 256
GUARD = 0xA5

# Tiles of one pixel and quad, of four pixels, and the largest ones.
NARROW = Accelerator(name="narrow", registers=16, needs_gpu=False)
PORTABLE = Accelerator(name="portable", core_items=1, needs_gpu=False)
WIDE = Accelerator(
    name="wide", work_group=32, registers=160, core_items=1, needs_gpu=False,
)  # fmt: skip


class Device:
    """The first device of the first platform, called through ctypes."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("OpenCL")
        if name is None:
            raise OSError("no OpenCL library is installed")
        self.library = ctypes.CDLL(name)
        for function in ("CreateContext", "CreateCommandQueue", "CreateBuffer",
                         "CreateProgramWithSource", "CreateKernel"):
            getattr(self.library, f"cl{function}").restype = ctypes.c_void_p
        platform, device, count = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint32()
        status = self.library.clGetPlatformIDs(1, ctypes.byref(platform), ctypes.byref(count))
        if status != 0 or count.value == 0:
            raise OSError("no OpenCL platform is installed")
        self.check(self.library.clGetDeviceIDs(
            platform, ctypes.c_uint64(DEVICE_TYPE_ALL), 1, ctypes.byref(device),
            ctypes.byref(count)))
        self.platform, self.device, error = platform, device, ctypes.c_int()
        self.context = ctypes.c_void_p(self.library.clCreateContext(
            None, 1, ctypes.byref(device), None, None, ctypes.byref(error)))
        self.queue = ctypes.c_void_p(self.library.clCreateCommandQueue(
            self.context, device, ctypes.c_uint64(0), ctypes.byref(error)))
        self.check(error.value)

    def has_gpu(self) -> bool:
        """Whether the first platform has one."""
        found = ctypes.c_uint32()
        status = self.library.clGetDeviceIDs(
            self.platform, ctypes.c_uint64(DEVICE_TYPE_GPU), 0, None, ctypes.byref(found))
        return bool(status == 0 and found.value)

    def check(self, status: int) -> None:
        """Stop at an error."""
        assert status == 0, f"OpenCL status {status}"

    def build(self, source: str, options: str) -> ctypes.c_void_p:
        """Compile a program; the log is the message of a failure."""
        text = source.encode()
        error = ctypes.c_int()
        program = ctypes.c_void_p(self.library.clCreateProgramWithSource(
            self.context, 1, ctypes.byref(ctypes.c_char_p(text)),
            ctypes.byref(ctypes.c_size_t(len(text))), ctypes.byref(error)))
        status = self.library.clBuildProgram(
            program, 1, ctypes.byref(self.device), options.encode(), None, None)
        if status != 0:
            log = ctypes.create_string_buffer(1 << 16)
            self.library.clGetProgramBuildInfo(
                program, self.device, PROGRAM_BUILD_LOG, ctypes.c_size_t(len(log)), log, None)
            raise AssertionError(f"{log.value.decode(errors='replace')}\n{source}")
        return program

    def launch(
        self, program: ctypes.c_void_p, launch: Launch, arrays: Sequence[NDArray[Any]],
        offsets: Sequence[int],
    ) -> None:
        """Run a kernel; the arrays are read, and replaced by what it left in them."""
        error, buffers = ctypes.c_int(), []
        for array in arrays:
            buffers.append(ctypes.c_void_p(self.library.clCreateBuffer(
                self.context, ctypes.c_uint64(COPY_HOST_PTR), ctypes.c_size_t(array.nbytes),
                ctypes.c_void_p(array.ctypes.data), ctypes.byref(error))))
            self.check(error.value)
        kernel = ctypes.c_void_p(self.library.clCreateKernel(
            program, launch.kernel.encode(), ctypes.byref(error)))
        self.check(error.value)
        values: list[Any] = [*buffers, *map(ctypes.c_int32, offsets)]
        for index, number in enumerate(launch.arguments):
            self.check(self.library.clSetKernelArg(
                kernel, index, ctypes.c_size_t(ctypes.sizeof(values[number])),
                ctypes.byref(values[number])))
        sizes = ctypes.c_size_t * 3
        self.check(self.library.clEnqueueNDRangeKernel(
            self.queue, kernel, 3, None, sizes(*launch.global_size),
            sizes(*launch.local_size), 0, None, None))
        self.check(self.library.clFinish(self.queue))
        for array, buffer in zip(arrays, buffers, strict=True):
            self.check(self.library.clEnqueueReadBuffer(
                self.queue, buffer, 1, ctypes.c_size_t(0), ctypes.c_size_t(array.nbytes),
                ctypes.c_void_p(array.ctypes.data), 0, None, None))
            self.library.clReleaseMemObject(buffer)
        self.library.clReleaseKernel(kernel)


GpuRunner = Callable[..., list[NDArray[Any]]]


@pytest.fixture(scope="session")
def device() -> Device:
    """The device, or a skip with the reason."""
    try:
        return Device()
    except OSError as error:
        pytest.skip(f"OpenCL kernels need a device: {error}")


@pytest.fixture(scope="session")
def run_gpu(device: Device) -> GpuRunner:
    """Call a kernel: kernel, op, inputs, constants by name, what the outputs held before.

    Every tensor lies behind other bytes of its own allocation, at an odd element, so that
    nothing may count on an alignment.
    """

    def run(
        kernel: Any,
        op: Any,
        inputs: Sequence[NDArray[Any]],
        arrays: Mapping[str, NDArray[Any]],
        outputs: Sequence[NDArray[Any]],
        accelerator: Accelerator = PORTABLE,
        before: str = "",
        options: str = "",
    ) -> list[NDArray[Any]]:
        assert kernel.reject(op, accelerator) == ""
        function = kernel.build(op, accelerator)
        text, launches = generate_opencl(
            {"kernel": function}, prelude(accelerator))
        program = device.build(before + text, options)
        constants = kernel.constants(op, accelerator, arrays)
        operands = (*inputs, *constants, *outputs)
        tensors = [np.ascontiguousarray(array).reshape(-1) for array in operands]
        assert len(function.params) == 2 * len(tensors)
        memory, offsets = [], []
        for index, array in enumerate(tensors):
            expected = function.params[index].ty
            assert str(expected.dtype) == array.dtype.name, function.params[index].name
            before_it = GUARD_BYTES // array.itemsize + 1
            room = np.full(array.nbytes + 3 * GUARD_BYTES, GUARD, np.uint8)
            first = before_it * array.itemsize
            room[first : first + array.nbytes] = array.view(np.uint8)
            memory.append(room)
            offsets.append(before_it)
        kept = [room.copy() for room in memory]
        device.launch(program, launches["kernel"], memory, offsets)
        device.library.clReleaseProgram(program)
        results = []
        for index, array in enumerate(tensors):
            first = offsets[index] * array.itemsize
            inside = slice(first, first + array.nbytes)
            if index >= len(tensors) - len(outputs):
                results.append(memory[index][inside].view(array.dtype).copy())
                kept[index][inside] = memory[index][inside]
            is_intact = np.array_equal(kept[index], memory[index])
            assert is_intact, f"operand {index}: written outside"
        return results

    return run
