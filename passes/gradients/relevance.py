"""Layer-wise relevance propagation: what each tensor contributed to an output.

Relevance R of an output goes back to what the output was computed from, and none is lost on
the way but what biases and the stabilizer keep:

- linear operators and pools, y = f(x): R_x = x * f'(R / (y + epsilon sign(y))), the epsilon
  rule, with f' the transposed function. A bias is an input too and gets its share.
- activations: R_x = R_y, the identity rule.
- LayerNormalization: the deviation that it divides by counts as a constant, which makes it
  linear. (The identity rule would keep the sum too, but leaves relevance at tensors that are 0
  where the output is not; the layer in front then divides by nearly nothing.)
- a product of two tensors that are both computed: half of R each, the uniform rule; where one
  is a gate, what a sigmoid or a softmax made, all of R goes to the other. Attention weights
  are such a gate: queries and keys get none.

Source: Bach et al., On Pixel-Wise Explanations, 2015, section 2.3, for the epsilon rule;
Montavon et al., Layer-Wise Relevance Propagation: An Overview, 2019, for the bias; Ali et al.,
XAI for Transformers: Better Explanations through Conservative Propagation, 2022, for softmax
and LayerNormalization; Arras et al., Explaining Recurrent Neural Network Predictions in
Sentiment Analysis, 2017, for gates; Achtibat et al., AttnLRP, 2024, section 3.3, for the
uniform and the identity rule.
"""

from collections.abc import Mapping, Sequence

import onnx_ir as ir

from octavo.passes.constants import constant_array
from octavo.passes.gradients.backward import Rule, one_output, propagate
from octavo.passes.gradients.derivatives import DERIVATIVES
from octavo.passes.gradients.emitter import Emitter, shape_of
from octavo.passes.gradients.layers import centred_and_deviation, normalized_mean
from octavo.passes.gradients.movement import MOVEMENT_DERIVATIVES
from octavo.passes.wiring import produced_by

STABILIZER = 1e-4  # of the mean magnitude of an output; it keeps about this share of R


def add_relevances(
    graph: ir.Graph, started: Mapping[ir.Value, ir.Value], wanted: Sequence[ir.Value]
) -> dict[ir.Value, ir.Value]:
    """Append nodes that compute relevances; see ``propagate``.

    Args:
        graph: With static shapes.
        started: Relevance that each value starts with, such as 1 at the predicted class.
        wanted: Values whose relevances are needed; biases too.

    Returns:
        The relevance of each wanted value that any reaches.

    Raises:
        ModelError: An operator on the way has no rule; the message names it.
    """
    return propagate(graph, started, wanted, RELEVANCES)


def _linear(
    e: Emitter, node: ir.Node, relevances: Sequence[ir.Value | None], position: int
) -> ir.Value | None:
    """The epsilon rule."""
    share = e.op("Div", one_output(relevances), _stabilized(e, node.outputs[0]))
    back = DERIVATIVES[node.op_type](e, node, [share], position)
    return None if back is None else e.op("Mul", node.inputs[position], back)


def _stabilized(e: Emitter, y: ir.Value) -> ir.Value:
    mean = e.op("ReduceMean", e.op("Abs", y), keepdims=0)
    # An output that is zero everywhere divides nothing but zeros.
    epsilon = e.op("Add", e.scaled(mean, STABILIZER), e.number(1e-30))
    away = e.op("Where", e.op("Less", y, e.number(0.0)), e.op("Neg", epsilon), epsilon)
    return e.op("Add", y, away)


def _identity(
    e: Emitter, node: ir.Node, relevances: Sequence[ir.Value | None], position: int
) -> ir.Value | None:
    return one_output(relevances) if position == 0 else None


def _none(
    e: Emitter, node: ir.Node, relevances: Sequence[ir.Value | None], position: int
) -> ir.Value | None:
    return None


def _product(
    e: Emitter, node: ir.Node, relevances: Sequence[ir.Value | None], position: int
) -> ir.Value | None:
    """Of two computed factors each gets half; of one, all; a divisor nothing."""
    other = node.inputs[1 - position]
    if constant_array(node.inputs[position]) is not None:
        return None
    if (node.op_type == "Div" and position == 1) or _is_gate(node.inputs[position]):
        return None
    alone = node.op_type == "Div" or constant_array(other) is not None or _is_gate(other)
    share = e.scaled(one_output(relevances), 1.0 if alone else 0.5)
    return e.summed_to(share, shape_of(node.outputs[0]), shape_of(node.inputs[position]))


def _matrix_product(
    e: Emitter, node: ir.Node, relevances: Sequence[ir.Value | None], position: int
) -> ir.Value | None:
    operand, other = node.inputs[position], node.inputs[1 - position]
    if constant_array(other) is not None or _is_gate(other):
        return _linear(e, node, relevances, position)
    if constant_array(operand) is not None or _is_gate(operand):
        return None
    half = e.scaled(one_output(relevances), 0.5)
    return _linear(e, node, [half], position)


def _is_gate(value: ir.Value | None) -> bool:
    """Whether a sigmoid or a softmax made a value, maybe moved since."""
    while (node := produced_by(value, *MOVEMENT_DERIVATIVES)) is not None:
        value = node.inputs[0]
    return produced_by(value, "HardSigmoid", "Sigmoid", "Softmax") is not None


def _layer_norm(
    e: Emitter, node: ir.Node, relevances: Sequence[ir.Value | None], position: int
) -> ir.Value | None:
    if position:
        return _linear(e, node, relevances, position) if position == 2 else None
    share = e.op("Div", one_output(relevances), _stabilized(e, node.outputs[0]))
    _, deviation = centred_and_deviation(e, node)
    t = e.op("Div", e.op("Mul", share, node.inputs[1]), deviation)
    return e.op("Mul", node.inputs[0], e.op("Sub", t, normalized_mean(e, node, t)))


def _layer(
    e: Emitter, node: ir.Node, relevances: Sequence[ir.Value | None], position: int
) -> ir.Value | None:
    """A linear layer; its bias is position 2."""
    if position == 2 or constant_array(node.inputs[1]) is not None:
        return _linear(e, node, relevances, position)
    return _matrix_product(e, node, relevances, position)


_ADDITIONS = (
    "Add", "AveragePool", "BatchNormalization", "GlobalAveragePool", "GlobalMaxPool",
    "MaxPool", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Resize", "Sub", "Sum",
)  # fmt: skip
_ACTIVATIONS = (
    "Abs", "Clip", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "Identity",
    "LeakyRelu", "Log", "Neg", "Pow", "PRelu", "Reciprocal", "Relu",
    "Selu", "Sigmoid", "Softplus", "Sqrt", "Tanh",
)  # fmt: skip

RELEVANCES: dict[str, Rule] = {
    **MOVEMENT_DERIVATIVES,
    **dict.fromkeys(_ADDITIONS, _linear),
    **dict.fromkeys(_ACTIVATIONS, _identity),
    **dict.fromkeys(("Conv", "ConvTranspose", "Gemm"), _layer),
    **dict.fromkeys(("Div", "Mul"), _product),
    **dict.fromkeys(("LogSoftmax", "Softmax"), _none),
    "LayerNormalization": _layer_norm,
    "MatMul": _matrix_product,
    **{op_type: DERIVATIVES[op_type] for op_type in ("Max", "Min", "Where")},
}
