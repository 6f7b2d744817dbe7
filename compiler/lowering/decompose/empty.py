"""Tensors without elements: what is computed from them alone is a constant."""

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from octavo.compiler.lowering.decompose.fragment import Fragment
from octavo.errors import LoweringError


def fold_empty(model: onnx.ModelProto) -> None:
    """Node(empty or constant inputs) -> constant, with ONNX's own reference; in place."""
    fragment = Fragment(model)
    produced = [name for node in model.graph.node for name in node.output]
    names = [value.name for value in model.graph.input] + produced
    empty = {n for n in names if fragment.is_known(n) and 0 in fragment.shape(n)}
    if not empty:
        return
    kept = []
    for node in model.graph.node:
        used = [name for name in node.input if name]
        is_fixed = all(n in empty or fragment.value(n) is not None for n in used)
        if not (is_fixed and empty.intersection(used)):
            kept.append(node)
            continue
        for name, array in zip(node.output, _evaluate(node, model, fragment), strict=True):
            made = fragment.constant(array)
            kept.append(helper.make_node("Identity", [made], [name]))
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _evaluate(
    node: onnx.NodeProto, model: onnx.ModelProto, fragment: Fragment
) -> list[np.ndarray]:
    used = list(dict.fromkeys(name for name in node.input if name))
    feeds = {}
    for name in used:
        value = fragment.value(name)
        if value is None:
            dtype = helper.tensor_dtype_to_np_dtype(fragment.dtype(name))
            value = np.zeros(fragment.shape(name), dtype)
        feeds[name] = value
    tensors = [numpy_helper.from_array(value, name) for name, value in feeds.items()]
    outputs = [
        helper.make_tensor_value_info(name, fragment.dtype(name), fragment.shape(name))
        for name in node.output
    ]
    graph = helper.make_graph([node], "empty", [], outputs, tensors)
    alone = helper.make_model(graph, opset_imports=list(model.opset_import))
    try:
        with np.errstate(all="ignore"):
            return [np.asarray(array) for array in ReferenceEvaluator(alone).run(None, {})]
    except Exception as error:  # whatever numpy raises where a mean of nothing is taken
        raise LoweringError(
            f"{node.op_type} {node.name!r}: of a tensor without elements"
        ) from error
