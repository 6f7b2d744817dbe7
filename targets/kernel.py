"""What every kernel of the library offers to lowering."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from numpy.typing import NDArray

if TYPE_CHECKING:
    from octavo.targets.isa import Isa

Op_contra = TypeVar("Op_contra", contravariant=True)


class Slower(str):
    """Why a kernel refuses what it could compute: it is expected to be slower than others."""

    __slots__ = ()


class Kernel(Protocol[Op_contra]):
    """One way to compute one kind of operation.

    The pointer operands of the built function are, in this order: the operation's inputs, the
    arrays of ``constants``, the outputs, and the scratch memory if there is any.
    """

    name: str

    def reject(self, op: Op_contra, isa: "Isa") -> str:
        """Say why this kernel cannot compute ``op``, or return an empty string.

        A ``Slower`` reason comes from a model of the machine, which measurement may prove
        wrong; there is no other reason against ``op`` then.
        """
        ...

    def variant(self, op: Op_contra, isa: "Isa") -> str:
        """Name the implementation, tile choice included, for listings."""
        ...

    def build(self, op: Op_contra, isa: "Isa") -> Any:
        """Emit the TIR PrimFunc."""
        ...

    def constants(
        self, op: Op_contra, isa: "Isa", arrays: Mapping[str, NDArray[Any]]
    ) -> list[NDArray[Any]]:
        """Pack the operation's constants as the function wants them."""
        ...

    def scratch_bytes(self, op: Op_contra, isa: "Isa") -> int:
        """Scratch memory of one call, 0 for none."""
        ...
