"""Pairwise coupling: what layers lose together beyond what each loses alone.

D_ij = L(i, j) - L(i) - L(j) + L(0) for pairs of neighbours only, so with n layers there are
about 2n evaluations. Two layers can be harmless alone and harmful together; a sum of scores
cannot see that.

Source: Schaefer et al., Augmented Hessians, 2023, for scores corrected by how layers combine;
measuring the correction at the outputs, and between neighbours only, is our own.
"""

from collections.abc import Callable, Mapping, Sequence

from octavo.compiler.search.bisection import order_by_marginal_loss
from octavo.compiler.sensitivity.format_trials import FormatTrials
from octavo.compiler.sensitivity.score import Score
from octavo.passes.layer_format import LayerFormat

Loss = Callable[[Mapping[str, LayerFormat]], float]


class PairwiseCoupling:
    """What a layer loses alone, and half of what it loses more with each neighbour."""

    def __init__(self, trials: FormatTrials) -> None:
        self._trials = trials
        self._coupled = CoupledLosses(trials.layers, trials.variants.neighbours(), trials.loss)

    def score(self, layer: str, layer_format: LayerFormat) -> Score:
        """See ``Measure``; neighbours are taken to have the same format."""
        loss = self._coupled.alone(layer, layer_format) + 0.5 * sum(
            self._coupled.coupling(layer, layer_format, other, layer_format)
            for other in self._coupled.neighbours(layer)
        )
        return self._trials.rate(layer, layer_format, loss)

    def order(self, state: Mapping[str, LayerFormat], level: LayerFormat) -> tuple[str, ...]:
        """The layers that could move to a format, least harmful first; for ``bisect``."""
        return self._coupled.order(state, level)


class CoupledLosses:
    """Losses of layers and of pairs of neighbours, each measured once."""

    def __init__(
        self, layers: Sequence[str], pairs: Sequence[tuple[str, str]], loss: Loss
    ) -> None:
        """Take a network.

        Args:
            layers: Names, in the order that decides between equal costs.
            pairs: Neighbours.
            loss: Of some layers in formats, all others in float.
        """
        self._layers = tuple(layers)
        self._loss = loss
        self._losses: dict[frozenset[tuple[str, LayerFormat]], float] = {}
        self._neighbours: dict[str, list[str]] = {name: [] for name in layers}
        for first, second in pairs:
            self._neighbours[first].append(second)
            self._neighbours[second].append(first)

    def neighbours(self, layer: str) -> tuple[str, ...]:
        """Layers that this one is coupled with."""
        return tuple(self._neighbours[layer])

    def alone(self, layer: str, layer_format: LayerFormat) -> float:
        """L(i) - L(0)."""
        return self._measured({layer: layer_format}) - self._measured({})

    def coupling(
        self, layer: str, layer_format: LayerFormat, other: str, other_format: LayerFormat
    ) -> float:
        """D_ij; negative where errors cancel."""
        both = self._measured({layer: layer_format, other: other_format})
        alone = self._measured({layer: layer_format}) + self._measured({other: other_format})
        return both - alone + self._measured({})

    def marginal_cost(
        self, layer: str, layer_format: LayerFormat, state: Mapping[str, LayerFormat]
    ) -> float:
        """What moving a layer to a format loses more, given formats of other layers.

        Args:
            layer: The layer to move.
            layer_format: Where to.
            state: Formats so far; what is not in it is in float.
        """

        def cost(chosen: LayerFormat) -> float:
            with_others = (
                self.coupling(layer, chosen, other, state[other])
                for other in self._neighbours[layer]
                if other in state and not state[other].is_float
            )
            return self.alone(layer, chosen) + sum(with_others)

        before = state.get(layer)
        moved = cost(layer_format)
        return moved if before is None or before.is_float else moved - cost(before)

    def order(self, state: Mapping[str, LayerFormat], level: LayerFormat) -> tuple[str, ...]:
        """Layers by marginal cost, each given that those before it have moved.

        Args:
            state: Formats so far.
            level: Where to move layers that are not there yet.
        """
        left = [name for name in self._layers if state.get(name) != level]
        losses = {name: self.marginal_cost(name, level, state) for name in left}
        couplings = {
            (one, other): self.marginal_cost(one, level, {**state, other: level}) - losses[one]
            for one in left
            for other in self._neighbours[one]
            if other in losses
        }
        return tuple(order_by_marginal_loss(losses, couplings))

    def _measured(self, formats: Mapping[str, LayerFormat]) -> float:
        key = frozenset(item for item in formats.items() if not item[1].is_float)
        if key not in self._losses:
            self._losses[key] = self._loss(dict(sorted(key)))
        return self._losses[key]
