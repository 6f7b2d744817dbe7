"""What is to be chosen, what it costs, what is allowed."""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

C = TypeVar("C", bound=Hashable)
Configuration = Mapping[str, C]
Genomes = NDArray[np.int64]  # (n, num_layers), index of the choice of each layer


@dataclass(frozen=True)
class Problem(Generic[C]):
    """A choice for each layer.

    Attributes:
        choices: Of each layer, the preferred one first: with equal costs, that one is taken.
            Usually formats of numbers, with 8 bits first. What is no layer, such as a width of
            the network, is chosen in the same way.
        objectives: Names of what an evaluation measures. Less is better; the first one is what
            the network loses.
        limits: Largest value that is allowed, by name of an objective or a table.
        tables: Additive costs: ``tables[name][layer][choice]``. The cost of a configuration is
            the sum. Names of objectives are estimates of these.
        tied: Groups of layers that take the same choice.

    Raises:
        ValueError: A layer has no choice, a limit has no name, or a table has a gap or a value
            that is not finite.
    """

    choices: Mapping[str, Sequence[C]]
    objectives: tuple[str, ...] = ("loss",)
    limits: Mapping[str, float] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, Mapping[C, float]]] = field(default_factory=dict)
    tied: Sequence[Sequence[str]] = ()

    def __post_init__(self) -> None:
        for layer, offered in self.choices.items():
            if not offered or len(set(offered)) != len(offered):
                raise ValueError(
                    f"layer {layer!r}: choices {[*offered]}; one or more, once each"
                )
        known = {*self.objectives, *self.tables}
        if unknown := self.limits.keys() - known:
            raise ValueError(f"limits {sorted(unknown)}: only {sorted(known)} have values")
        for name, table in self.tables.items():
            for layer, choice in self.pairs():
                if not math.isfinite(table.get(layer, {}).get(choice, math.nan)):
                    raise ValueError(f"table {name!r}, {layer!r}: no finite cost of {choice}")
        for group in self.tied:
            if any(list(self.choices[name]) != list(self.choices[group[0]]) for name in group):
                raise ValueError(f"tied layers {list(group)} have different choices")

    def pairs(self) -> list[tuple[str, C]]:
        """Every layer with every one of its choices."""
        return [(name, choice) for name, offered in self.choices.items() for choice in offered]

    @property
    def size(self) -> int:
        """Number of configurations."""
        return math.prod(int(n) for n in self.num_choices[self.leaders])

    @cached_property
    def num_choices(self) -> NDArray[np.int64]:
        """Choices of each layer, (num_layers,)."""
        return np.array([len(offered) for offered in self.choices.values()], np.int64)

    @cached_property
    def followed(self) -> NDArray[np.int64]:
        """Index of the layer whose choice each layer takes, its own if free, (num_layers,)."""
        index = {name: i for i, name in enumerate(self.choices)}
        first = {name: index[group[0]] for group in self.tied for name in group}
        return np.array([first.get(name, i) for name, i in index.items()], np.int64)

    @property
    def leaders(self) -> NDArray[np.int64]:
        """Indices of the layers that follow no other one."""
        return np.unique(self.followed)

    def genome(self, configuration: Configuration[C]) -> tuple[int, ...]:
        """The index of each layer's choice."""
        return tuple(
            list(offered).index(configuration[name]) for name, offered in self.choices.items()
        )

    def configuration(self, genome: Sequence[int] | NDArray[np.int64]) -> dict[str, C]:
        """The choices behind indices."""
        return {
            name: offered[index]
            for (name, offered), index in zip(self.choices.items(), genome, strict=True)
        }

    def uniform(self) -> list[dict[str, C]]:
        """The configurations whose layers all take their first choice, their second, ..."""
        top = int(self.num_choices.max())
        return [self.configuration(np.minimum(i, self.num_choices - 1)) for i in range(top)]

    def sample(self, rng: np.random.Generator, count: int) -> Genomes:
        """Random configurations, (count, num_layers), some possibly twice."""
        drawn = rng.integers(0, self.num_choices, (count, len(self.num_choices)))
        return drawn[:, self.followed]

    def total(self, name: str, configuration: Configuration[C]) -> float:
        """The cost of a configuration by a table."""
        table = self.tables[name]
        return math.fsum(table[layer][choice] for layer, choice in configuration.items())

    def totals(self, name: str, genomes: Genomes) -> NDArray[np.float64]:
        """The costs of genomes (n, num_layers) by a table, (n,)."""
        table = self.tables[name]
        chosen = [
            np.array([table[layer][choice] for choice in offered], np.float64)[column]
            for (layer, offered), column in zip(self.choices.items(), genomes.T, strict=True)
        ]
        return np.asarray(np.sum(chosen, axis=0), np.float64)

    def cost(self, name: str, evaluation: "Evaluation[C]") -> float:
        """What was measured, else the total of a table; infinite if the evaluation failed."""
        if evaluation.error is not None:
            return math.inf
        if name in evaluation.objectives:
            return evaluation.objectives[name]
        return self.total(name, evaluation.configuration)

    def excess(self, evaluation: "Evaluation[C]") -> float:
        """Sum of what is above the limits, each relative to its limit: 0 if all are met."""
        over = 0.0
        for name, limit in self.limits.items():
            over += max(0.0, self.cost(name, evaluation) - limit) / (abs(limit) or 1.0)
        return over


@dataclass(frozen=True)
class Evaluation(Generic[C]):
    """What was measured of a configuration.

    Attributes:
        configuration: The choice of each layer.
        objectives: Value of each objective of the problem, by name; less is better. Empty if
            the evaluation failed.
        error: Why it failed.
    """

    configuration: Configuration[C]
    objectives: Mapping[str, float]
    error: str | None = None

    def values(self, names: Sequence[str]) -> list[float]:
        """Values of the objectives in an order; infinite where the evaluation failed."""
        return [self.objectives.get(name, math.inf) for name in names]
