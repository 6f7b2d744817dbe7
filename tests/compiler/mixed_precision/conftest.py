"""Searches of the digits network, quick ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from octavo.compiler.mixed_precision.options import SearchOptions
from octavo.compiler.mixed_precision.run import SearchResult, search_model
from octavo.passes.layer_format import LayerFormat

DIGITS = Path(__file__).parents[3] / "examples" / "digits"
MODEL, SAMPLES = DIGITS / "digits.onnx", DIGITS / "test.npz"
FORMATS = tuple(map(LayerFormat.parse, ("w8a8", "w4a8", "w2a8")))
NUM_SAMPLES = 64

Searcher = Callable[..., SearchResult]


@pytest.fixture
def search(tmp_path: Path) -> Searcher:
    """Search for formats of the digits network, without a device unless one is given."""

    def run(folder: str = "out", **options: Any) -> SearchResult:
        names = ("formats", "solver", "budget", "seed", "limits", "device", "by_component")
        wanted = {name: options.pop(name) for name in names if name in options}
        chosen = SearchOptions(**{"formats": FORMATS, "budget": 12, **wanted})
        return search_model(
            MODEL, options.pop("target", "host"), tmp_path / folder, SAMPLES, chosen,
            **{"max_samples": NUM_SAMPLES, **options})  # fmt: skip

    return run
