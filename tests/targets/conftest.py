"""The runner of kernels, instruction variants and test data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.targets.runner import Runner

from octavo.targets.isa import Isa
from octavo.targets.x86.avx512_vnni import Avx512Vnni


def cpu_flags() -> set[str]:
    """What this CPU can do, in the kernel's words."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return set(line.split(":", 1)[1].split())
    return set()


def has_avx512_vnni() -> bool:
    """Whether this machine runs the widest variant."""
    return {"avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_vnni"} <= cpu_flags()


def random_array(rng: np.random.Generator, dtype: str, n: int) -> NDArray[Any]:
    """Any value that the type has; for floats, special values among normal ones."""
    if dtype == "float32":
        x = rng.normal(0, 3, n).astype(dtype)
        for k, special in enumerate((np.nan, np.inf, -np.inf, -0.0, 1e38, -1e38, 1e-40)):
            x[k % max(n, 1) :: 17] = special
        return x
    if dtype == "bool":
        return rng.integers(0, 2, n).astype(bool)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, n, endpoint=True, dtype=dtype)


@pytest.fixture(scope="session")
def run_kernel(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """The runner of this session."""
    return Runner(tmp_path_factory.mktemp("kernels"))


@pytest.fixture(name="random_array", scope="session")
def random_array_fixture() -> Callable[[np.random.Generator, str, int], NDArray[Any]]:
    """Make test data of any type."""
    return random_array


@pytest.fixture(params=["generic", "avx512_vnni"])
def isa(request: pytest.FixtureRequest) -> Isa:
    """Each instruction variant that this machine runs."""
    if request.param == "generic":
        return Isa(name="generic")
    if not has_avx512_vnni():
        pytest.skip("this CPU has no AVX-512 VNNI")
    return Avx512Vnni()


@pytest.fixture(scope="session")
def isas() -> list[Isa]:
    """All instruction variants that this machine runs, the widest last."""
    return [Isa(name="generic"), *([Avx512Vnni()] if has_avx512_vnni() else [])]
