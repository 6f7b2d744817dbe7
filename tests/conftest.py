"""Settings that every test shares."""

import os
from pathlib import Path

import pytest

# Two test processes share the cores; a library that starts a thread per core slows all of them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_configure(config: pytest.Config) -> None:
    """Stop when the package under test is another checkout's.

    An editable install in an environment that two checkouts share imports the first one silently.
    """
    import octavo  # noqa: PLC0415  (after the message can be given)

    imported = Path(octavo.__file__).resolve()
    if REPOSITORY not in imported.parents:
        pytest.exit(
            f"octavo is imported from {imported}, not from {REPOSITORY}:"
            " install this checkout (pip install -e .) or set PYTHONPATH=src",
            returncode=4,
        )
