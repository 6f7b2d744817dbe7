"""What a network is run with: the user's arrays, samples, or numbers made up from a seed."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.example_inputs import example_inputs
from octavo.errors import ArtifactError


def synthetic_inputs(
    manifest: Mapping[str, Any], ranges: Mapping[str, tuple[float, float]], seed: int
) -> dict[str, NDArray[Any]]:
    """Make up inputs of the right types and shapes; the same seed makes the same ones.

    Floats take the values of a known range alike, else they are normally distributed; 8-bit
    and 16-bit integers take all their values alike. Wider integers, which are masks or names
    of rows, are 1, but for what the program is known to take as edges of a graph: those
    connect random nodes.

    Args:
        manifest: Of the program.
        ranges: Of float inputs, by name, where quantization says what to expect.
        seed: Of the numbers.

    Raises:
        ArtifactError: The manifest is malformed.
    """
    rng = np.random.default_rng(seed)
    known = example_inputs(manifest)
    try:
        ports = [
            (str(p["name"]), np.dtype(str(p["dtype"])), tuple(p["shape"]))
            for p in manifest["inputs"]
        ]
    except (KeyError, TypeError) as error:
        raise ArtifactError(
            f"manifest.json is malformed ({type(error).__name__}: {error}); compile again"
        ) from error
    return {
        name: known[name] if name in known else _random(rng, dtype, shape, ranges.get(name))
        for name, dtype, shape in ports
    }


def _random(
    rng: np.random.Generator,
    dtype: "np.dtype[Any]",
    shape: tuple[int, ...],
    limits: tuple[float, float] | None,
) -> NDArray[Any]:
    if dtype.kind == "f" and limits is not None:
        return rng.uniform(*limits, shape).astype(dtype)
    if dtype.kind == "f":
        return rng.standard_normal(shape).astype(dtype)
    if dtype.kind in "iu" and dtype.itemsize <= 2:
        known = np.iinfo(dtype)
        return rng.integers(known.min, known.max, shape, dtype, endpoint=True)
    return np.ones(shape, dtype)
