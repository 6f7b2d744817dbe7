"""Keep what converting and quantizing for a peer produced, for the same input and version."""

import hashlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.peers.protocol import Inputs

FOLDER = Path(__file__).resolve().parents[2] / "build" / "peers"


def kept(
    path: Path,
    samples: Iterable[Inputs],
    version: str,
    suffix: str,
    make: Callable[[Path], None],
) -> Path:
    """Return the file made from a model, making it when it is not there.

    Args:
        path: ONNX file.
        samples: Calibration data; empty where none is used.
        version: Of the tool that makes the file, and of what we ask of it.
        suffix: End of the file's name; says what was made.
        make: Writes the file to the path it is given.
    """
    digest = hashlib.sha256(version.encode())
    digest.update(path.read_bytes())
    for sample in samples:
        for name in sorted(sample):
            digest.update(name.encode())
            digest.update(sample[name].tobytes())
    target = FOLDER / f"{path.stem}-{digest.hexdigest()[:16]}.{suffix}"
    if not target.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        # Written under another name first: a reader beside us never sees half a file.
        partial = target.with_name(f"{os.getpid()}-{target.name}")
        make(partial)
        partial.rename(target)
    return target
