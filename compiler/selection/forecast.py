"""Which candidates need no measurement: a predictor is sure enough that they are slower."""

from collections.abc import Callable, Sequence

from octavo.compiler.lowering.program import Program
from octavo.compiler.predictor.predictor import Predictor
from octavo.compiler.predictor.program_calls import calls_of_program
from octavo.errors import DataError

INTERVAL = 0.95  # a candidate that is left out wrongly is lost: rather measure too many

# The least that each step of a program may take, microseconds; None where nobody knows.
Forecast = Callable[[Program], Sequence[float] | None]


def forecast_of(predictor: Predictor) -> Forecast:
    """Ask a predictor."""

    def lowest_us(program: Program) -> Sequence[float] | None:
        try:
            calls = [named.call for named in calls_of_program(program)]
            predictions = predictor.predict(calls, INTERVAL)
        except DataError:
            return None
        # Of what is unlike everything that was measured, the interval says little.
        return [0.0 if p.is_extrapolated else p.low_us for p in predictions]

    return lowest_us
