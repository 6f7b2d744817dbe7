"""Settings that every test shares."""

import os
from pathlib import Path

import pytest

# Test processes share the cores; a library with a thread per core slows all of them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parents[1]


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
