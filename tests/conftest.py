"""Settings that every test shares."""

import os
import tempfile
from pathlib import Path

import hypothesis
import pytest
from tests.chromium import browser

__all__ = ["browser"]  # a fixture

# A loaded machine is no failure: no test of hypothesis has to be done within a time.
hypothesis.settings.register_profile("octavo", deadline=None)
hypothesis.settings.load_profile("octavo")

# Test processes share the cores; a library with a thread per core slows all of them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Most tests import a model of their own: a process for each would double their time.
os.environ.setdefault("OCTAVO_TRUST_MODELS", "1")

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_CACHE = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Stop when the package under test is another checkout's.

    An editable install in an environment of two checkouts silently imports the first one.
    """
    import octavo

    imported = Path(octavo.__file__).resolve()
    if REPOSITORY not in imported.parents:
        pytest.exit(
            f"octavo is imported from {imported}, not from {REPOSITORY}:"
            " install this checkout (pip install -e .) or set PYTHONPATH=src",
            returncode=4,
        )
    _separate_cache(config)


@pytest.fixture
def make_peaks():
    """Peaks of a machine that nobody has: round numbers, for sums by hand."""
    from octavo.compiler.roofline.peaks import MemoryLevel, Peaks, Rate

    def make(num_threads: int = 1) -> Peaks:
        def rate(best: float) -> Rate:
            return Rate(best * num_threads, best * num_threads)

        return Peaks(
            isa="generic",
            num_threads=num_threads,
            int8=rate(400.0),
            float32=rate(100.0),
            levels=(
                MemoryLevel("L1", 1000 * num_threads, rate(200.0)),
                MemoryLevel("L2", 10_000 * num_threads, rate(100.0)),
                MemoryLevel("memory", None, rate(10.0)),
            ),
            call_us=0.1 if num_threads == 1 else 2.0,
        )

    return make


def _separate_cache(config: pytest.Config) -> None:
    """Keep what this user has measured out of the tests, and theirs out of the user's cache.

    Compiled parts of the toolchain are shared: they take long and are always the same.
    """
    from octavo.compiler.artifact.toolchain import cache_folder

    shared = cache_folder()
    folder = tempfile.TemporaryDirectory(prefix="octavo-tests-")
    config.add_cleanup(folder.cleanup)
    for part in ("zig", "runtime"):
        (shared / part).mkdir(exist_ok=True)
        (Path(folder.name) / part).symlink_to(shared / part)
    config.stash[SHARED_CACHE] = shared
    os.environ["OCTAVO_CACHE"] = folder.name


@pytest.fixture(scope="session")
def shared_cache(pytestconfig: pytest.Config) -> Path:
    """The cache folder of this user; tests use only its compiled parts."""
    return pytestconfig.stash[SHARED_CACHE]
