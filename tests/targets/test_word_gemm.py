"""Convolutions of 16-bit activations equal their reference bit for bit on every variant."""

from dataclasses import replace

import numpy as np
import pytest
from tests.targets.test_conv_gemm import NEEDED_FLAGS, PAD

from octavo.errors import LoweringError
from octavo.targets.host import CPUINFO, cpu_flags
from octavo.targets.instructions import ISAS
from octavo.targets.kernel import Slower
from octavo.targets.kernels.word_depthwise import WordDepthwise
from octavo.targets.kernels.word_gemm import WordGemm
from octavo.targets.kernels.word_gemm_parts import PART_INPUTS, WordGemmParts
from octavo.targets.library import able_kernels, kernels_for, select
from octavo.targets.ops.conv import Conv, Placement
from octavo.targets.ops.requantize import Requantize
from octavo.targets.ops.word_conv import (
    WORD,
    WordConv,
    needs_words,
    reference,
    sum_range,
    wide_sums,
    word_conv,
)
from octavo.targets.word_isa import slower_words

TO_WORDS = Requantize(dtype=WORD)


def words(*sizes, **fields):
    return WordConv(*sizes, **{"requantize": TO_WORDS, **fields})


SHAPES = {
    "matrix product": words(1, 1, 5, 70, 10),
    "one row": words(1, 1, 1, 33, 70),
    "odd channels": words(1, 4, 5, 35, 17),
    "3x3 of 5 channels": words(1, 9, 7, 5, 24, 3, 3, **PAD),
    "first layer": words(1, 19, 17, 3, 32, 3, 3, 2, 2, **PAD),
    "strided, dilated": words(1, 9, 7, 5, 10, 3, 3, 2, 2, 2, 2, pad_left=2),
    "batch and groups": words(2, 6, 6, 8, 20, 3, 3, groups=2, **PAD),
    "whole vectors of pixels without gaps": words(1, 3, 7, 16, 48),
    "more pixels than a tile": words(1, 21, 23, 6, 33, 3, 3, **PAD),
    "slice of a wider tensor": words(1, 5, 4, 6, 20, 3, 3, in_pixel_stride=11, **PAD),
    "interleaved output": words(
        1, 5, 4, 8, 16, 2, 2, placement=Placement(8, 8, 2, 2, 1, 1)),
    "several parts": words(1, 1, 6, 2 * PART_INPUTS + 5, 40),
    "several parts of a tap": words(1, 3, 4, PART_INPUTS, 9, 3, 3, **PAD),
}  # fmt: skip
DEPTHWISE = {
    f"{kernel}x{kernel} of {channels} channels": words(
        2, 9, 11, channels, channels, kernel, kernel, groups=channels, **PAD
    )
    for kernel, channels in ((3, 1), (3, 20), (3, 64), (5, 33), (1, 17))
} | {"strided": words(1, 12, 13, 40, 40, 3, 3, 2, 2, groups=40, **PAD)}
EPILOGUES = {
    "words": TO_WORDS,
    "words from 0": Requantize(dtype=WORD, has_limits=False, has_zero_point=False),
    "words, residual": Requantize(dtype=WORD, residual=WORD),
    "words, residual of bytes": Requantize(dtype=WORD, residual="uint8"),
    "bytes": Requantize(),
    "bytes, residual": Requantize(residual=WORD),
    "signed bytes, table": Requantize(dtype="int8", has_table=True),
    "reals": Requantize(dtype="float32"),
}


VARIANTS = ("avx2", "avx512_vnni")  # others are met with fewer shapes


@pytest.fixture(params=VARIANTS)
def any_isa(request):
    """Every way to multiply words."""
    return needed_isa(request.param)


def needed_isa(name):
    missing = NEEDED_FLAGS[name] - cpu_flags(CPUINFO)
    if missing:
        pytest.skip(f"this CPU lacks {', '.join(sorted(missing))}")
    return ISAS[name]


def draw(rng, dtype, shape):
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, shape, endpoint=True).astype(dtype)


def make_arrays(op, rng, zero_point=-1234):
    """Random operands whose results fill the output."""
    taps = op.kernel_h * op.kernel_w * op.group_in
    epilogue = op.requantize
    limits = np.iinfo(epilogue.dtype if epilogue.dtype != "float32" else WORD)
    low, high = limits.min + 3, limits.max - 5
    if not epilogue.has_limits:
        low, high = limits.min, limits.max
    spread = (limits.max - limits.min) / (np.iinfo(op.dtype).max * 75 * np.sqrt(taps) * 3)
    out = (op.batch, op.out_h, op.out_w, op.out_c)
    return {
        "x": draw(rng, op.dtype, (op.batch, op.in_h, op.in_w, op.in_c)),
        "weight": rng.integers(
            -127, 128, (op.out_c, op.kernel_h, op.kernel_w, op.group_in)).astype(np.int8),
        "bias": rng.integers(-1_000_000, 1_000_000, op.out_c).astype(np.int32),
        "zero_point": np.array([zero_point], np.int32),
        "multiplier": (spread * rng.uniform(0.3, 1.5, op.out_c)).astype(np.float32),
        "params": np.array(
            [(low + high) // 2 if epilogue.has_zero_point else 0, low, high, 99], np.int32),
        "residual": draw(rng, epilogue.residual or WORD, out),
        "residual_multiplier": np.array([0.37], np.float32),
        "table": rng.permutation(256).astype(np.uint8).view(
            epilogue.dtype if epilogue.dtype in ("uint8", "int8") else "uint8"),
    }  # fmt: skip


def as_stored(op, x):
    """Input pixels where the operation finds them, other numbers in between."""
    stored = np.full(op.batch * op.in_h * op.in_w * op.in_pixel, 99, op.dtype)
    stored.reshape(-1, op.in_pixel)[:, : op.in_c] = x.reshape(-1, op.in_c)
    return stored[: op.in_elements]


def run(run_kernel, kernel, op, isa, arrays):
    inputs = [as_stored(op, arrays["x"])]
    if op.requantize.residual:
        inputs.append(arrays["residual"])
    y = np.zeros((op.batch, op.full_h, op.full_w, op.out_c), op.requantize.dtype)
    result = run_kernel(kernel, op, isa, inputs, arrays, y)
    place = op.placement
    written = result[:, place.offset_h :: place.step_h, place.offset_w :: place.step_w]
    return written[:, : op.out_h, : op.out_w]


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_match_the_reference(run_kernel, any_isa, name):
    """Whichever kernel the constants allow; at least one must be exact for any."""
    op = SHAPES[name]
    arrays = make_arrays(op, np.random.default_rng(1))
    expected = reference(op, arrays)
    kernels = {kernel.name: kernel for kernel in able_kernels(op, any_isa, arrays)}
    assert "word_gemm_parts" in kernels
    for kernel in kernels.values():
        result = run(run_kernel, kernel, op, any_isa, arrays)
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("variant", ["generic", "sse41", "avx_vnni"])
def test_few_shapes_of_every_other_variant(run_kernel, variant):
    isa = needed_isa(variant)
    for op in (SHAPES["3x3 of 5 channels"], DEPTHWISE["3x3 of 20 channels"]):
        arrays = make_arrays(op, np.random.default_rng(1))
        for kernel in able_kernels(op, isa, arrays):
            result = run(run_kernel, kernel, op, isa, arrays)
            np.testing.assert_array_equal(result, reference(op, arrays))


@pytest.mark.parametrize("name", DEPTHWISE)
def test_depthwise_matches_the_reference(run_kernel, any_isa, name):
    op = DEPTHWISE[name]
    arrays = make_arrays(op, np.random.default_rng(3), zero_point=-32768)
    result = run(run_kernel, WordDepthwise(), op, any_isa, arrays)
    np.testing.assert_array_equal(result, reference(op, arrays))


@pytest.mark.parametrize("name", EPILOGUES)
def test_epilogues_match_the_reference(run_kernel, any_isa, name):
    op = words(1, 3, 5, 16, 2 * any_isa.lanes + 5, requantize=EPILOGUES[name])
    arrays = make_arrays(op, np.random.default_rng(2))
    for kernel in (WordGemm(), WordGemmParts()):
        result = run(run_kernel, kernel, op, any_isa, arrays)
        np.testing.assert_array_equal(result, reference(op, arrays))


@pytest.mark.parametrize("name", ["words", "words, residual", "words, residual of bytes"])
@pytest.mark.parametrize("groups", [1, 20])
def test_bytes_become_words(run_kernel, any_isa, name, groups):
    dtype = any_isa.activation_dtype
    op = words(
        1, 6, 5, 20, 20, 3, 3, groups=groups, dtype=dtype, requantize=EPILOGUES[name], **PAD
    )
    arrays = make_arrays(op, np.random.default_rng(4), zero_point=100)
    kernel = select(op, any_isa, arrays)
    result = run(run_kernel, kernel, op, any_isa, arrays)
    np.testing.assert_array_equal(result, reference(op, arrays))
    assert kernel.name == ("word_gemm" if groups == 1 else "word_depthwise")


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("inputs", [512, 516, 1600])
def test_the_largest_sums_are_exact(run_kernel, any_isa, sign, inputs):
    """Every product is of the largest magnitude; 516 of 65535 * 127 need 33 bits."""
    op = words(1, 1, 3, inputs, 5, requantize=Requantize(dtype="float32"))
    arrays = make_arrays(op, np.random.default_rng(5), zero_point=-32768)
    arrays["x"][...] = 32767
    arrays["weight"][...] = 127 * sign
    arrays["bias"][...] = 3 * sign
    arrays["multiplier"][...] = 1
    kernels = list(able_kernels(op, any_isa, arrays))
    exact = 65535 * 127 * inputs + 3
    assert ("word_gemm" in {k.name for k in kernels}) == (exact < 2**31)
    for kernel in kernels:
        result = run(run_kernel, kernel, op, any_isa, arrays)
        assert (result == np.float32(sign * exact)).all()


def test_sums_are_bounded_by_what_inputs_can_be():
    op = words(1, 1, 1, 2, 1)
    arrays = {
        "weight": np.array([[[[100, -7]]]], np.int8),
        "bias": np.array([5], np.int32),
        "zero_point": np.array([-32768], np.int32),
    }
    assert sum_range(op, arrays) == (5 - 7 * 65535, 5 + 100 * 65535)
    assert wide_sums(op, arrays) == ""
    arrays["bias"] = np.array([2**31 - 1], np.int32)
    assert "more than 32 bits" in wide_sums(op, arrays)


def test_constants_decide_which_kernel_serves():
    isa, op = ISAS["avx512_vnni"], words(1, 1, 4, 600, 8)
    arrays = make_arrays(op, np.random.default_rng(6))
    assert select(op, isa, arrays).name == "word_gemm"
    arrays["weight"][...] = 127
    assert select(op, isa, arrays).name == "word_gemm_parts"
    assert select(op, isa).name == "word_gemm_parts"  # without constants nothing is proved


DENSE = words(1, 14, 14, 32, 48, 3, 3, **PAD)
BY_CHANNEL = words(1, 14, 14, 48, 48, 3, 3, groups=48, **PAD)


@pytest.mark.parametrize(
    ("kernel", "op"),
    [(WordGemm(), DENSE), (WordGemmParts(), DENSE), (WordDepthwise(), BY_CHANNEL)],
)
def test_all_schedules_give_the_same_bits(run_kernel, any_isa, kernel, op):
    isa = any_isa
    arrays = make_arrays(op, np.random.default_rng(7))
    schedules = kernel.schedules(op, isa)
    for schedule in (schedules[0], schedules[len(schedules) // 2], schedules[-1]):
        result = run(run_kernel, kernel.with_schedule(schedule), op, isa, arrays)
        np.testing.assert_array_equal(result, reference(op, arrays))


def test_targets_that_multiply_as_many_reals_say_so():
    op = words(1, 1, 4, 60, 8)
    for isa in ISAS.values():
        slower = slower_words(isa)
        for kernel in kernels_for(op)[1:]:
            assert kernel.reject(op, isa) == (slower or "")
    assert isinstance(slower_words(ISAS["arm64_neon"]), Slower)
    assert slower_words(ISAS["avx2"]) is None
    with pytest.raises(LoweringError, match="float32 ones"):
        select(op, ISAS["arm64_neon"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dtype": "float32"}, "float32 activations"),
        ({"dtype": "uint8", "requantize": Requantize()}, "no 16-bit activations"),
        ({"requantize": Requantize(mode="dyadic", dtype=WORD)}, "rounding 'dyadic'"),
        ({"requantize": Requantize(dtype=WORD, has_table=True)}, "256 entries"),
    ],
)
def test_other_operations_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        words(1, 1, 4, 60, 8, **fields)


def test_records_of_words_are_made_from_convolutions():
    plain = Conv(1, 3, 3, 4, 5, requantize=TO_WORDS)
    assert needs_words(plain)
    assert not needs_words(replace(plain, requantize=Requantize()))
    assert word_conv(plain) == words(1, 3, 3, 4, 5, dtype="uint8")
