"""W4/W8 of networks of the zoo against 8 bits throughout: smaller at equal noise, or not."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path
from octavo.compiler.mixed_precision.options import BYTES, SearchOptions
from octavo.compiler.mixed_precision.run import search_model
from octavo.compiler.selection.options import SelectionOptions
from octavo.passes.layer_format import EIGHT_BITS, LayerFormat

TARGET = "host"
UNIFORM = "w8a8"
FORMATS = (EIGHT_BITS, LayerFormat(4, 8))
NUM_CALIBRATION, NUM_JUDGING = 16, 8
JUDGING_SEED = 1  # of other samples than those of calibration
BUDGET = 32
SECONDS = 2.0
NEAR_DB = (0.1, 1.0, 3.0)  # what "equal" may mean


def smaller_than_uniform(name: str) -> dict[str, Any]:
    """Search the front of noise, latency and size.

    Args:
        name: Of a zoo entry with images.
    """
    entry = find_entry(name)
    options = SearchOptions(
        FORMATS, budget=BUDGET, device=SelectionOptions("local", seconds=SECONDS)
    )
    start = time.perf_counter()
    with TemporaryDirectory() as folder:
        paths = []
        for seed, count in ((0, NUM_CALIBRATION), (JUDGING_SEED, NUM_JUDGING)):
            samples = entry.samples(count, seed=seed)
            paths.append(Path(folder) / f"samples{seed}.npz")
            np.savez(
                paths[-1], **{k: np.concatenate([s[k] for s in samples]) for k in samples[0]}
            )
        record = search_model(
            model_path(name), TARGET, Path(folder) / "search", paths[0], options,
            test_samples=paths[1]).record  # fmt: skip
    references = {one["name"]: one["objectives"] for one in record["references"]}
    base = references[UNIFORM]
    return {
        "took_s": time.perf_counter() - start,
        "references": references,
        "num_points": len(record["points"]),
        "front": record["front"],
        "best": record["best"]["objectives"],
        "why_not_better": record["why_not_better"],
        "near": [_smallest(record, base, db) for db in NEAR_DB],
    }


def _smallest(record: dict[str, Any], base: dict[str, float], db: float) -> dict[str, Any]:
    """The smallest of the front whose noise is at most some decibels above that of 8 bits."""
    near = [p for p in record["front"] if p["objectives"]["noise"] <= base["noise"] + db]
    if not near:
        return {"db": db, "objectives": None, "num_narrow": 0}
    smallest = min(near, key=lambda point: point["objectives"][BYTES])
    formats = next(p["formats"] for p in record["points"] if p["id"] == smallest["id"])
    narrow = sum(text != UNIFORM for text in formats.values())
    return {"db": db, "objectives": smallest["objectives"], "num_narrow": narrow}
