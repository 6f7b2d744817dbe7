"""What a model loses as it was compiled, measured in ONNX Runtime."""

from collections.abc import Collection, Mapping
from itertools import islice

import onnx_ir as ir

from octavo.compiler.calibration.layer_errors import measure_outputs
from octavo.compiler.calibration.synthetic import SyntheticSamples
from octavo.compiler.samples import SampleSource
from octavo.passes.prepare import prepare
from octavo.passes.round_to_bfloat16 import RoundToBfloat16

MEASURED_SAMPLES = 8  # as of quantization


def measure_compiled(
    float_model: ir.Model,
    compiled: ir.Model,
    nodes: Collection[str],
    samples: SampleSource | SyntheticSamples,
    *,
    max_samples: int | None = None,
) -> Mapping[str, float]:
    """Signal to noise of each float output, decibels, by name.

    Args:
        float_model: The model as it was imported; not changed.
        compiled: What was compiled, quantized or not; not changed.
        nodes: Nodes of it that multiply bfloat16 numbers.
        samples: To run both with.
        max_samples: Use the first ones only; None for all.
    """
    rounded = compiled.clone()
    RoundToBfloat16(nodes)(rounded)
    count = len(samples) if max_samples is None else min(max_samples, len(samples))
    # The first of a file are often of one class.
    spread = islice(samples, 0, count, max(1, count // MEASURED_SAMPLES))
    return measure_outputs(
        prepare(float_model.clone()), rounded, list(islice(spread, MEASURED_SAMPLES))
    )
