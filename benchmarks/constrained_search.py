"""Narrow layers of the residual network within limits, and limits that nothing meets."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

import octavo
from benchmarks.interleave import measure_interleaved
from octavo.compiler.mixed_precision.accuracy import DROP
from octavo.compiler.mixed_precision.options import BYTES, LATENCY, SearchOptions
from octavo.compiler.mixed_precision.run import SearchResult, search_model
from octavo.compiler.mixed_precision.search import check_limits
from octavo.compiler.selection.options import SelectionOptions
from octavo.compiler.session import Session
from octavo.errors import GateError
from octavo.passes.layer_format import LayerFormat

RESNET = Path(__file__).parents[1] / "examples" / "resnet_digits"
MODEL = RESNET / "resnet_digits.onnx"
CALIBRATION, TEST = RESNET / "calibration.npz", RESNET / "test.npz"
TARGET = "host"
LATENCY_SHARE = 1.25  # of the milliseconds of 8 bits; other work on the machine adds to them
MAX_DROP = 1.0  # points
TINY_SHARE, FAST_SHARE = 0.1, 0.01  # what no configuration meets
BUDGET = 32
SECONDS = 2.0
BEST, UNIFORM = "best", "w8a8"


@dataclass(frozen=True)
class Limited:
    """What is searched for.

    Attributes:
        formats: That layers may take.
        share: Of the bytes that 8 bits take, at most.
        with_labels: Whether a drop of accuracy is limited; else the noise is to be least.
    """

    formats: str
    share: float
    with_labels: bool


CASES = (
    Limited("w8a8,w4a8", 0.7, with_labels=True),
    Limited("w8a8,w4a8", 0.7, with_labels=False),
    Limited("w8a8,w4a8,w2a8", 0.4, with_labels=True),
)


def constrained() -> list[dict[str, Any]]:
    """Search within limits, and measure what it returns again; one row for each case."""
    return [search_within(case) for case in CASES]


def search_within(case: Limited) -> dict[str, Any]:
    """Search once without limits, then within those of a case, then with impossible ones."""
    formats = tuple(map(LayerFormat.parse, case.formats.split(",")))
    device = SelectionOptions("local", seconds=SECONDS)
    options = SearchOptions(formats, budget=BUDGET, device=device)
    with TemporaryDirectory() as name:
        folder = Path(name)
        search = partial(_search, folder, _judging(folder, case.with_labels))
        uniform = _reference(search("free", replace(options, budget=1)))
        limits = {BYTES: case.share * uniform[BYTES]}
        limits[LATENCY] = LATENCY_SHARE * uniform[LATENCY]
        if case.with_labels:
            limits[DROP] = MAX_DROP
        found = search("limited", replace(options, limits=limits))
        check_limits(found.found)
        record = found.record
        octavo.compile(MODEL, TARGET, folder / UNIFORM, samples=CALIBRATION)
        again = _measured_again({BEST: found.directory / BEST, UNIFORM: folder / UNIFORM})
        tiny = {BYTES: TINY_SHARE * uniform[BYTES]}
        fast = {LATENCY: FAST_SHARE * uniform[LATENCY]}
        refused = [
            _refusal(partial(search, "tiny"), replace(options, limits=tiny)),
            _refusal(partial(search, "fast"), replace(options, budget=4, limits=fast)),
        ]
    chosen = next(p for p in record["points"] if p["id"] == record["best"]["id"])
    return {
        "share": case.share,
        "limits": limits,
        "references": record["references"],
        "best": record["best"]["objectives"],
        "formats": chosen["formats"],
        "num_points": len(record["points"]),
        "again": again,
        "refused": refused,
    }


def _judging(folder: Path, with_labels: bool) -> Path:
    """The test images, with their labels or without."""
    if with_labels:
        return TEST
    with np.load(TEST) as data:
        np.savez(folder / "unlabelled.npz", image=data["image"])
    return folder / "unlabelled.npz"


def _search(folder: Path, judging: Path, name: str, options: SearchOptions) -> SearchResult:
    return search_model(
        MODEL, TARGET, folder / name, CALIBRATION, options, test_samples=judging
    )


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


def _refusal(
    search: Callable[[SearchOptions], SearchResult], options: SearchOptions
) -> dict[str, Any]:
    """What is said of limits that nothing meets."""
    try:
        check_limits(search(options).found)
    except GateError as error:
        return {"limits": dict(options.limits), "said": str(error)}
    raise AssertionError(f"{options.limits} were met")
