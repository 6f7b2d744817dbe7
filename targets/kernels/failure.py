"""Leave a kernel with a status that is not 0."""

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets.isa import Expr


def fail_if(is_wrong: Expr) -> None:
    """Emit a return of -1 where a condition holds."""
    with T.If(is_wrong), T.Then():
        # A plain return can only be of 0; this one returns -1 and calls nothing.
        T.evaluate(tirx.call_intrin("void", "tirx.tvm_throw_last_error"))
