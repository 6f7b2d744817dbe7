"""The two products of attention, as far as the layout of their operands needs them."""

from octavo.targets.ops.attention import Attention
from octavo.targets.ops.matmul import MatMul


def key_product(op: Attention) -> MatMul:
    """Queries times keys, for the layout of the packed keys."""
    return MatMul(
        batch=op.batch, rows=op.rows, cols=op.columns, depth=op.depth,
        a_strides=op.q_strides, b_strides=op.k_strides, y_strides=op.q_strides,
        a_elements=op.q_elements, b_elements=op.k_elements, y_elements=1,
        a_dtype=op.q_dtype, b_dtype=op.k_dtype,
    )  # fmt: skip


def value_product(op: Attention) -> MatMul:
    """Weights times values, for the layout of the packed values."""
    return MatMul(
        batch=op.batch, rows=op.rows, cols=op.width, depth=op.columns,
        a_strides=op.y_strides, b_strides=op.v_strides, y_strides=op.y_strides,
        a_elements=1, b_elements=op.v_elements, y_elements=op.y_elements,
        a_dtype="uint8", b_dtype=op.v_dtype,
    )  # fmt: skip
