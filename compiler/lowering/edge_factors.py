"""Factors of messages as kernels of integers take them: symmetric, with one scale."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.lowering.context import Context, conversion_of
from octavo.compiler.lowering.edge_lists import EdgeList
from octavo.compiler.lowering.qdq_graph import quantized_constant, shape_of
from octavo.compiler.lowering.tensor import Tensor, identity
from octavo.compiler.lowering.view import QdqView
from octavo.passes.message_passing.forms import Form


@dataclass(frozen=True, eq=False)
class EdgeFactors:
    """Numbers of edges.

    Attributes:
        dtype: "int8" or "uint8", the zero point 0.
        scale: Real value of one step.
        constant: (edges, heads) by the number of the edge; None where they are computed.
    """

    dtype: str
    scale: float
    constant: NDArray[np.integer] | None


def integer_factors(form: Form, view: QdqView) -> EdgeFactors | None:
    """The integers of a form's coefficients, or None where they are none of 8 bits.

    Args:
        form: With coefficients.
        view: The graph.
    """
    value = form.coefficients
    assert value is not None
    stored = quantized_constant(value)
    if stored is not None:
        name = stored.values.dtype.name
        if name not in ("int8", "uint8") or stored.scale.size != 1 or stored.zero_point.any():
            return None
        values = stored.values.reshape(form.num_edges, form.heads)
        return EdgeFactors(name, float(stored.scale.reshape(-1)[0]), values)
    params = view.params(value)
    if params is None or params.zero_point != 0 or params.is_word:
        return None
    return EdgeFactors(params.dtype, params.scale, None)


def factor_tensor(
    ctx: Context, form: Form, edges: EdgeList, factors: EdgeFactors | None
) -> Tensor:
    """Coefficients by the number of the edge, without gaps.

    Args:
        ctx: The program.
        form: With coefficients.
        edges: Its edges.
        factors: Their integers; None for float numbers.
    """
    value = form.coefficients
    assert value is not None
    order = identity(len(shape_of(value)))
    if factors is None:
        return ctx.float_tensor(value, order)
    known = edges.factors.get(value)
    if known is None and factors.constant is not None:
        known = ctx.constant(f"{value.name}.factors", factors.constant)
    elif known is None:
        origin = conversion_of(value, "factors", "Identity")
        dense = ctx.dense(ctx.tensor(value), order, origin)
        known = ctx.stored_as(dense, factors.dtype, origin)
    edges.factors[value] = known
    return known
