"""Ways to compute layers, each of them meant for all layers at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from octavo.compiler.lowering.kernel_call import KernelCall, Scheduler
from octavo.targets.implementation import Implementation

INT8, FLOAT32, BFLOAT16 = "int8", "float32", "bfloat16"
NUM_TILES = 3  # schedules of the kernel that the library prefers


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way.

    Attributes:
        name: Shown to people: "int8", "int8 winograd", "int8 tile 2", "float32".
        placement: "int8", "float32" or "bfloat16".
        scheduler: Asked for the implementation of every call of a layer.
    """

    name: str
    placement: str
    scheduler: Scheduler


@dataclass
class Offers:
    """Notes what else the library has for the calls of a program, and leaves every choice.

    Attributes:
        default: Asked for every choice.
    """

    default: Scheduler
    _known: dict[tuple[Any, ...], tuple[Implementation, ...]] = field(default_factory=dict)
    _calls: list[KernelCall] = field(default_factory=list)

    def __call__(self, call: KernelCall) -> Implementation | None:
        """Note the call."""
        self._calls.append(call)
        return self.default(call)

    def candidates(self) -> list[Candidate]:
        """The default, and one for each thing that is different for at least one call."""
        kernels: dict[str, None] = {}
        num_tiles = 1
        for call in self._calls:
            offered = self.offered(call)
            kernels.update((i.kernel.name, None) for i in offered)
            own = [i for i in offered if i.kernel.name == call.kernel.name]
            num_tiles = max(num_tiles, len(own))
        found = [Candidate(INT8, INT8, self.default)]
        for name in kernels:
            if any(self._differs(call, name) for call in self._calls):
                found.append(Candidate(f"{INT8} {name}", INT8, OfKernel(name, self)))
        for rank in range(1, min(num_tiles, NUM_TILES)):
            found.append(Candidate(f"{INT8} tile {rank + 1}", INT8, OfRank(rank, self)))
        return found

    def offered(self, call: KernelCall) -> tuple[Implementation, ...]:
        """What the library has for a call; computed once for equal operations."""
        # What constants allow is part of the question, and constants are not hashable: the
        # layer that they belong to stands for them.
        key = (call.op, call.isa, call.nodes)
        if key not in self._known:
            self._known[key] = call.implementations()
        return self._known[key]

    def _differs(self, call: KernelCall, kernel: str) -> bool:
        return call.kernel.name != kernel and any(
            i.kernel.name == kernel for i in self.offered(call)
        )


@dataclass(frozen=True, eq=False)
class OfKernel:
    """Takes one kernel wherever it can compute the call.

    Attributes:
        name: Of the kernel.
        offers: What there is.
    """

    name: str
    offers: Offers

    def __call__(self, call: KernelCall) -> Implementation | None:
        """Its first schedule, or the default."""
        if call.kernel.name == self.name:
            return self.offers.default(call)
        fitting = (i for i in self.offers.offered(call) if i.kernel.name == self.name)
        return next(fitting, None) or self.offers.default(call)


@dataclass(frozen=True, eq=False)
class OfRank:
    """Takes another schedule of the kernel that the library prefers.

    Attributes:
        rank: Place in the order that the kernel's model expects, from 0.
        offers: What there is.
    """

    rank: int
    offers: Offers

    def __call__(self, call: KernelCall) -> Implementation | None:
        """The schedule at this place, or the default where there are not so many."""
        own = [i for i in self.offers.offered(call) if i.kernel.name == call.kernel.name]
        return own[self.rank] if self.rank < len(own) else self.offers.default(call)


@dataclass(frozen=True, eq=False)
class ByLayer:
    """Asks the candidate of the layer that a call belongs to.

    Attributes:
        layer_of: Name of the layer by the name of its node.
        assignment: Candidate of each layer.
        default: Asked for calls of no layer.
    """

    layer_of: Mapping[str, str]
    assignment: Mapping[str, Candidate]
    default: Scheduler

    def __call__(self, call: KernelCall) -> Implementation | None:
        """The layer's choice."""
        layer = next((self.layer_of[n] for n in call.nodes if n in self.layer_of), None)
        chosen = None if layer is None else self.assignment.get(layer)
        return self.default(call) if chosen is None else chosen.scheduler(call)


def uniform(layers: Sequence[str], candidate: Candidate) -> dict[str, Candidate]:
    """The assignment that gives every layer the same candidate."""
    return dict.fromkeys(layers, candidate)
