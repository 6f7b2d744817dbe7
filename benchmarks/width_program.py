"""A program whose steps are convolutions that share their input and output memory."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.lowering.builder import Origin, ProgramBuilder
from octavo.compiler.lowering.program import Buffer, Port, Program
from octavo.compiler.lowering.tensor import Tensor, channels_last, dense_strides
from octavo.targets.base import Target
from octavo.targets.ops.conv import Conv

NAME = "widths"
FLOAT_BYTES = 4


def width_program(target: Target, ops: Sequence[Conv]) -> Program:
    """Emit one step for each operation, in this order.

    Args:
        target: What to generate code for.
        ops: INT8 or float.
    """
    builder = ProgramBuilder(target)
    source, result = (
        builder.arena(name, FLOAT_BYTES * max(elements), persistent=True)
        for name, elements in (
            ("source", [op.in_elements for op in ops]),
            ("result", [op.out_elements for op in ops])))
    rng = np.random.default_rng(0)
    for op in ops:
        x = _tensor(source, op.dtype, (op.batch, op.in_c, op.in_h, op.in_w))
        y = _tensor(result, op.dtype, (op.batch, op.out_c, op.out_h, op.out_w))
        placement = "float32" if op.dtype == "float32" else "int8"
        origin = Origin(f"{op.in_c}_{op.out_c}_{placement}")
        builder.call(op, [x], _arrays(op, rng), [y], origin, placement)
    return builder.program(NAME, [], [Port("result", "uint8", (result.num_bytes,), result)])


def _tensor(buffer: Buffer, dtype: str, shape: tuple[int, ...]) -> Tensor:
    return Tensor(buffer, dtype, shape, dense_strides(shape, channels_last(4)))


def _arrays(op: Conv, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    shape = (op.out_c, op.kernel_h, op.kernel_w, op.group_in)
    if op.dtype == "float32":
        return {
            "weight": rng.normal(0, 1, shape).astype(np.float32),
            "bias": np.zeros(op.out_c, np.float32),
            "limits": np.array([-np.inf, np.inf], np.float32),
        }
    limits = np.iinfo(op.requantize.dtype)
    return {
        "weight": rng.integers(-127, 127, shape, np.int8, endpoint=True),
        "bias": np.zeros(op.out_c, np.int32),
        "zero_point": np.zeros(1, np.int32),
        "params": np.array([0, limits.min, limits.max, 0], np.int32),
        "multiplier": np.full(op.out_c, 1e-3, np.float32),
    }
