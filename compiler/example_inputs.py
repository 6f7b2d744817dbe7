"""Inputs of programs that are measured without any: zeros, except for what says where rows go.

With zeros every edge of a graph would go into its first node, and none would be in use where
they are counted: times of nothing. So edges connect random nodes, as many as there can be.

Needs numpy and nothing else of the compiler.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.counted_arrays import counted_dimensions
from octavo.errors import ArtifactError

METADATA_KEY = "indices"  # in the metadata of a manifest


def example_inputs(manifest: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Inputs to measure a program with; those that are left out are zeros.

    Args:
        manifest: Of the program. Its metadata lists indices: ``input``; ``axis`` of it, along
            which they are counted; ``row``, which of the other axis, or None; and ``extent``,
            the number of rows that they pick from.

    Raises:
        ArtifactError: The manifest is malformed.
    """
    counts: dict[str, NDArray[Any]] = {
        d.input: np.array([d.maximum], np.int64) for d in counted_dimensions(manifest)
    }
    return {**_indices(manifest), **counts}


def examples_note(manifest: Mapping[str, Any]) -> str:
    """One line for who measures without inputs."""
    if not example_inputs(manifest):
        return "no --input: every input is zero"
    return "no --input: edges are random, as many as there can be; every other input is zero"


def _indices(manifest: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    try:
        ports = {str(port["name"]): port for port in manifest.get("inputs", ())}
        # The same ones in every run: what is measured again has the same work.
        rng = np.random.default_rng(0)
        for entry in manifest.get("metadata", {}).get(METADATA_KEY, ()):
            name, axis, row = str(entry["input"]), int(entry["axis"]), entry["row"]
            port = ports[name]
            array = arrays.setdefault(name, np.zeros(tuple(port["shape"]), str(port["dtype"])))
            along = np.moveaxis(array, axis, 0)
            numbers = rng.integers(0, int(entry["extent"]), len(along))
            if row is None:
                along[...] = numbers.reshape(-1, *[1] * (along.ndim - 1))
            else:
                along[:, int(row)] = numbers
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"manifest.json is malformed ({type(error).__name__}: {error}); compile again"
        ) from error
    return arrays
