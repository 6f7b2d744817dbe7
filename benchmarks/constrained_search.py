"""W4/W8 of the residual network under limits on size and latency, and limits nothing meets."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import octavo
from benchmarks.interleave import measure_interleaved
from octavo.compiler.mixed_precision.options import BYTES, LATENCY, SearchOptions
from octavo.compiler.mixed_precision.run import SearchResult, search_model
from octavo.compiler.mixed_precision.search import check_limits
from octavo.compiler.selection.options import SelectionOptions
from octavo.compiler.session import Session
from octavo.errors import GateError
from octavo.passes.layer_format import EIGHT_BITS, LayerFormat

RESNET = Path(__file__).parents[1] / "examples" / "resnet_digits"
MODEL = RESNET / "resnet_digits.onnx"
CALIBRATION, TEST = RESNET / "calibration.npz", RESNET / "test.npz"
TARGET = "host"
FORMATS = (EIGHT_BITS, LayerFormat(4, 8))
BUDGET = 24
SIZE_SHARE, LATENCY_SHARE = 0.7, 1.1  # of what uniform 8 bits take
TINY_SHARE = 0.3  # less than 4 bits everywhere take
SECONDS = 2.0
BEST, UNIFORM = "best", "w8a8"


def constrained() -> dict[str, Any]:
    """Search within limits, and measure what it returns again."""
    options = SearchOptions(
        FORMATS, budget=BUDGET, device=SelectionOptions("local", seconds=SECONDS)
    )
    with TemporaryDirectory() as folder:
        search = partial(_search, Path(folder))
        uniform = _reference(search("free", replace(options, budget=1)))
        limits = {
            BYTES: SIZE_SHARE * uniform[BYTES],
            LATENCY: LATENCY_SHARE * uniform[LATENCY],
        }
        found = search("limited", replace(options, limits=limits))
        record = found.record
        octavo.compile(MODEL, TARGET, Path(folder) / UNIFORM, samples=CALIBRATION)
        again = _measured_again(
            {BEST: found.directory / BEST, UNIFORM: Path(folder) / UNIFORM}
        )
        fastest = {LATENCY: 0.01 * uniform[LATENCY]}
        refused = [
            _refusal(
                partial(search, "tiny"),
                replace(options, limits={BYTES: TINY_SHARE * uniform[BYTES]}),
            ),
            _refusal(partial(search, "fast"), replace(options, budget=4, limits=fastest)),
        ]
    chosen = next(p for p in record["points"] if p["id"] == record["best"]["id"])
    return {
        "limits": limits,
        "references": record["references"],
        "best": record["best"]["objectives"],
        "formats": chosen["formats"],
        "num_points": len(record["points"]),
        "again": again,
        "refused": refused,
    }


def _search(folder: Path, name: str, options: SearchOptions) -> SearchResult:
    return search_model(MODEL, TARGET, folder / name, CALIBRATION, options, test_samples=TEST)


def _reference(result: SearchResult) -> Mapping[str, float]:
    references = {r["name"]: r["objectives"] for r in result.record["references"]}
    found: Mapping[str, float] = references[UNIFORM]
    return found


def _measured_again(artifacts: Mapping[str, Path]) -> dict[str, Any]:
    """Latency in turns, accuracy of the compiled programs, size of the weights on disk."""
    with np.load(TEST) as data:
        images, labels = data["image"], data["label"]
    with ExitStack() as stack:
        sessions = {n: stack.enter_context(octavo.load(path)) for n, path in artifacts.items()}
        feeds = {"image": images[:1]}
        runs = {n: partial(session.run, feeds) for n, session in sessions.items()}
        times = measure_interleaved(runs, budget_s=5.0)
        right = {n: _num_right(s, images, labels) for n, s in sessions.items()}
    return {
        name: {
            "latency": asdict(times[name]),
            "accuracy": right[name] / len(labels),
            "weights.bin": (path / "weights.bin").stat().st_size,
        }
        for name, path in artifacts.items()
    }


def _num_right(session: Session, images: Sequence[Any], labels: Sequence[int]) -> int:
    return sum(
        int(session.run({"image": image[None]})["logits"].argmax()) == label
        for image, label in zip(images, labels, strict=True)
    )


def _refusal(search: Any, options: SearchOptions) -> dict[str, Any]:
    """What is said of limits that nothing meets."""
    try:
        check_limits(search(options).found)
    except GateError as error:
        return {"limits": dict(options.limits), "said": str(error)}
    raise AssertionError(f"{options.limits} were met")
