"""Products with packed weights of 4 bits equal those of the same weights in 8 bits."""

import numpy as np
import pytest
from tests.targets.test_conv_gemm import EPILOGUES, NEEDED_FLAGS, make_arrays

from octavo.targets.host import CPUINFO, cpu_flags
from octavo.targets.instructions import ISAS
from octavo.targets.kernel import Slower
from octavo.targets.kernels.nibble_gemm import NibbleGemm
from octavo.targets.kernels.nibble_tile import (
    FAR_BYTES,
    FARTHER_BYTES,
    MEMORY_BYTES,
    far_bytes,
)
from octavo.targets.library import able_kernels, select
from octavo.targets.ops.conv import Conv, Placement, reference

KERNEL = NibbleGemm()


@pytest.fixture(params=NEEDED_FLAGS)
def any_isa(request):
    """Every variant of the library."""
    missing = NEEDED_FLAGS[request.param] - cpu_flags(CPUINFO)
    if missing:
        pytest.skip(f"this CPU lacks {', '.join(sorted(missing))}")
    return ISAS[request.param]


def narrow(arrays, rng, lowest=-7):
    shape = arrays["weight"].shape
    weight = rng.integers(lowest, 8, shape).astype(np.int8)
    multiplier = (arrays["multiplier"] * 16).astype(np.float32)
    return {**arrays, "weight": weight, "multiplier": multiplier}


def run(run_kernel, op, isa, arrays, kernel=KERNEL):
    inputs = [arrays["x"]] + ([arrays["residual"]] if op.requantize.residual else [])
    y = np.zeros((1, 1, op.in_w, op.out_c), op.requantize.dtype)
    return run_kernel(kernel, op, isa, inputs, arrays, y)


@pytest.mark.parametrize(("rows", "depth", "columns"), [
    (1, 1, 1), (1, 3, 17), (1, 4, 16), (1, 5, 15), (1, 8, 64), (1, 33, 70), (1, 130, 200),
    (2, 31, 65), (3, 16, 48), (4, 70, 33),
])  # fmt: skip
def test_sizes_around_steps_and_vectors(run_kernel, any_isa, rows, depth, columns):
    op = Conv(1, 1, rows, depth, columns, dtype=any_isa.activation_dtype)
    rng = np.random.default_rng(depth)
    arrays = narrow(make_arrays(op, rng), rng)
    expected = reference(op, arrays)
    np.testing.assert_array_equal(run(run_kernel, op, any_isa, arrays), expected)


@pytest.mark.parametrize("name", EPILOGUES)
def test_epilogues(run_kernel, isa, name):
    op = Conv(1, 1, 2, 40, 2 * isa.lanes + 5, requantize=EPILOGUES[name])
    rng = np.random.default_rng(2)
    arrays = narrow(make_arrays(op, rng), rng, lowest=-8)
    np.testing.assert_array_equal(run(run_kernel, op, isa, arrays), reference(op, arrays))


@pytest.mark.parametrize("zero_point", [0, 255])
@pytest.mark.parametrize("weight", [-8, 7])
def test_the_largest_sums_are_exact(run_kernel, any_isa, weight, zero_point):
    depth = 4098
    op = Conv(1, 1, 1, depth, 20, requantize=EPILOGUES["dequantize"])
    arrays = make_arrays(op, np.random.default_rng(3), zero_point=zero_point)
    arrays["x"][...] = 255 - zero_point
    arrays["weight"][...] = weight
    arrays["bias"][...] = 12345
    arrays["multiplier"][...] = 1
    result = run(run_kernel, op, any_isa, arrays)
    assert (result == (255 - 2 * zero_point) * weight * depth + 12345).all()


def test_all_schedules_give_the_same_bits(run_kernel, isa):
    op = Conv(1, 1, 1, 70, 200)
    rng = np.random.default_rng(4)
    arrays = narrow(make_arrays(op, rng), rng)
    schedules = KERNEL.schedules(op, isa)
    assert len(schedules) > 1
    for schedule in schedules:
        result = run(run_kernel, op, isa, arrays, KERNEL.with_schedule(schedule))
        np.testing.assert_array_equal(result, reference(op, arrays))


def test_it_serves_where_weights_are_far_and_fit():
    isa, op = ISAS["avx512_vnni"], Conv(1, 1, 1, 1024, FAR_BYTES // 1024)
    rng = np.random.default_rng(5)
    wide = make_arrays(op, rng)
    arrays = narrow(wide, rng)
    assert select(op, isa, arrays).name == "nibble_gemm"
    assert select(op, isa, wide).name == "conv_gemm"
    assert select(op, isa).name == "conv_gemm"
    small = Conv(1, 1, 1, 1023, FAR_BYTES // 1024)
    assert isinstance(KERNEL.reject(small, isa), Slower)
    arrays = {**arrays, "weight": arrays["weight"][..., :1023]}
    assert select(small, isa, arrays).name == "conv_gemm"
    assert "nibble_gemm" in {k.name for k in able_kernels(small, isa, arrays)}


def test_narrow_registers_unpack_longer_than_they_wait():
    assert far_bytes(ISAS["avx512_vnni"]) == FAR_BYTES
    assert {far_bytes(ISAS[n]) for n in ("avx_vnni", "arm64_dotprod")} == {FARTHER_BYTES}
    assert {far_bytes(ISAS[n]) for n in ("avx2", "arm64_neon")} == {MEMORY_BYTES}


def test_weights_are_exact_16_times_or_refused():
    op = Conv(1, 1, 1, 8, 8, dtype="int8")
    for lowest, refused in ((-7, False), (-8, True)):
        arrays = {"weight": np.full((8, 1, 1, 8), lowest, np.int8)}
        assert bool(KERNEL.reject_constants(op, ISAS["arm64_neon"], arrays)) == refused
    assert "4 bits hold -8 to 7" in KERNEL.reject_constants(
        op, ISAS["arm64_neon"], {"weight": np.array([8], np.int8)}
    )


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        (Conv(1, 2, 1, 512, 512), "no matrix product"),
        (Conv(1, 1, 5, 512, 512), "5 rows"),
        (Conv(1, 1, 4, 512, 512, 1, 2), "no matrix product"),
        (Conv(1, 1, 1, 512, 512, groups=2), "no matrix product"),
        (Conv(1, 1, 1, 512, 512, in_pixel_stride=600), "no matrix product"),
        (Conv(1, 1, 1, 512, 512, placement=Placement(pixel_stride=600)), "no matrix product"),
        (Conv(1, 1, 1, 70_000, 512), "70000 products"),
        (Conv(1, 1, 1, 512, 512, dtype="float32"), "float32 activations"),
    ],
)
def test_other_operations_are_refused(op, reason):
    assert reason in KERNEL.reject(op, ISAS["avx512_vnni"])
