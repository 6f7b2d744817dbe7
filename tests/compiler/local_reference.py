"""Compare a compiled model with onnxruntime region by region.

Every quantized tensor becomes an output of the compiled model. onnxruntime gets the same
graph, cut at those tensors and fed with our integers: it computes each region from what ours
computed, so that one difference of rounding does not grow on its way through the network.
"""

import numpy as np
import onnx
from tests.compiler.lowering.qdq_builder import run_reference

OURS = "_ours"


def expose_quantized(model):
    """A copy of a QDQ model whose outputs hold the result of every QuantizeLinear as well."""
    exposed = onnx.ModelProto()
    exposed.CopyFrom(model)
    known = {v.name: v for v in (*model.graph.value_info, *model.graph.output)}
    names = {output.name for output in model.graph.output}
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear" and node.output[0] not in names:
            exposed.graph.output.append(known[node.output[0]])
    return exposed


def cut_at_quantized(model):
    """The model with an input in front of every reader of a quantized tensor."""
    cut = onnx.ModelProto()
    cut.CopyFrom(model)
    known = {v.name: v for v in (*model.graph.value_info, *model.graph.output)}
    quantized = {n.output[0] for n in model.graph.node if n.op_type == "QuantizeLinear"}
    for node in cut.graph.node:
        for index, name in enumerate(node.input):
            if name in quantized:
                node.input[index] = name + OURS
    for name in sorted(quantized):
        value = onnx.ValueInfoProto()
        value.CopyFrom(known[name])
        value.name += OURS
        cut.graph.input.append(value)
    return cut


def local_differences(exposed, feeds, ours):
    """Per output: what we computed and what onnxruntime computes from our intermediates."""
    cut = cut_at_quantized(exposed)
    wanted = {value.name for value in cut.graph.input}
    given = {k: v for k, v in feeds.items() if k in wanted}
    given |= {name + OURS: ours[name] for name in ours if name + OURS in wanted}
    reference = run_reference(cut, given)
    return {name: (ours[name], reference[name]) for name in reference}


def worst_difference(mine, reference, relative):
    """In steps for integers, in units of the tolerance for floats; NaN equals NaN."""
    assert mine.shape == reference.shape
    assert mine.dtype == reference.dtype
    if mine.dtype.kind in "iub":
        return float(np.abs(mine.astype(np.int64) - reference.astype(np.int64)).max(initial=0))
    finite = np.isfinite(reference)
    assert (np.isfinite(mine) == finite).all()
    largest = max(1e-30, float(np.abs(reference[finite]).max(initial=0)))
    return float(np.abs(mine - reference)[finite].max(initial=0) / (relative * largest))
