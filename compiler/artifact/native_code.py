"""LLVM modules of TIR functions with the raw calling convention."""

from collections.abc import Mapping, Sequence
from typing import Any

from octavo.compiler.artifact.bfloat16_types import names_stand_ins, with_bfloat16
from octavo.compiler.artifact.raw_abi import lower_to_raw_abi


def native_code(
    functions: Mapping[str, Any], alignments: Mapping[str, Sequence[int]], target: Any
) -> Any:
    """Compile functions; the result can be written as an object or as assembler.

    Args:
        functions: Symbol to PrimFunc; every parameter is a buffer.
        alignments: Symbol to bytes that each parameter's address is a multiple of.
        target: A ``tvm.target.Target``.

    Raises:
        LoweringError: A function needs too much local memory.
    """
    from tvm.tirx.build import codegen_build

    module = codegen_build(lower_to_raw_abi(functions, alignments, target), target)
    return with_bfloat16(module) if names_stand_ins(functions) else module
