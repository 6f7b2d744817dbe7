"""Whether a program computes in integers between its ends."""

import re

from octavo.compiler.lowering.program import Program, Step
from octavo.errors import LoweringError
from octavo.targets.ops.edge_softmax import EdgeSoftmax

BOUNDARY_OPS = frozenset({"QuantizeLinear", "DequantizeLinear", "Identity"})
_FLOAT_TYPE = re.compile(r"\bb?float\d")


def check_integer_only(program: Program) -> None:
    """Refuse a program with floating point between its ends.

    Raises:
        LoweringError: Naming the first float step and the reason.
    """
    for step in program.steps:
        if isinstance(step.op, EdgeSoftmax):
            why = "a softmax over the edges of a node has float exponentials"
        elif _may_be_float(step) and _names_a_float(step, program):
            why = step.reason or "it has no integer kernel"
        else:
            continue
        raise LoweringError(
            f"--integer-only: {'+'.join(step.op_types)} {step.name!r} is computed in"
            f" float: {why}"
        )


def _may_be_float(step: Step) -> bool:
    return step.placement != "int8" and not BOUNDARY_OPS.issuperset(step.op_types)


def _names_a_float(step: Step, program: Program) -> bool:
    """Whether a kernel has a float in it: one of booleans and indices has none."""
    return _FLOAT_TYPE.search(program.functions[step.kernel].script()) is not None
