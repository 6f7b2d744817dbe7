"""One call of a library kernel, as lowering makes it: where implementations are chosen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from octavo.compiler.lowering.tensor import Tensor
from octavo.targets.implementation import Implementation, implementations
from octavo.targets.isa import Isa
from octavo.targets.kernel import Kernel


@dataclass(frozen=True, eq=False)
class KernelCall:
    """A kernel and everything that it is called with.

    Attributes:
        kernel: The library's own choice, without a schedule.
        op: Operation record of ``octavo.targets.ops``.
        isa: Instructions.
        inputs: In the operation's order.
        outputs: In the operation's order.
        arrays: The operation's constants by name, not packed.
        placement: "int8" or "float32".
        nodes: Names of the ONNX nodes that it computes.
    """

    kernel: Kernel[Any]
    op: Any
    isa: Isa
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    arrays: Mapping[str, NDArray[Any]]
    placement: str
    nodes: tuple[str, ...] = ()

    def implementations(self) -> tuple[Implementation, ...]:
        """Everything of the library that computes it, the library's own choice first."""
        return implementations(self.op, self.isa, self.arrays)


# Says how a call is computed; None leaves it to the library and to the kernel's model of the
# machine.
Scheduler = Callable[[KernelCall], Implementation | None]


def model_choice(call: KernelCall) -> Implementation | None:
    """Leave every choice to the models of the kernels."""
    del call
    return None
