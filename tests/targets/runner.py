"""Build one kernel, call it on guarded memory, return what it wrote."""

import ctypes
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.artifact.native_code import native_code
from octavo.compiler.artifact.toolchain import zig
from octavo.targets.isa import Isa
from octavo.targets.kernel import Slower

ALIGNMENT = 64
GUARD_BYTES = 256
GUARD = 0xA5
SYMBOL = "kernel_under_test"

# A pool of one thread: every task runs in the caller, in order.
POOL = """
typedef struct { void *sync; int num_task; } env_t;
int TVMBackendParallelLaunch(int (*f)(int, env_t *, void *), void *data, int num_task) {
    env_t env = {0, 1};
    (void)num_task;
    return f(0, &env, data);
}
int TVMBackendParallelBarrier(int task, env_t *env) { (void)task; (void)env; return 0; }
int (*__TVMBackendParallelLaunch)(int (*)(int, env_t *, void *), void *, int) =
    TVMBackendParallelLaunch;
int (*__TVMBackendParallelBarrier)(int, env_t *) = TVMBackendParallelBarrier;
"""


def llvm_cpu(isa: Isa) -> str:
    """The LLVM processor whose instructions ``isa`` may use."""
    if isa.name == "sse41":
        return "x86-64-v2"
    return "icelake-server" if "avx512f" in isa.features else "x86-64-v3"


class Guarded:
    """An array between guard bytes, with the alignment that an arena gives it."""

    def __init__(self, array: NDArray[Any]) -> None:
        array = np.ascontiguousarray(array)
        self.memory = np.full(array.nbytes + 2 * GUARD_BYTES + ALIGNMENT, GUARD, np.uint8)
        self.start = GUARD_BYTES + (-(self.memory.ctypes.data + GUARD_BYTES)) % ALIGNMENT
        self.end = self.start + array.nbytes
        self.array = self.memory[self.start : self.end].view(array.dtype).reshape(array.shape)
        self.array[...] = array
        self.pointer = ctypes.c_void_p(self.memory.ctypes.data + self.start)

    def is_intact(self) -> bool:
        """Whether nothing was written outside."""
        outside = np.concatenate([self.memory[: self.start], self.memory[self.end :]])
        return bool((outside == GUARD).all())


class Runner:
    """Compiles kernels into shared libraries and calls them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0
        (folder / "pool.c").write_text(POOL)
        zig(["cc", "-target", "x86_64-linux-gnu.2.28", "-O2", "-fPIC", "-c", "pool.c",
             "-fno-sanitize=all", "-o", "pool.o"], folder)

    def compile(
        self, function: Any, cpu: str, features: Sequence[str] = ()
    ) -> Callable[..., int]:
        """Compile a PrimFunc; the result takes pointers and returns the status."""
        import tvm

        target = tvm.target.Target(
            {"kind": "llvm", "mtriple": "x86_64-unknown-linux-gnu", "mcpu": cpu,
             "mattr": [f"+{name}" for name in features]})
        alignments = {SYMBOL: [ALIGNMENT] * len(function.params)}
        module = native_code({SYMBOL: function}, alignments, target)
        self.count += 1
        name = f"kernel{self.count}"
        module.write_to_file(str(self.folder / f"{name}.o"))
        # Its own pool, not the one of the TVM library that this process has loaded.
        zig(["ld.lld", "-shared", "-Bsymbolic", "-o", f"{name}.so", f"{name}.o", "pool.o"],
            self.folder)
        return getattr(ctypes.CDLL(str(self.folder / f"{name}.so")), SYMBOL)

    def build(self, kernel: Any, op: Any, isa: Isa) -> Callable[..., int]:
        """Compile the kernel of one operation; the result takes ``Guarded`` operands."""
        reason = kernel.reject(op, isa)
        assert isinstance(reason, Slower) or reason == ""
        assert kernel.variant(op, isa)
        function = self.compile(kernel.build(op, isa), llvm_cpu(isa), isa.features)
        return lambda *operands: function(*[operand.pointer for operand in operands])

    def call(
        self, function: Callable[..., int], kernel: Any, op: Any, isa: Isa,
        inputs: Sequence[NDArray[Any]], arrays: Mapping[str, NDArray[Any]], y: NDArray[Any],
    ) -> tuple[int, NDArray[Any]]:
        """Call a compiled kernel with one output; ``y`` holds what was there before."""
        status, results = self.call_many(function, kernel, op, isa, inputs, arrays, [y])
        return status, results[0]

    def call_many(
        self, function: Callable[..., int], kernel: Any, op: Any, isa: Isa,
        inputs: Sequence[NDArray[Any]], arrays: Mapping[str, NDArray[Any]],
        outputs: Sequence[NDArray[Any]],
    ) -> tuple[int, list[NDArray[Any]]]:
        """Call a compiled kernel; nothing but the outputs and the scratch may change."""
        constants = kernel.constants(op, isa, arrays)
        read = [Guarded(x) for x in [*inputs, *constants]]
        before = [g.memory.copy() for g in read]
        written = [Guarded(y) for y in outputs]
        results = [g.array for g in written]
        scratch = kernel.scratch_bytes(op, isa)
        if scratch:  # an arena holds whatever the step before left there
            written.append(Guarded(np.full(scratch, GUARD, np.uint8)))
        status = function(*read, *written)
        for guarded, memory in zip(read, before, strict=True):
            np.testing.assert_array_equal(guarded.memory, memory)
        assert all(g.is_intact() for g in written), "written outside of the output"
        return status, [result.copy() for result in results]

    def outputs(
        self, kernel: Any, op: Any, isa: Isa, inputs: Sequence[NDArray[Any]],
        arrays: Mapping[str, NDArray[Any]], outputs: Sequence[NDArray[Any]],
    ) -> list[NDArray[Any]]:
        """Compile, call once, return every output."""
        function = self.build(kernel, op, isa)
        status, results = self.call_many(
            function, kernel, op, isa, inputs, arrays, outputs)
        assert status == 0
        return results

    def __call__(
        self, kernel: Any, op: Any, isa: Isa, inputs: Sequence[NDArray[Any]],
        arrays: Mapping[str, NDArray[Any]], y: NDArray[Any],
    ) -> NDArray[Any]:
        """Compile, call once, return the output; ``y`` holds what was there before."""
        function = self.build(kernel, op, isa)
        status, result = self.call(function, kernel, op, isa, inputs, arrays, y)
        assert status == 0
        return result
