"""Rank layers by several measures, and compare with what each layer really loses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import onnx_ir as ir

from octavo.compiler.calibration.calibrate import Progress
from octavo.compiler.sensitivity.format_trials import FormatTrials, Latency
from octavo.compiler.sensitivity.labels import Labels, accuracy
from octavo.compiler.sensitivity.measures import ALL, MEASURE_NAMES, make_measure
from octavo.compiler.sensitivity.score import Score
from octavo.compiler.sensitivity.variants import Samples, Variants
from octavo.errors import ModelError
from octavo.passes.layer_format import EIGHT_BITS, LayerFormat
from octavo.passes.quantizer_options import QuantizerOptions

MEASURING_SAMPLES = 64
JUDGING_SAMPLES = 256  # one of them is 0.4 points of accuracy


@dataclass(frozen=True)
class Drop:
    """What the 8-bit network loses when one layer takes the format, on samples set aside.

    Attributes:
        layer: Name of the layer's node.
        output_error: Noise over signal at the outputs, less that of all 8 bits.
        accuracy_points: Points of accuracy lost; None without labels.
    """

    layer: str
    output_error: float
    accuracy_points: float | None


@dataclass(frozen=True)
class Ranking:
    """The layers by one measure.

    Attributes:
        measure: Its name.
        scores: By layer, in graph order.
        tau_error: Kendall's tau-b of its losses with the measured output errors, -1 to 1;
            None when either is the same for all layers.
        tau_accuracy: The same with the measured accuracy.
    """

    measure: str
    scores: Mapping[str, Score]
    tau_error: float | None
    tau_accuracy: float | None

    @property
    def order(self) -> tuple[str, ...]:
        """Layers, the most sensitive first."""
        return tuple(sorted(self.scores, key=lambda name: -self.scores[name].loss))


@dataclass(frozen=True)
class Sensitivities:
    """Rankings of the layers of one network in one format.

    Attributes:
        layer_format: The format that each layer was tried in.
        rankings: One for each measure.
        drops: What was measured, in graph order.
        num_measuring: Samples that the measures saw.
        num_judging: Samples that the drops were measured on.
        left_out: Why a measure cannot be taken of this network, by its name.
    """

    layer_format: LayerFormat
    rankings: tuple[Ranking, ...]
    drops: tuple[Drop, ...]
    num_measuring: int
    num_judging: int
    left_out: Mapping[str, str] = field(default_factory=dict)


def compare_measures(
    model: ir.Model,
    samples: Samples,
    *,
    num_samples: int,
    measure: str = ALL,
    layer_format: LayerFormat,
    labels: Labels | None = None,
    options: QuantizerOptions | None = None,
    calibrator: str = "minmax",
    latency: Latency | None = None,
    progress: Progress | None = None,
) -> Sensitivities:
    """Score every layer and measure what it really loses.

    Args:
        model: From ``import_model``, float; not changed.
        samples: Inferences; those that are used are held in memory. Every other one is set
            aside for measuring the drops, if there are two or more.
        num_samples: How many of them to use at most.
        measure: One of ``MEASURE_NAMES``, or "all", which leaves out what the network does
            not allow.
        layer_format: The format to try.
        labels: The class of each sample.
        options: How layers are quantized.
        calibrator: Observer of activations.
        latency: Milliseconds of a layer in a format, where known.
        progress: Called with "measure sensitivities", steps done, steps in all.

    Raises:
        RecipeError: The measure is unknown.
        DataError: There is no sample.
        ModelError: The model is quantized, has no layer with a weight, cannot be run, or does
            not allow the one measure that was asked for.
    """
    measuring, judging = split(num_samples)
    wanted = {*measuring, *judging}
    kept = {i: s for i, s in enumerate(islice(samples, num_samples)) if i in wanted}
    chosen = [kept[i] for i in measuring]
    variants = Variants(model, chosen, options=options, calibrator=calibrator)
    trials = FormatTrials(variants, chosen, latency=latency)
    names = MEASURE_NAMES if measure == ALL else (measure,)
    measures = [(name, make_measure(name, trials)) for name in names]
    steps = (len(measures) + 1) * len(trials.layers)
    table: dict[str, dict[str, Score]] = {}
    left_out: dict[str, str] = {}
    for index, (name, one) in enumerate(measures):
        table[name] = {}
        try:
            for done, layer in enumerate(trials.layers, start=index * len(trials.layers) + 1):
                table[name][layer] = one.score(layer, layer_format)
                if progress is not None:
                    progress("measure sensitivities", done, steps)
        except ModelError as error:
            if measure != ALL:
                raise
            left_out[name] = str(error)
            del table[name]
    judge = FormatTrials(variants, [kept[i] for i in judging])
    drops = measure_drops(judge, layer_format, None if labels is None else labels[judging])
    if progress is not None:
        progress("measure sensitivities", steps, steps)
    errors = [drop.output_error for drop in drops]
    points = [drop.accuracy_points for drop in drops]
    rankings = []
    for name, scores in table.items():
        losses = [score.loss for score in scores.values()]
        known = [lost for lost in points if lost is not None]
        by_accuracy = kendall_tau(losses, known) if len(known) == len(losses) else None
        rankings.append(Ranking(name, scores, kendall_tau(losses, errors), by_accuracy))
    return Sensitivities(
        layer_format, tuple(rankings), drops, len(chosen), len(judging), left_out
    )


def measure_drops(
    judge: FormatTrials, layer_format: LayerFormat, labels: Labels | None = None
) -> tuple[Drop, ...]:
    """What each layer alone in a format costs a network that is 8 bits elsewhere."""
    uniform = judge.loss({}, base=EIGHT_BITS)
    before = _accuracy(judge, {}, labels)
    drops = []
    for layer in judge.layers:
        formats = {layer: layer_format}
        lost = judge.loss(formats, base=EIGHT_BITS) - uniform
        after = _accuracy(judge, formats, labels)
        points = None if before is None or after is None else 100.0 * (before - after)
        drops.append(Drop(layer, lost, points))
    return tuple(drops)


def kendall_tau(scores: Sequence[float], drops: Sequence[float]) -> float | None:
    """Kendall's tau-b, -1 to 1; None when one of them does not vary."""
    from scipy.stats import kendalltau

    if len(set(scores)) < 2 or len(set(drops)) < 2:
        return None
    return float(kendalltau(scores, drops).statistic)


def split(count: int) -> tuple[list[int], list[int]]:
    """Indices of samples to measure with and to judge by, of ``count``; never the same ones.

    With a single sample both are that one. Files are often sorted, so both are spread.
    """
    if count < 2:
        return list(range(count)), list(range(count))
    measuring = _spread(range(0, count, 2), MEASURING_SAMPLES)
    left = sorted(set(range(count)) - set(measuring))
    return measuring, _spread(left, JUDGING_SAMPLES)


def _spread(indices: Sequence[int], wanted: int) -> list[int]:
    if len(indices) <= wanted:
        return list(indices)
    return [indices[i * len(indices) // wanted] for i in range(wanted)]


def _accuracy(
    judge: FormatTrials, formats: Mapping[str, LayerFormat], labels: Labels | None
) -> float | None:
    if labels is None:
        return None
    return accuracy(judge.outputs(formats, base=EIGHT_BITS), np.asarray(labels))
