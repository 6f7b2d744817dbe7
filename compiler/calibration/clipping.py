"""Find the Clip nodes that never clip from above."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.passes.elementwise import clip_bounds


def never_clipping(
    model: ir.Model, clips: Sequence[ir.Node], samples: Iterable[Mapping[str, NDArray[Any]]]
) -> tuple[str, ...]:
    """Names of the Clip nodes whose input stays below their upper bound in every sample."""
    inputs = [value for clip in clips if (value := clip.inputs[0]) is not None]
    run = ReferenceRun(model, inputs)
    largest: dict[str, float] = {}
    for sample in samples:
        for name, array in run.run(sample).items():
            largest[name] = max(largest.get(name, float(array.max())), float(array.max()))
    return tuple(
        clip.name or ""
        for clip, value in zip(clips, inputs, strict=True)
        if largest.get(value.name or "", float("inf")) <= clip_bounds(clip)[1]
    )
