"""Elementwise operations equal their reference bit for bit."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octavo.targets.kernels.binary import ElementwiseBinary
from octavo.targets.ops import binary
from octavo.targets.ops.binary import Binary
from octavo.targets.ops.requantize import Requantize, dyadic

KERNEL = ElementwiseBinary()


def make_arrays(random_array, op, seed=0, multipliers=(0.7, 0.9), zero_points=(120, 5)):
    rng = np.random.default_rng(seed)
    ma, mb = multipliers
    sign = -1 if op.kind == "sub" else 1
    significand, shift = dyadic(np.array([ma]))
    signed = op.requantize.dtype == "int8"
    return {
        "a": random_array(rng, op.a_dtype, int(np.prod(op.a_shape))).reshape(op.a_shape),
        "b": random_array(rng, op.b_dtype, int(np.prod(op.b_shape))).reshape(op.b_shape),
        "zero_points": np.array(zero_points, np.int32),
        "multiplier": np.array([ma], np.float32),
        "residual_multiplier": np.array([sign * mb], np.float32),
        "significand": significand,
        "shift": shift,
        "residual_significand": np.rint(np.ldexp(sign * mb, shift)).astype(np.int64),
        "terms": np.array([significand[0] << 20, shift[0], 2**50 // 3, 32], np.int64),
        "params": np.array([-10, -128, 120, 0] if signed else [100, 2, 250, 0], np.int32),
        "table": random_array(rng, op.requantize.dtype, 256),
    }


def check(run_kernel, op, isa, arrays):
    dtype = "float32" if op.is_float else op.requantize.dtype
    y = run_kernel(KERNEL, op, isa, [arrays["a"], arrays["b"]], arrays,
                   np.zeros(op.shape, dtype))
    np.testing.assert_array_equal(y, binary.reference(op, arrays))


def same(kind, shape, **fields):
    return Binary(kind=kind, shape=shape, a_shape=shape, b_shape=shape, **fields)


@pytest.mark.parametrize("mode", ["float32", "dyadic", "tflite"])
@pytest.mark.parametrize("kind", binary.INTEGER_KINDS)
def test_every_kind_in_both_modes(run_kernel, random_array, isa, kind, mode):
    op = same(kind, (3, 37), a_dtype="uint8", b_dtype="int8", requantize=Requantize(mode=mode))
    scale = 0.004 if kind == "mul" else 0.7
    arrays = make_arrays(random_array, op, multipliers=(scale, 0.9))
    if op.rounds_terms:  # which have 20 bits behind their point
        arrays["shift"] = arrays["shift"] + 20
    check(run_kernel, op, isa, arrays)


@pytest.mark.parametrize("mode", ["float32", "dyadic", "tflite"])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_tables_follow_the_rounding(run_kernel, random_array, isa, mode, dtype):
    op = same("add", (150,), requantize=Requantize(mode=mode, dtype=dtype, has_table=True))
    check(run_kernel, op, isa, make_arrays(random_array, op))


@pytest.mark.parametrize("kind", ["add", "mul", "max"])
def test_results_can_stay_real(run_kernel, random_array, isa, kind):
    op = same(kind, (150,), requantize=Requantize(dtype="float32"))
    check(run_kernel, op, isa, make_arrays(random_array, op))


@pytest.mark.parametrize("n", [1, 2, 3, 15, 16, 17, 31, 63, 64, 65, 127, 400, 40001])
def test_every_length(run_kernel, random_array, isas, n):
    op = same("add", (n,))
    check(run_kernel, op, isas[-1], make_arrays(random_array, op, seed=n))


@pytest.mark.parametrize("mode", ["float32", "dyadic", "tflite"])
@pytest.mark.parametrize(("multipliers", "zero_points"), [
    ((2.0**-40, 2.0**-38), (0, 255)), ((1.9, 2.0**-30), (255, 0)),
    ((700.0, 900.0), (128, 128)), ((0.5, 0.5), (0, 0))])
def test_extreme_scales_and_ties(
    run_kernel, random_array, isa, mode, multipliers, zero_points
):
    for kind in ("sub", "mul"):
        op = same(kind, (130,), requantize=Requantize(mode=mode))
        check(run_kernel, op, isa, make_arrays(
            random_array, op, multipliers=multipliers, zero_points=zero_points))


BROADCASTS = [
    ((2, 5, 6, 24), (1, 1, 1, 24)),
    ((2, 5, 6, 40), (2, 1, 1, 40)),
    ((2, 1, 1, 40), (2, 5, 6, 40)),
    ((2, 5, 6, 7), (1, 1, 1, 1)),
    ((3, 1, 9), (1, 8, 1)),
    ((2, 8, 9), (2, 8, 1)),
    ((1, 1), (1, 1)),
    ((), ()),
    ((64, 300, 3), (64, 1, 3)),
]


@pytest.mark.parametrize("index", range(len(BROADCASTS)))
def test_operands_broadcast(run_kernel, random_array, isa, index):
    a, b = BROADCASTS[index]
    shape = np.broadcast_shapes(a, b)
    for kind, fields in (("sub", {}), ("div", {"a_dtype": "float32", "b_dtype": "float32"})):
        op = Binary(kind=kind, shape=shape, a_shape=a, b_shape=b, **fields)
        check(run_kernel, op, isa, make_arrays(random_array, op))


@pytest.mark.parametrize("kind", ["add", "sub", "mul", "div"])
def test_float_is_exact(run_kernel, random_array, isa, kind):
    op = same(kind, (3, 50), a_dtype="float32", b_dtype="float32")
    check(run_kernel, op, isa, make_arrays(random_array, op))


def test_what_no_kernel_computes_is_refused(isas):
    assert "rank" in KERNEL.reject(Binary(kind="add", shape=(2, 3), a_shape=(3,),
                                          b_shape=(2, 3)), isas[0])
    assert "div" in KERNEL.reject(same("div", (4,)), isas[0])
    assert "types" in KERNEL.reject(same("add", (4,), a_dtype="float32"), isas[0])


@settings(max_examples=20, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_broadcast_of_any_types(run_kernel, random_array, isas, data):
    rank = data.draw(st.integers(1, 4))
    shape = data.draw(st.tuples(*[st.sampled_from([1, 2, 5, 17, 33])] * rank))
    a, b = (tuple(n if data.draw(st.booleans()) else 1 for n in shape) for _ in range(2))
    op = Binary(
        kind=data.draw(st.sampled_from(binary.INTEGER_KINDS)), a_shape=a, b_shape=b,
        shape=np.broadcast_shapes(a, b), a_dtype=data.draw(st.sampled_from(["uint8", "int8"])),
        b_dtype=data.draw(st.sampled_from(["uint8", "int8"])),
        requantize=Requantize(mode=data.draw(st.sampled_from(["float32", "dyadic"])),
                              dtype=data.draw(st.sampled_from(["uint8", "int8"]))))
    check(run_kernel, op, data.draw(st.sampled_from(isas)), make_arrays(
        random_array, op, multipliers=(0.01 if op.kind == "mul" else 0.8, 0.3)))
