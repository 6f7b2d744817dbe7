"""What the user wants of a search of graph networks."""

from dataclasses import dataclass, field

from octavo.compiler.graph_search.space import GraphSpace
from octavo.errors import RecipeError

SIZE_WEIGHTS = (0.0, 0.1, 0.3, 1.0)


@dataclass(frozen=True)
class GraphSearchOptions:
    """What is wanted.

    Attributes:
        space: What may be chosen.
        size_weights: lambda, one search for each; 0 or more.
        buffer_share: mu: how much a bit of the largest live set counts, of a weight's bit.
        steps: Of one search.
        tuning_steps: Of training what was chosen.
        seed: Of all chance.

    Raises:
        RecipeError: A number is not allowed.
    """

    space: GraphSpace = field(default_factory=GraphSpace)
    size_weights: tuple[float, ...] = SIZE_WEIGHTS
    buffer_share: float = 1.0
    steps: int = 300
    tuning_steps: int = 150
    seed: int = 0

    def __post_init__(self) -> None:
        weights = self.size_weights
        if not weights or min(weights) < 0 or len(set(weights)) != len(weights):
            shown = ", ".join(map(str, weights)) or "none"
            raise RecipeError(
                f"size weights {shown}; allowed: one or more numbers from 0, each once"
            )
        if self.steps < 1 or self.tuning_steps < 0 or self.buffer_share < 0:
            raise RecipeError(
                f"steps {self.steps}, tuning steps {self.tuning_steps}, buffer share"
                f" {self.buffer_share}; allowed: from 1, 0 and 0"
            )
