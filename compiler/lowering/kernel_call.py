"""One call of a library kernel, as lowering makes it: where schedules are chosen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from octavo.compiler.lowering.tensor import Tensor
from octavo.targets.isa import Isa
from octavo.targets.kernel import Kernel
from octavo.targets.schedule import Schedule


@dataclass(frozen=True, eq=False)
class KernelCall:
    """A kernel and everything that it is called with.

    Attributes:
        kernel: From the library, without a schedule.
        op: Operation record of ``octavo.targets.ops``.
        isa: Instructions.
        inputs: In the operation's order.
        outputs: In the operation's order.
        arrays: The operation's constants by name, not packed.
        placement: "int8" or "float32".
    """

    kernel: Kernel[Any]
    op: Any
    isa: Isa
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    arrays: Mapping[str, NDArray[Any]]
    placement: str


# Says which schedule a call takes; None leaves it to the kernel's model of the machine.
Scheduler = Callable[[KernelCall], Schedule | None]


def model_choice(call: KernelCall) -> Schedule | None:
    """Leave every choice to the models of the kernels."""
    del call
    return None
