"""Find the layers to keep in float when the quantized network lost too much."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from octavo.compiler.calibration.layer_errors import LayerError

NUM_CANDIDATES = 6
NUM_CHOSEN = 3
MIN_GAIN_DB = 1.0  # below this a layer is not worth its speed


@dataclass(frozen=True)
class Suggestion:
    """Layers to keep in float, and what that was measured to give.

    Attributes:
        keep_float: Node names; empty when the network is accurate enough, or nothing helps.
        sqnr_before_db: Signal to noise of the worst output as quantized.
        sqnr_after_db: The same with these layers in float.
    """

    keep_float: tuple[str, ...]
    sqnr_before_db: float
    sqnr_after_db: float


def suggest_keep_float(
    errors: Sequence[LayerError],
    output_sqnr_db: float,
    measure: Callable[[Sequence[str]], float],
    *,
    target_db: float,
) -> Suggestion:
    """Choose layers one after the other, each time the one that recovers the most.

    The candidates are the layers with the largest error of their own. Its size there does not
    say how much of it arrives at the output, so each candidate is measured at the output.

    Args:
        errors: Per-layer errors.
        output_sqnr_db: Signal to noise of the worst output as quantized.
        measure: Quantizes with the named layers in float; returns the same number.
        target_db: Stop when the output reaches this; no suggestion when it already does.
    """
    chosen: list[str] = []
    reached = output_sqnr_db
    ranked = sorted(errors, key=lambda error: (error.sqnr_isolated_db, error.layer))
    candidates = [error.layer for error in ranked[:NUM_CANDIDATES]]
    while candidates and reached < target_db and len(chosen) < NUM_CHOSEN:
        gains = [(measure([*chosen, name]), name) for name in candidates]
        best, name = max(gains, key=lambda gain: gain[0])
        if best < reached + MIN_GAIN_DB:
            break
        reached = best
        chosen.append(name)
        # Layers that gained nothing now will hardly be the next best.
        candidates = [n for value, n in sorted(gains, reverse=True) if n != name][:3]
    return Suggestion(tuple(chosen), output_sqnr_db, reached)
