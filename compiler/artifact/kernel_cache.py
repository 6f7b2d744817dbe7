"""Object files of single kernels, for programs that share most of them.

Generating machine code takes nearly all of the time that an artifact takes. Programs that are
built to be compared differ in a few kernels; the others are taken from here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from octavo.compiler.lowering.program import Program


@dataclass(frozen=True)
class KernelCache:
    """A folder of objects; whoever makes it removes it.

    Attributes:
        folder: Where they are.
    """

    folder: Path

    def objects(
        self,
        functions: Mapping[str, Any],
        alignments: Mapping[str, Sequence[int]],
        target: Any,
    ) -> list[Path]:
        """Object files of functions, made where they are new.

        Args:
            functions: Symbol to PrimFunc; a symbol is always of the same function, see
                ``with_stable_symbols``.
            alignments: Symbol to bytes that each parameter's address is a multiple of.
            target: A ``tvm.target.Target``, always the same.

        Raises:
            LoweringError: A function needs too much local memory.
        """
        from octavo.compiler.artifact.native_code import native_code

        paths = []
        for symbol, function in functions.items():
            known = sha256(f"{symbol} {tuple(alignments[symbol])}".encode()).hexdigest()
            path = self.folder / f"{known}.o"
            if not path.exists():
                one = {symbol: alignments[symbol]}
                native_code({symbol: function}, one, target).write_to_file(str(path))
            paths.append(path)
        return paths


def with_stable_symbols(program: Program) -> Program:
    """The same program, its functions named after what they compute.

    Equal functions have equal names then in all programs.
    """
    import tvm_ffi

    names = {
        name: f"{name.rpartition('_')[0]}_{tvm_ffi.structural_hash(function) & 2**64 - 1:016x}"
        for name, function in program.functions.items()
    }
    return replace(
        program,
        steps=[replace(step, kernel=names[step.kernel]) for step in program.steps],
        functions={names[name]: function for name, function in program.functions.items()},
    )
