"""Run a program in this process, without writing an artifact: for thousands of tiny models.

The kernels are the artifact's, compiled and linked the same way; only the generated C around
them is replaced by a loop over the steps.
"""

import ctypes
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tests.targets.runner import POOL

from octavo.compiler.artifact.kernels_object import build_kernels, kernel_symbol
from octavo.compiler.artifact.toolchain import zig
from octavo.compiler.lowering.program import Buffer, Program, Storage
from octavo.targets.base import Target

ALIGNMENT = 64
SLACK_BYTES = 64  # kernels may read whole vectors

class KernelError(Exception):
    """A kernel returned an error code."""


class ProgramRunner:
    """Compiles and runs programs for one target.

    Attributes:
        target: What the programs were lowered for; this machine must run it.
    """

    def __init__(self, target: Target, folder: Path) -> None:
        self.target = target
        self.folder = folder
        (folder / "pool.c").write_text(POOL)
        zig(["cc", "-target", target.zig_target, "-O1", "-fPIC", "-c", "pool.c",
             "-fno-sanitize=all", "-o", "pool.o"], folder)

    def run(
        self, program: Program, inputs: Mapping[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """Compile a program, run it once.

        Returns:
            Outputs by name.

        Raises:
            KernelError: A kernel failed.
            OctavoError: Compilation failed.
        """
        memory = {id(b): _memory(b) for b in program.buffers()}
        for port in program.inputs:
            array = np.ascontiguousarray(inputs[port.name], _numpy_dtype(port.dtype))
            memory[id(port.buffer)][: array.nbytes] = array.reshape(-1).view(np.uint8)
        if program.steps:
            library = self._compile(program)
            for step in program.steps:
                pointers = [
                    ctypes.c_void_p(memory[id(o.buffer)].ctypes.data + o.offset_bytes)
                    for o in step.operands
                ]
                status = getattr(library, kernel_symbol(program, step.kernel))(*pointers)
                if status != 0:
                    raise KernelError(f"kernel {step.kernel} of {step.name} returned {status}")
        return {
            port.name: memory[id(port.buffer)][: port.num_bytes]
            .view(_numpy_dtype(port.dtype))
            .reshape(port.shape)
            .copy()
            for port in program.outputs
        }

    def _compile(self, program: Program) -> ctypes.CDLL:
        with tempfile.TemporaryDirectory(dir=self.folder) as name:
            folder = Path(name)
            build_kernels(program, self.target.tvm_target(), folder, "kernels.o")
            zig(["ld.lld", "-shared", "-o", "model.so", "kernels.o", "../pool.o"], folder)
            return ctypes.CDLL(str(folder / "model.so"))


def _numpy_dtype(name: str) -> np.dtype[Any]:
    import ml_dtypes

    return np.dtype(getattr(ml_dtypes, name, name))


def _memory(buffer: Buffer) -> NDArray[np.uint8]:
    """Aligned bytes with slack; 0xA5 where a program must not rely on zeros."""
    block = np.full(buffer.num_bytes + ALIGNMENT + SLACK_BYTES, 0xA5, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    view = block[start : start + buffer.num_bytes]
    if buffer.storage is Storage.WEIGHTS and buffer.data is not None:
        data = np.ascontiguousarray(buffer.data).reshape(-1)
        view[: data.nbytes] = data.view(np.uint8)
    elif buffer.persistent:
        view[...] = 0
    return view
