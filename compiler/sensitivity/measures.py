"""Every measure of sensitivity, by name."""

from collections.abc import Callable

from octavo.compiler.sensitivity.calibrated_loss import CalibratedLoss
from octavo.compiler.sensitivity.coupling import PairwiseCoupling
from octavo.compiler.sensitivity.curvature import HessianTrace
from octavo.compiler.sensitivity.divergence import Divergence
from octavo.compiler.sensitivity.format_trials import FormatTrials
from octavo.compiler.sensitivity.kurtosis import Kurtosis
from octavo.compiler.sensitivity.propagated_error import PropagatedError
from octavo.compiler.sensitivity.quantization_error import QuantizationError
from octavo.compiler.sensitivity.relevance import Relevance
from octavo.compiler.sensitivity.score import Measure
from octavo.errors import RecipeError

ALL = "all"

_MEASURES: tuple[tuple[str, Callable[[FormatTrials], Measure]], ...] = (
    ("quantization_error", QuantizationError),
    ("propagated_error", PropagatedError),
    ("divergence", Divergence),
    ("hessian_trace", HessianTrace),
    ("pairwise_coupling", PairwiseCoupling),
    ("calibrated_loss", CalibratedLoss),
    ("relevance", Relevance),
    ("kurtosis", Kurtosis),
)
MEASURE_NAMES = tuple(name for name, _ in _MEASURES)


def make_measure(name: str, trials: FormatTrials) -> Measure:
    """A measure by name.

    Raises:
        RecipeError: The name is unknown.
    """
    for known, make in _MEASURES:
        if name == known:
            return make(trials)
    raise RecipeError(f"unknown sensitivity {name!r}; allowed: {', '.join(MEASURE_NAMES)}")


def check_measure(name: str) -> None:
    """Raise RecipeError when a name is neither that of a measure nor "all"."""
    allowed = (*MEASURE_NAMES, ALL)
    if name not in allowed:
        raise RecipeError(f"unknown sensitivity {name!r}; allowed: {', '.join(allowed)}")
