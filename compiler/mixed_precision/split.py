"""Which samples calibrate a search, and which judge it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import onnx_ir as ir

from octavo.compiler.calibration.synthetic import SyntheticSamples, make_samples
from octavo.compiler.data_source import is_synthetic
from octavo.compiler.mixed_precision.evaluator import split_samples
from octavo.compiler.mixed_precision.network import Samples
from octavo.compiler.mixed_precision.options import MAX_JUDGING_SAMPLES
from octavo.compiler.samples import open_samples
from octavo.compiler.sensitivity.labels import Labels, read_labels

Progress = Callable[[str, int, int], None]
MADE_UP_JUDGE = (
    "nothing judges but made-up samples: losses are differences from the float network's own"
    " outputs on them, and say nothing of accuracy on real data"
)


@dataclass(frozen=True, eq=False)
class Split:
    """Samples of a search.

    Attributes:
        calibration: To calibrate and round with.
        judging: To measure losses on.
        labels: Of ``judging``; None where there are none.
        notes: What the user should know of them.
    """

    calibration: Samples
    judging: Samples
    labels: Labels | None
    notes: tuple[str, ...] = ()


def open_split(
    model: ir.Model,
    samples: Path | str,
    test_samples: Path | None,
    *,
    max_samples: int | None,
    seed: int,
    progress: Progress,
) -> Split:
    """Open samples and divide them.

    Args:
        model: From ``import_model``.
        samples: A path, every other sample of which judges; or "synthetic", of which each half
            is made up on its own, from other noise.
        test_samples: To judge by instead; all of ``samples`` calibrate then.
        max_samples: Calibrate and judge with at most so many of ``samples`` in all.
        seed: Of made-up samples.
        progress: Called with a stage, steps done and steps in all.

    Raises:
        DataError: Samples are missing or do not fit, or none can be made up.
        ModelError: None can be made up: an operator has no derivative.
    """
    if is_synthetic(samples):
        found = _made_up(model, test_samples is None, max_samples, seed, progress)
    else:
        found = _read(model, Path(samples), test_samples is None, max_samples)
    if test_samples is None:
        return found
    judging = list(open_samples(test_samples, model))
    labels = read_labels(test_samples, len(judging), inputs=_inputs(model))
    return replace(found, judging=judging, labels=labels)


def _read(model: ir.Model, source: Path, divided: bool, max_samples: int | None) -> Split:
    calibration = list(open_samples(source, model))
    labels = read_labels(source, len(calibration), inputs=_inputs(model))
    calibration = calibration[:max_samples]
    if not divided:
        return Split(calibration, calibration, None)
    first, second = split_samples(len(calibration), MAX_JUDGING_SAMPLES)
    return Split(
        [calibration[i] for i in first],
        [calibration[i] for i in second],
        None if labels is None else labels[second],
    )


def _made_up(
    model: ir.Model, divided: bool, max_samples: int | None, seed: int, progress: Progress
) -> Split:
    def made(most: int | None, number: int) -> SyntheticSamples:
        return make_samples(model, max_samples=most, seed=number, progress=progress)

    if not divided:
        whole = made(max_samples, seed)
        return Split(list(whole), [], None, (whole.note,))
    num_each = None if max_samples is None else max(1, max_samples // 2)
    calibration, judging = made(num_each, 2 * seed), made(num_each, 2 * seed + 1)
    notes = (calibration.note, MADE_UP_JUDGE)
    return Split(list(calibration), list(judging), None, notes)


def _inputs(model: ir.Model) -> list[str]:
    return [value.name or "" for value in model.graph.inputs]
