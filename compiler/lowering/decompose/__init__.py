"""Operators that TVM cannot import, rewritten to operators that it can.

Two ways: ONNX defines some operators as functions of simpler ones, which are inlined; the rest
have a rewrite of their own here. A rewrite leaves what TVM takes as it is.
"""

from collections.abc import Callable

import onnx
import onnx.inliner

from octavo.compiler.lowering.decompose.arithmetic import (
    conv_integer,
    eye_like,
    is_inf,
    power,
    reduce_bool,
    swish,
)
from octavo.compiler.lowering.decompose.empty import fold_empty
from octavo.compiler.lowering.decompose.fragment import Fragment
from octavo.compiler.lowering.decompose.geometry import center_crop_pad, col2im, pad, resize
from octavo.compiler.lowering.decompose.half import HALF, widen
from octavo.compiler.lowering.decompose.normalization import (
    layer_normalization,
    lp_normalization,
)
from octavo.compiler.lowering.decompose.ordering import cum_sum, one_hot, top_k
from octavo.compiler.lowering.decompose.recurrent import recurrent
from octavo.compiler.lowering.decompose.signal import dft, stft

# Makes nodes through the fragment; False, and none made, where TVM takes the node as it is.
Rewrite = Callable[[onnx.NodeProto, Fragment], bool]

REWRITES: dict[str, Rewrite] = {
    "CenterCropPad": center_crop_pad,
    "Col2Im": col2im,
    "ConvInteger": conv_integer,
    "CumSum": cum_sum,
    "DFT": dft,
    "EyeLike": eye_like,
    "GRU": recurrent,
    "IsInf": is_inf,
    "LSTM": recurrent,
    "LayerNormalization": layer_normalization,
    "LpNormalization": lp_normalization,
    "MatMul": widen,
    "OneHot": one_hot,
    "Pad": pad,
    "Pow": power,
    "RNN": recurrent,
    "ReduceMax": reduce_bool,
    "ReduceMin": reduce_bool,
    "ReduceMean": widen,
    "ReduceSum": widen,
    "Resize": resize,
    "STFT": stft,
    "Softmax": widen,
    "Swish": swish,
    "TopK": top_k,
}

# Functions of ONNX's own that TVM has no converter for.
FUNCTIONS = (
    "BlackmanWindow",
    "Celu",
    "HammingWindow",
    "HannWindow",
    "NegativeLogLikelihoodLoss",
    "RotaryEmbedding",
    "SoftmaxCrossEntropyLoss",
)


# The same, inlined only where their sums would be added up in 16 bits.
SUMMING_FUNCTIONS = ("Attention",)


def decompose(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rewrite what TVM cannot import.

    Args:
        model: Static shapes; may be changed.

    Returns:
        The model to use.

    Raises:
        LoweringError: A rewrite exists, but not for this case.
    """
    names: tuple[str, ...] = FUNCTIONS
    if any(value.type.tensor_type.elem_type in HALF for value in model.graph.input):
        names = (*FUNCTIONS, *SUMMING_FUNCTIONS)
    if any(node.op_type in names for node in model.graph.node):
        model = onnx.inliner.inline_selected_functions(
            model, [("", name) for name in names], inline_schema_functions=True
        )
    fold_empty(model)
    if not any(node.op_type in REWRITES for node in model.graph.node):
        return model
    fragment = Fragment(model)
    nodes: list[onnx.NodeProto] = []
    for node in model.graph.node:
        rewrite = REWRITES.get(node.op_type)
        fragment.made = []
        if rewrite is not None and rewrite(node, fragment):
            nodes.extend(fragment.made)
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model
