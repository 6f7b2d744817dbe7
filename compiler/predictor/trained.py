"""The predictor of a device, fitted anew whenever its measurements have changed."""

import hashlib
import os
import pickle
import tempfile
from collections.abc import Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path

from octavo.compiler.artifact.toolchain import cache_folder
from octavo.compiler.measurements.key import Context
from octavo.compiler.measurements.latencies import KernelLatency
from octavo.compiler.predictor.features import Caches, caches_of
from octavo.compiler.predictor.predictor import Predictor, fit_predictor
from octavo.compiler.predictor.training_set import TrainingSet, measured_programs, training_set
from octavo.targets.base import Target

FOLDER = "predictors"
PACKAGES = ("scikit-learn", "numpy", "scipy")


def trained_predictor(
    latencies: Iterable[KernelLatency], context: Context, target: Target, seed: int = 0
) -> Predictor:
    """Find the predictor for a device, or fit it: some ten seconds for thousands of kernels.

    Args:
        latencies: The whole database.
        context: Device, code, number of threads, and the toolchain in use.
        target: Tells the caches where the device does not.
        seed: Equal measurements and seeds give equal predictors.

    Raises:
        DataError: There is too little to learn from.
    """
    data = training_set(measured_programs(latencies, context))
    caches = caches_of(context.device, Caches(target.l1_bytes, target.l2_bytes))
    path, digest = _path(context), _digest(data, caches, seed)
    kept = _read(path)
    if kept is not None and kept[0] == digest:
        return kept[1]
    predictor = fit_predictor(data, caches, seed)
    _write(path, digest, predictor)
    return predictor


def kept_predictor(context: Context) -> Predictor | None:
    """The predictor that was last fitted for a device, whatever was measured since."""
    kept = _read(_path(context))
    return None if kept is None else kept[1]


def _path(context: Context) -> Path:
    versions = [_sources(), *(version(name) for name in PACKAGES)]
    place = (context.code, context.device, context.num_threads, versions)
    digest = hashlib.sha256(repr(place).encode()).hexdigest()
    return cache_folder() / FOLDER / f"{digest[:32]}.pickle"


@cache
def _sources() -> str:
    """Digest of this package: other code would fit another predictor, or fail to use it."""
    sources = sorted(Path(__file__).resolve().parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _digest(data: TrainingSet, caches: Caches, seed: int) -> str:
    return hashlib.sha256(repr((data.digest(), caches, seed)).encode()).hexdigest()


def _read(path: Path) -> tuple[str, Predictor] | None:
    """The digest of what a predictor was fitted to, and the predictor."""
    # Like the compiled libraries beside it, the file is this user's own and is trusted.
    try:
        digest, predictor = pickle.loads(path.read_bytes())
    except Exception:  # a cache: whatever cannot be read is made anew
        return None
    return (digest, predictor) if isinstance(predictor, Predictor) else None


def _write(path: Path, digest: str, predictor: Predictor) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".new-", delete=False) as file:
        file.write(pickle.dumps((digest, predictor)))
    os.replace(file.name, path)
