"""Where samples come from: files, arrays, or made up from the model itself."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx_ir as ir

    from octavo.compiler.calibration.synthetic import SyntheticSamples
    from octavo.compiler.samples import SampleSource

SYNTHETIC = "synthetic"  # what --data and the Python functions take instead of samples

Progress = Callable[[str, int, int], None]


def is_synthetic(source: Any) -> bool:
    """Whether samples are to be made up."""
    return isinstance(source, str) and source == SYNTHETIC


def open_data(
    source: Any,
    model: "ir.Model",
    *,
    max_samples: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> "SampleSource | SyntheticSamples":
    """Open samples, or make them up.

    Args:
        source: "synthetic", samples that were made up before, or see ``open_samples``.
        model: From ``import_model``.
        max_samples: Make at most so many.
        seed: Of made-up samples.
        progress: Called with a stage, steps done and steps in all.

    Raises:
        DataError: There are no samples, they do not fit, or none can be made up.
        ModelError: None can be made up: an operator has no derivative.
    """
    from octavo.compiler.calibration.synthetic import SyntheticSamples, make_samples
    from octavo.compiler.samples import open_samples

    if isinstance(source, SyntheticSamples):
        return source
    if is_synthetic(source):
        return make_samples(model, max_samples=max_samples, seed=seed, progress=progress)
    return open_samples(source, model)
