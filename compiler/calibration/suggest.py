"""Find the layers to keep in float when the quantized network lost too much."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from octavo.compiler.calibration.layer_errors import LayerError

NUM_CANDIDATES = 6
NUM_RETRIED = 3
MAX_CHOSEN = 4
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
    readers: Mapping[str, Sequence[str]] | None = None,
) -> Suggestion:
    """Choose layers one after the other, each time what recovers the most.

    The candidates are the layers with the largest error of their own. Its size there does not
    say how much of it arrives at the output, so each candidate is measured at the output: the
    layer alone, and with the layers that read it, since they round what they read.

    Args:
        errors: Per-layer errors.
        output_sqnr_db: Signal to noise of the worst output as quantized.
        measure: Quantizes with the named layers in float; returns the same number.
        target_db: Stop when the output reaches this; no suggestion when it already does.
        readers: For each layer, the layers that read its output.
    """
    chosen: tuple[str, ...] = ()
    reached = output_sqnr_db
    ranked = sorted(errors, key=lambda error: (error.sqnr_isolated_db, error.layer))
    worst = [error.layer for error in ranked[:NUM_CANDIDATES]]
    following = readers or {}
    candidates: list[tuple[str, ...]] = [(name,) for name in worst]
    candidates += [(name, *following[name]) for name in worst if following.get(name)]
    while candidates and reached < target_db and len(chosen) < MAX_CHOSEN:
        gains = [(measure([*chosen, *names]), names) for names in candidates]
        # Of equal gains, the one that keeps fewer layers in float.
        best, names = max(gains, key=lambda gain: gain[0] - MIN_GAIN_DB * len(gain[1]))
        if best < reached + MIN_GAIN_DB * len(names):
            break
        reached = best
        chosen = tuple(dict.fromkeys((*chosen, *names)))
        # What gained nothing now will hardly be the next best.
        remaining = sorted((gain for gain in gains if gain[1] != names), reverse=True)
        candidates = [names for _, names in remaining[:NUM_RETRIED]]
    return Suggestion(chosen, output_sqnr_db, reached)
