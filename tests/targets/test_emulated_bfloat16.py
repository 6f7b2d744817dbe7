"""Products of bfloat16 numbers equal their reference on emulated targets that have them."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from tests.targets.emulation import cases_of, emulated_targets, run_cases
from tests.targets.test_bfloat16_gemm import SHAPES, assert_same_bits, make_arrays, run

from octavo.targets.ops.bfloat16_conv import Bfloat16Conv, reference

TARGETS = {
    name: target for name, target in emulated_targets().items()
    if "bf16" in target.float_precisions}


@pytest.mark.parametrize("name", list(SHAPES))
def shapes(run_kernel, isa, name):
    """Those of one channel are left to float32."""
    op = replace(SHAPES[name], sums=isa.bfloat16_sums)
    arrays = make_arrays(op, np.random.default_rng(1))
    assert_same_bits(run(run_kernel, op, arrays, isa=isa), reference(op, arrays))


@pytest.mark.parametrize(
    ("spread", "scale"), [(70.0, 1.0), (3.0, 2.0**-64), (1.0, 2.0**-63)])
def extremes(run_kernel, isa, spread, scale):
    """Sums become infinite; denormals count as zeros in products and in sums."""
    op = Bfloat16Conv(1, 8, 8, 6, 32, sums=isa.bfloat16_sums)
    arrays = make_arrays(op, np.random.default_rng(4), spread)
    for name, factor in {"x": scale, "weight": scale, "bias": scale**2}.items():
        arrays[name] = (arrays[name] * factor).astype(np.float32)
    arrays["limits"] = np.array([-np.inf, np.inf], np.float32)
    expected = reference(op, arrays)
    assert np.isinf(expected).any() == (scale == 1)
    assert (expected == 0).any() == (scale < 1)
    assert_same_bits(run(run_kernel, op, arrays, isa=isa), expected)


def rounded_to_normal(run_kernel, isa):
    """The largest denormals are rounded to the smallest normal number before they count."""
    op = Bfloat16Conv(1, 1, 4, 2, 4, sums=isa.bfloat16_sums)
    arrays = make_arrays(op, np.random.default_rng(4))
    arrays["x"][...] = np.array([0x007FFFFF], np.uint32).view(np.float32)
    arrays["weight"][...] = 2.0**20
    arrays["bias"][...] = 0
    assert_same_bits(run(run_kernel, op, arrays, isa=isa), reference(op, arrays))


def test_there_is_such_a_target():
    assert {target.family for target in TARGETS.values()} == {"arm64"}


@pytest.mark.parametrize("name", TARGETS)
def test_products_equal_their_reference(name, tmp_path):
    target = TARGETS[name]
    if shutil.which(target.emulator.program) is None:
        pytest.skip(f"needs {target.emulator.program} (Debian package qemu-user)")
    cases = [
        case for test in (shapes, extremes, rounded_to_normal)
        for case in cases_of(test, target)]
    assert len(cases) > len(SHAPES)
    assert run_cases(cases, target, tmp_path) == {}
    assert all(bool(case.answers) != ("one channel" in case.name) for case in cases)
