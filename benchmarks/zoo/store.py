"""Keep built networks on disk: building and fitting the large ones takes seconds."""

import os
from pathlib import Path

import onnx

from benchmarks.zoo.registry import find_entry

FOLDER = Path(__file__).resolve().parents[2] / "build" / "zoo"
REVISION = 4  # raise when weights, samples or fitting change, so that old files are not used


def model_path(name: str, *, input_size: int | None = None, seed: int = 0) -> Path:
    """Return the file of a fitted network, building it on first use.

    Args:
        name: Name in the registry.
        input_size: Height and width; the standard size when None.
        seed: Seed of the weights.
    """
    entry = find_entry(name)
    size = input_size or entry.input_size
    suffix = f"-{size}" if size is not None else ""
    path = FOLDER / f"{name}{suffix}-s{seed}-r{REVISION}.onnx"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        # Written under another name first: a reader beside us never sees half a file.
        partial = path.with_suffix(f".{os.getpid()}.part")
        onnx.save(entry.fitted(input_size=input_size, seed=seed), partial)
        partial.rename(path)
    return path
