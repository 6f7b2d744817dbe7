"""One operation of each family on every x86-64 level that this machine runs."""

import numpy as np
import pytest

from octavo.targets.host import CPUINFO, LEVELS, cpu_flags
from octavo.targets.instructions import isa_of
from octavo.targets.library import kernel_table, select
from octavo.targets.ops import binary, conv, gather, move, pool, resize
from octavo.targets.ops.binary import Binary
from octavo.targets.ops.conv import Conv
from octavo.targets.ops.gather import Gather
from octavo.targets.ops.move import Move
from octavo.targets.ops.pool import AveragePool, MaxPool, Reduce
from octavo.targets.ops.requantize import Requantize, dyadic
from octavo.targets.ops.resize import Resize

TABLE = Requantize(has_table=True, dtype="int8")
DYADIC = Requantize(mode="dyadic")
WINDOW = {"batch": 1, "in_h": 9, "in_w": 9, "channels": 37, "out_h": 5, "out_w": 5,
          "kernel_h": 3, "kernel_w": 3, "stride_h": 2, "stride_w": 2, "pad_top": 1,
          "pad_left": 1, "pad_bottom": 1, "pad_right": 1}
DEPTHWISE = {"batch": 1, "in_h": 7, "in_w": 9, "in_c": 37, "out_c": 37, "kernel_h": 3,
             "kernel_w": 3, "pad_top": 1, "pad_left": 1, "pad_bottom": 1, "pad_right": 1,
             "groups": 37}
PAIR = {"shape": (5, 5, 37), "a_shape": (5, 5, 37), "b_shape": (1, 1, 37)}
TO_NHWC = {"src_elements": 2220, "dst_elements": 2220, "shape": (60, 37),
           "src_strides": (1, 60), "dst_strides": (37, 1)}

# Operation, its reference, its input operands, and the shape of its output.
CASES = {
    "move_quantize": (Move(**TO_NHWC, dtype="float32", convert="quantize", out_dtype="uint8"),
                      move.reference, ("x",), (2220,)),
    "move_table": (Move(**TO_NHWC, dtype="int8", convert="table", out_dtype="uint8"),
                   move.reference, ("x",), (2220,)),
    "binary": (Binary(kind="sub", **PAIR), binary.reference, ("a", "b"), (5, 5, 37)),
    "binary_dyadic": (Binary(kind="max", **PAIR, requantize=DYADIC), binary.reference,
                      ("a", "b"), (5, 5, 37)),
    "binary_table": (Binary(kind="add", **PAIR, requantize=TABLE), binary.reference,
                     ("a", "b"), (5, 5, 37)),
    "depthwise": (Conv(**DEPTHWISE), conv.reference, ("x",), (1, 7, 9, 37)),
    "depthwise_residual": (Conv(**DEPTHWISE, requantize=Requantize(residual="uint8")),
                           conv.reference, ("x", "residual"), (1, 7, 9, 37)),
    "depthwise_dyadic_table": (
        Conv(**DEPTHWISE, requantize=Requantize(mode="dyadic", has_table=True)),
        conv.reference, ("x",), (1, 7, 9, 37)),
    "max_pool": (MaxPool(**WINDOW), pool.max_reference, ("x",), (1, 5, 5, 37)),
    "average_pool": (AveragePool(**WINDOW, requantize=DYADIC), pool.average_reference, ("x",),
                     (1, 5, 5, 37)),
    "reduce": (Reduce(kind="mean", outer=2, extent=9, inner=37), pool.reduce_reference,
               ("x",), (2, 37)),
    "reduce_along": (Reduce(kind="sum", outer=6, extent=37, inner=1), pool.reduce_reference,
                     ("x",), (6, 1)),
    "gather": (Gather(outer=2, extent=9, inner=37, count=5, dtype="uint8"), gather.reference,
               ("x", "index"), (2, 5, 37)),
    "resize": (Resize(batch=1, in_h=4, in_w=4, channels=37, out_h=7, out_w=7, kind="linear",
                      requantize=Requantize()), resize.reference, ("x",), (1, 7, 7, 37)),
}


def make_arrays(random_array, op, out_shape):
    """Every array that any of the operations takes; each picks its own."""
    rng = np.random.default_rng(0)
    epilogue = getattr(op, "requantize", Requantize())
    out_dtype = getattr(op, "out_dtype", epilogue.dtype)
    inputs = {
        Move: 2220, Conv: 7 * 9 * 37, MaxPool: 81 * 37, AveragePool: 81 * 37, Gather: 18 * 37,
        Resize: 16 * 37}
    count = inputs.get(type(op)) or (
        op.outer * op.extent * op.inner if isinstance(op, Reduce) else 1)
    channels = {Conv: 37, AveragePool: 25}.get(type(op), 1)
    multiplier = rng.uniform(0.005, 0.02, channels).astype(np.float32)
    significand, shift = dyadic(multiplier.astype(np.float64))
    part = np.linspace(0, 1, 7, dtype=np.float32)
    return {
        "x": random_array(rng, getattr(op, "dtype", "uint8"), count),
        "a": random_array(rng, "uint8", 925).reshape(5, 5, 37),
        "b": random_array(rng, "uint8", 37).reshape(1, 1, 37),
        "index": np.array([-9, 8, 0, -1, 3]),
        "weight": rng.integers(-127, 128, (37, 3, 3, 1)).astype(np.int8),
        "bias": rng.integers(-1000, 1000, 37).astype(np.int32),
        "scale": np.array([0.03], np.float32),
        "zero_point": np.array([77], np.int32),
        "zero_points": np.array([77, 130], np.int32),
        "multiplier": multiplier, "significand": significand, "shift": shift,
        "residual": random_array(rng, "uint8", int(np.prod(out_shape))).reshape(out_shape),
        "residual_multiplier": np.array([-0.4], np.float32),
        "residual_significand": np.rint(np.ldexp(-0.4, shift)).astype(np.int64),
        "params": np.array([-5, -120, 127, 9] if out_dtype == "int8" else [120, 3, 250, 9],
                           np.int32),
        "table": random_array(rng, out_dtype, 256),
        "y": np.zeros(out_shape, out_dtype),
        "row_index": np.stack([np.arange(7) // 2, (np.arange(7) + 1) // 2], 1),
        "col_index": np.stack([np.arange(7) // 2, (np.arange(7) + 1) // 2], 1),
        "row_weight": np.stack([1 - part, part], 1),
        "col_weight": np.stack([part, 1 - part], 1),
    }


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level[0].name)
@pytest.mark.parametrize("name", CASES)
def test_every_family_equals_its_reference(run_kernel, random_array, level, name):
    target, needed = level
    missing = needed - cpu_flags(CPUINFO)
    if missing:
        pytest.skip(f"this CPU lacks {', '.join(sorted(missing))}")
    op, reference, operands, out_shape = CASES[name]
    isa = isa_of(target)
    arrays = make_arrays(random_array, op, out_shape)
    expected = reference(op, arrays)
    kernel = select(op, isa)
    y = run_kernel(kernel, op, isa, [arrays[n] for n in operands], arrays,
                   np.zeros(out_shape, expected.dtype))
    np.testing.assert_array_equal(y.reshape(-1), expected.reshape(-1))
    assert len(np.unique(y)) > 1, "a constant output would hide errors"


def test_every_operation_type_has_a_kernel():
    assert {type(case[0]) for case in CASES.values()} <= {kind for kind, _ in kernel_table()}
