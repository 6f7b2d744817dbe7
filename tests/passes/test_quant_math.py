import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx.reference import ReferenceEvaluator

from octavo.passes.quant_math import (
    INT32_MAX,
    bias_scale,
    choose_qparams,
    dequantize,
    integer_range,
    quantize,
    quantize_bias,
)
from octavo.passes.weight_scales import weight_scale, widen_for_accumulator

FLOATS = st.floats(-1e6, 1e6, width=32)
RANGES = st.tuples(FLOATS, FLOATS).map(sorted).filter(lambda r: max(-r[0], r[1]) > 1e-6)


@given(RANGES, st.sampled_from(["uint8", "int8"]), st.booleans())
def test_zero_is_exactly_an_integer(limits, dtype, symmetric):
    params = choose_qparams(*limits, dtype=dtype, symmetric=symmetric)
    qmin, qmax = integer_range(dtype)
    assert qmin <= params.zero_point <= qmax
    q = quantize(np.zeros(1, np.float32), params.scale, params.zero_point, dtype)
    assert dequantize(q, params.scale, params.zero_point)[0] == 0.0


@pytest.mark.parametrize("limits", [(2.1, 3.5), (-3.5, -2.1), (-1.0, 2.0), (0.0, 6.0)])
def test_range_is_widened_to_include_zero(limits):
    params = choose_qparams(*limits)
    assert params.low <= 0.0 <= params.high
    # A zero point is rounded to an integer, which moves both ends by at most half a step.
    assert params.low <= min(limits[0], 0.0) + params.scale / 2
    assert params.high >= max(limits[1], 0.0) - params.scale / 2


@given(RANGES, st.sampled_from(["uint8", "int8"]))
def test_values_inside_the_range_come_back_within_half_a_step_and_the_shift(limits, dtype):
    params = choose_qparams(*limits, dtype=dtype)
    x = np.linspace(*limits, 57, dtype=np.float32)
    back = dequantize(
        quantize(x, params.scale, params.zero_point, dtype), params.scale, params.zero_point
    )
    # Half a step of rounding; another half at an end that the rounded zero point cut off.
    bound = params.scale * (1.0 + 1e-5)
    assert (np.abs(back.astype(np.float64) - x) <= bound).all()


@pytest.mark.parametrize(
    ("low", "high", "reason"),
    [
        (0.0, 0.0, "no width"),
        (np.nan, 1.0, "not finite"),
        (-np.inf, 1.0, "not finite"),
        (2.0, 1.0, "empty"),
        (0.0, 1e-30, "scale outside"),
        (0.0, 1e30, "scale outside"),
    ],
)
def test_unusable_ranges_are_refused_with_the_reason(low, high, reason):
    with pytest.raises(ValueError, match=reason):
        choose_qparams(low, high)


def test_unknown_type_names_the_allowed_ones():
    with pytest.raises(ValueError, match="uint8, int8, uint16, int16, int32"):
        integer_range("int7")


@given(
    hnp.arrays(np.float32, (3, 5), elements=st.floats(-1e4, 1e4, width=32)),
    st.sampled_from([0.25, 0.1, 3.0, 1e-3]),
    st.integers(0, 255),
)
def test_quantize_and_dequantize_equal_the_onnx_operators(x, scale, zero_point):
    scale = np.float32(scale)
    evaluator = ReferenceEvaluator(
        onnx.parser.parse_model(
            '<ir_version: 10, opset_import: ["": 21]>'
            "g (float[3,5] x, float s, uint8 z) => (uint8[3,5] q, float[3,5] y)"
            "{ q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }"
        )
    )
    q, y = evaluator.run(None, {"x": x, "s": scale, "z": np.uint8(zero_point)})
    ours = quantize(x, scale, zero_point, "uint8")
    np.testing.assert_array_equal(ours, q)
    np.testing.assert_array_equal(dequantize(ours, scale, zero_point), y)


def test_rounding_is_half_to_even():
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5], np.float32)
    assert quantize(x, 1.0).tolist() == [0, 2, 2, 0, -2]


@given(hnp.arrays(np.float32, (4, 6), elements=st.floats(-1e3, 1e3, width=32)))
def test_weights_come_back_within_half_a_step_per_channel(weight):
    scale = weight_scale(weight, axis=0)
    q = quantize(weight, scale, axis=0, narrow_range=True)
    assert q.min() >= -127
    error = np.abs(dequantize(q, scale, axis=0) - weight)
    assert (error <= scale[:, None] / 2 * (1 + 1e-5) + 1e-15).all()


def test_channel_of_zeros_takes_the_widest_scale():
    weight = np.array([[0.0, 0.0], [1.27, -0.5], [0.1, 0.2]], np.float32)
    scale = weight_scale(weight, axis=0)
    assert scale[0] == scale[1] == np.float32(1.27) / np.float32(127)
    assert weight_scale(np.zeros((2, 2), np.float32), axis=None) == 1.0


def test_weight_with_infinity_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        weight_scale(np.array([np.inf], np.float32), axis=None)


def test_bias_is_an_integer_of_the_accumulator():
    scale_w = np.array([0.5, 0.25], np.float32)
    q = quantize_bias(np.array([3.0, -3.0], np.float32), 0.125, scale_w)
    assert q.dtype == np.int32
    assert q.tolist() == [48, -96]
    assert bias_scale(0.125, scale_w).tolist() == [0.0625, 0.03125]


def test_bias_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="int32"):
        quantize_bias(np.array([1e3], np.float32), 1e-4, np.array([1e-4], np.float32))


@given(
    hnp.arrays(np.float32, (3, 40), elements=st.floats(-1, 1, width=32)),
    hnp.arrays(np.float32, (3,), elements=st.floats(-1e6, 1e6, width=32)),
    st.sampled_from([1e-7, 1e-3, 1.0]),
)
def test_widened_scales_keep_every_accumulator_inside_int32(weight, bias, scale_x):
    scale = widen_for_accumulator(weight, weight_scale(weight, 0), 0, scale_x, bias, (1,))
    q = quantize(weight, scale, axis=0, narrow_range=True).astype(np.int64)
    worst = 255 * np.abs(q).sum(axis=1) + np.abs(
        quantize_bias(bias, scale_x, scale).astype(np.int64)
    )
    assert (worst <= INT32_MAX).all()


def test_scales_stay_when_nothing_can_overflow():
    weight = np.array([[0.5, -1.0]], np.float32)
    scale = weight_scale(weight, 0)
    widened = widen_for_accumulator(weight, scale, 0, 0.1, np.ones(1, np.float32), (1,))
    np.testing.assert_array_equal(widened, scale)


def test_a_very_deep_dot_product_gets_a_wider_scale():
    weight = np.ones((1, 80_000), np.float32)  # 127 * 255 * 80,000 > 2**31
    scale = widen_for_accumulator(weight, weight_scale(weight, 0), 0, 0.1, None, (1,))
    q = quantize(weight, scale, axis=0, narrow_range=True).astype(np.int64)
    assert 255 * q.sum() <= INT32_MAX
    assert q[0, 0] > 100
