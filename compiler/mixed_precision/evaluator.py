"""What workers do: quantize a network as asked, measure what it loses or how long it takes.

A worker may be another process or another machine. What it needs to begin with is bytes and
arrays, and what it is asked is text.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx_ir as ir

from octavo.compiler.mixed_precision.accuracy import AccuracyMeter
from octavo.compiler.mixed_precision.network import Formats, MixedNetwork, Samples
from octavo.compiler.recipes import Recipe
from octavo.compiler.selection.options import SelectionOptions
from octavo.compiler.sensitivity.labels import Labels
from octavo.passes.layer_format import LayerFormat
from octavo.passes.quantizer_options import LayerOverride
from octavo.targets import get_target

if TYPE_CHECKING:
    from octavo.compiler.mixed_precision.latency import LatencyMeter

ACCURACY, LATENCY = "accuracy", "latency"
LAYERS = "layers"  # latency of each layer within the program
TURNS = "turns"  # latencies of several configurations, measured in turns

Texts = tuple[tuple[str, str], ...]  # layer and format


@dataclass(frozen=True)
class Question:
    """What is to be measured.

    Attributes:
        kind: ``ACCURACY``, ``LATENCY``, ``LAYERS`` or ``TURNS``.
        configurations: One, or for ``TURNS`` some: the format of every layer as text, "w4a8".
            Without any layer it is the float network.
    """

    kind: str
    configurations: tuple[Texts, ...]

    @property
    def formats(self) -> list[dict[str, LayerFormat]]:
        """The configurations."""
        return [
            {layer: LayerFormat.parse(text) for layer, text in texts}
            for texts in self.configurations
        ]


def question(kind: str, *configurations: Formats) -> Question:
    """A question about configurations."""
    return Question(
        kind,
        tuple(
            tuple((layer, str(chosen)) for layer, chosen in formats.items())
            for formats in configurations
        ),
    )


@dataclass(frozen=True, eq=False)
class EvaluatorMaker:
    """Everything that evaluations of one search have in common; picklable.

    Attributes:
        name: C identifier of the programs.
        model: The imported float model, serialized.
        calibration: Inferences that ranges come from.
        judging: Inferences that losses are measured on.
        labels: The classes of those; None where there are none.
        recipe: How the network is quantized.
        overrides: Choices for single layers.
        target: Name of the target.
        requantize: Rounding contract.
        device: Where latency is measured; None: nowhere.
    """

    name: str
    model: bytes
    calibration: Samples
    judging: Samples
    labels: Labels | None
    recipe: Recipe
    overrides: tuple[LayerOverride, ...]
    target: str
    requantize: str
    device: SelectionOptions | None

    def network(self) -> MixedNetwork:
        """The network, prepared anew."""
        return MixedNetwork(
            self.imported(),
            self.calibration,
            recipe=self.recipe,
            activation_dtype=get_target(self.target).activation_dtype,
            overrides=self.overrides,
        )

    def imported(self) -> ir.Model:
        """The float model."""
        model: ir.Model = ir.from_proto(onnx.load_model_from_string(self.model))
        return model

    def __call__(self) -> "Evaluator":
        """A new evaluator."""
        return Evaluator(self)


class Evaluator:
    """Answers questions; keeps what several of them need."""

    def __init__(self, maker: EvaluatorMaker) -> None:
        self._maker = maker
        self.network = maker.network()
        self._accuracy: AccuracyMeter | None = None
        self._latency: LatencyMeter | None = None
        self._stack = ExitStack()

    def __call__(self, question: Question) -> Mapping[str, float]:
        """Answer as the method of ``AccuracyMeter`` or ``LatencyMeter`` does.

        Raises:
            OctavoError: The configuration cannot be built or measured.
        """
        match question.kind:
            case "accuracy":
                return self.accuracy.measure(*question.formats)
            case "latency":
                return {LATENCY: self.latency.measure(*question.formats)}
            case "layers":
                return self.latency.layer_costs(*question.formats)
            case "turns":
                return self.latency.in_turns(question.formats)
        raise ValueError(f"question {question.kind!r}")

    @property
    def accuracy(self) -> AccuracyMeter:
        """Made when it is first asked for."""
        if self._accuracy is None:
            self._accuracy = AccuracyMeter(
                self.network, self._maker.judging, self._maker.labels)
        return self._accuracy

    @property
    def latency(self) -> "LatencyMeter":
        """Opened when it is first asked for, and open until ``close``."""
        # TVM takes seconds to load, and whoever measures accuracy alone does not need it.
        from octavo.compiler.mixed_precision.latency import LatencyMeter
        from octavo.compiler.mixed_precision.programs import ProgramMaker

        if self._latency is None:
            assert self._maker.device is not None
            target = get_target(self._maker.target)
            programs = ProgramMaker(
                self.network, target, self._maker.requantize, self._maker.name)
            meter = LatencyMeter(
                self.network, target, self._maker.device, programs.program)
            self._latency = self._stack.enter_context(meter)
        return self._latency

    def close(self) -> None:
        """Leave the device."""
        self._stack.close()
        self._latency = None


def serialize(model: ir.Model) -> bytes:
    """A model as ``EvaluatorMaker`` takes it."""
    return bytes(ir.to_proto(model).SerializeToString(deterministic=True))


def split_samples(num_samples: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the samples to calibrate with and of those to judge by, every other one.

    Args:
        num_samples: How many there are.
        most: To judge by at most; with one sample, it is both.
    """
    indices = np.arange(num_samples)
    judging = indices[1::2] if num_samples > 1 else indices
    return indices[::2], judging[:: max(1, -(-len(judging) // most))]
