"""Vector-Jacobian products of a float network: the table of every operator's rule."""

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from octavo.passes.gradients.backward import Rule, propagate
from octavo.passes.gradients.elementwise import ELEMENTWISE_DERIVATIVES
from octavo.passes.gradients.layers import LAYER_DERIVATIVES
from octavo.passes.gradients.movement import MOVEMENT_DERIVATIVES
from octavo.passes.gradients.reductions import REDUCTION_DERIVATIVES
from octavo.passes.gradients.resize import RESIZE_DERIVATIVES

DERIVATIVES: dict[str, Rule] = {
    **ELEMENTWISE_DERIVATIVES,
    **LAYER_DERIVATIVES,
    **MOVEMENT_DERIVATIVES,
    **REDUCTION_DERIVATIVES,
    **RESIZE_DERIVATIVES,
}


def add_gradients(
    graph: ir.Graph, cotangents: Mapping[ir.Value, ir.Value], wanted: Sequence[ir.Value]
) -> dict[ir.Value, ir.Value]:
    """Append nodes that compute gradients; see ``propagate``.

    Where an operator has no derivative, at the corner of Relu, the gradient is one of the two
    on its sides. At equal maxima MaxPool chooses one, Max and ReduceMax choose all.

    Args:
        graph: With static shapes.
        cotangents: The gradient that arrives at each value from outside.
        wanted: Values whose gradients are needed.

    Returns:
        The gradient of each wanted value that the cotangents depend on.

    Raises:
        ModelError: An operator on the way has no rule; the message names it.
    """
    return propagate(graph, cotangents, wanted, DERIVATIVES)
