"""Make samples up: images with the moments that BatchNormalization stored in training.

Starting from noise, Adam changes a batch of images until mean and standard deviation of what
every BatchNormalization reads are what it stores. The loss of one is

    sum_c (mu_c - mean_c)^2 + (sd_c - deviation_c)^2, over sum_c deviation_c^2,

so that layers count the same whatever they multiply by. Moments are of the batch: that is what
was stored. The released code of ZeroQ asks each image for them; on the digits network, whose
images have 64 pixels, that costs 4 points of accuracy at 8 bits and 8 at 4
(benchmarks/synthetic_data.py).

Source: Cai et al., ZeroQ: A Novel Zero Shot Quantization Framework, 2020, section 3.1.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes.common import RemoveUnusedNodesPass

from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.errors import DataError
from octavo.passes.gradients.batch_moments import (
    StoredMoments,
    add_input_gradients,
    add_moments,
    stored_moments,
)
from octavo.passes.gradients.emitter import shape_of
from octavo.passes.rounding.adam import Adam
from octavo.passes.wiring import is_float

NUM_IMAGES = 32
NUM_STEPS = 60  # every error of the digits network falls 300 times; more gains no accuracy
RATE = 0.3  # of Adam, in standard deviations of the noise; falls to 0 along a cosine
SMALLEST_DEVIATION = 1e-6  # of a channel that does not vary, over what it should be

Progress = Callable[[str, int, int], None]
Arrays = dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class MomentError:
    """How far one tensor is from its stored moments.

    Attributes:
        node: Name of the BatchNormalization.
        before: Loss of the noise.
        after: Loss of the samples.
    """

    node: str
    before: float
    after: float


class SyntheticSamples:
    """Samples that were made up; iterate as often as needed.

    Attributes:
        description: For messages.
        errors: What was gained, for every BatchNormalization.
        seconds: What it took.
    """

    description = "synthetic samples"

    def __init__(
        self, images: Mapping[str, NDArray[np.float64]], errors: tuple[MomentError, ...],
        seconds: float,
    ) -> None:  # fmt: skip
        self._images = {name: batch.astype(np.float32) for name, batch in images.items()}
        self.errors = errors
        self.seconds = seconds

    @property
    def note(self) -> str:
        """One line for the user."""
        before, after = (
            float(np.mean([getattr(error, when) for error in self.errors]))
            for when in ("before", "after")
        )
        return (
            f"the {len(self)} samples are synthetic, made from {len(self.errors)}"
            f" BatchNormalization nodes (error {before:.2g}, then {after:.2g}); no real data"
            " was seen"
        )

    def __len__(self) -> int:
        """Number of samples."""
        return len(next(iter(self._images.values())))

    def __iter__(self) -> Iterator[dict[str, NDArray[Any]]]:
        """One array for each model input, in the model's shape and type."""
        for index in range(len(self)):
            yield {name: batch[index] for name, batch in self._images.items()}


def make_samples(
    model: ir.Model,
    *,
    max_samples: int | None = None,
    num_steps: int = NUM_STEPS,
    seed: int = 0,
    progress: Progress | None = None,
) -> SyntheticSamples:
    """Make samples for a float model up from its BatchNormalization nodes.

    Args:
        model: From ``import_model``, nothing folded; not changed.
        max_samples: Make fewer than ``NUM_IMAGES``; they are one batch.
        num_steps: Steps of Adam; each runs every sample forward and backward.
        seed: Of the noise; the same one gives the same samples.
        progress: Called with "make samples up", steps done and steps in all.

    Raises:
        DataError: The model has no BatchNormalization with stored moments, or an input that
            is not a float tensor.
        ModelError: An operator in front of one has no derivative.
    """
    start = time.perf_counter()
    count = NUM_IMAGES if max_samples is None else min(NUM_IMAGES, max_samples)
    if count < 1:
        raise DataError(f"max_samples is {max_samples}; at least 1 is needed")
    matcher = _Matcher(model)
    rng = np.random.default_rng(seed)
    shapes = {value.name or "": shape_of(value) for value in model.graph.inputs}
    images = {name: rng.standard_normal((count, *shape)) for name, shape in shapes.items()}
    rates = {name: np.array(RATE) for name in images}
    adams = {name: Adam(batch.shape, rates[name]) for name, batch in images.items()}
    first = matcher.losses(matcher.measure(images))
    for step in range(num_steps):
        gradients = matcher.gradients(images)
        for name, gradient in gradients.items():
            rates[name][...] = RATE * 0.5 * (1.0 + math.cos(math.pi * step / num_steps))
            images[name] += adams[name].step(gradient)
        if progress is not None:
            progress("make samples up", step + 1, num_steps)
    last = matcher.losses(matcher.measure(images))
    errors = tuple(
        MomentError(one.node, before, after)
        for one, before, after in zip(matcher.stored, first, last, strict=True)
    )
    return SyntheticSamples(images, errors, time.perf_counter() - start)


@dataclass(frozen=True, eq=False)
class _Moments:
    """Moments of a batch: x - mean and its standard deviation, each (C,)."""

    shift: NDArray[np.float64]
    deviation: NDArray[np.float64]


class _Matcher:
    """Losses of a batch of images and their gradients, one image at a time."""

    def __init__(self, model: ir.Model) -> None:
        self.stored = stored_moments(model.graph)
        _check(model, self.stored)
        forward, backward = model.clone(), model.clone()
        pairs = add_moments(forward.graph, stored_moments(forward.graph))
        self._forward = _ending_in(forward, [value for pair in pairs for value in pair])
        self._pairs = [(mean.name or "", power.name or "") for mean, power in pairs]
        found, self._given = add_input_gradients(
            backward.graph, stored_moments(backward.graph)
        )
        self._gradients = {x.name or "": g.name or "" for x, g in found.items()}
        self._backward = _ending_in(backward, list(found.values()))

    def measure(self, images: Mapping[str, NDArray[np.float64]]) -> list[_Moments]:
        """Moments of every tensor over the batch."""
        sums = [np.zeros((2, one.mean.size)) for one in self.stored]
        count = 0
        for feeds in _each(images):
            found = self._forward.run(feeds)
            for total, (mean, power) in zip(sums, self._pairs, strict=True):
                total += [found[mean], found[power]]
            count += 1
        moments = []
        for one, total in zip(self.stored, sums, strict=True):
            shift, power = total / count
            variance = np.maximum(power - np.square(shift), 0.0)
            floor = SMALLEST_DEVIATION * float(one.deviation.max())
            moments.append(_Moments(shift, np.maximum(np.sqrt(variance), floor)))
        return moments

    def losses(self, moments: list[_Moments]) -> list[float]:
        """Of every tensor."""
        return [
            float(np.square(m.shift).sum() + np.square(m.deviation - one.deviation).sum())
            / float(np.square(one.deviation).sum())
            for one, m in zip(self.stored, moments, strict=True)
        ]

    def gradients(
        self, images: Mapping[str, NDArray[np.float64]]
    ) -> dict[str, NDArray[np.float64]]:
        """Of the sum of the losses, by every image."""
        number = len(next(iter(images.values())))
        given: Arrays = {}
        moments = self.measure(images)
        for one, m, names in zip(self.stored, moments, self._given, strict=True):
            shape = shape_of(one.tensor)
            count = number * math.prod(shape) // shape[1]
            unit = 2.0 / (count * float(np.square(one.deviation).sum()))
            slope = unit * (m.deviation - one.deviation) / m.deviation
            offset = (unit - slope) * m.shift
            given[names[0]], given[names[1]] = (a.astype(np.float32) for a in (offset, slope))
        gradients = {name: np.zeros(images[name].shape) for name in self._gradients}
        for index, feeds in enumerate(_each(images)):
            found = self._backward.run({**feeds, **given})
            for name, gradient in self._gradients.items():
                gradients[name][index] = found[gradient]
        return gradients


def _each(images: Mapping[str, NDArray[np.float64]]) -> Iterator[Arrays]:
    for index in range(len(next(iter(images.values())))):
        yield {name: batch[index].astype(np.float32) for name, batch in images.items()}


def _ending_in(model: ir.Model, values: list[ir.Value]) -> ReferenceRun:
    model.graph.outputs[:] = values
    RemoveUnusedNodesPass()(model)
    return ReferenceRun(model, values)


def _check(model: ir.Model, stored: list[StoredMoments]) -> None:
    if not stored:
        raise DataError(
            "synthetic samples are made from what BatchNormalization nodes store, and the"
            " model has none in front of which something is computed; give samples"
        )
    for value in model.graph.inputs:
        if not is_float(value):
            raise DataError(
                f"synthetic samples: input {value.name!r} has type {value.dtype}; allowed:"
                " float32"
            )
