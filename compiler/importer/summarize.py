"""Count what a model consists of.

Multiply-accumulates (MACs) of one run:

- Conv, ConvInteger: output elements x C_in / group x kernel elements
- ConvTranspose: input elements x C_out / group x kernel elements
- Gemm, MatMul, MatMulInteger: output elements x length of the common axis
- LSTM, GRU, RNN: steps x batch x (elements of W + elements of R), over all directions

Other operators count 0: they multiply at most once for each element.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnx

from octavo.compiler.importer.draft import OPSET, Draft, attributes_of
from octavo.compiler.importer.inspect import ModelSummary, NodeSummary, TensorSummary

if TYPE_CHECKING:
    import onnx_ir as ir


@dataclass(frozen=True)
class _Node:
    """What both kinds of model offer: values by name, "" for an absent one."""

    name: str
    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    trans_a: bool


def summarize_draft(draft: Draft) -> ModelSummary:
    """Summarize a model that is being imported."""
    tensors = {
        name: TensorSummary(name, _dtype_name(value.dtype), value.shape)
        for name, value in draft.types.items()
    }
    nodes = []
    for node in draft.nodes:
        trans_a = node.op_type == "Gemm" and bool(attributes_of(node).get("transA", 0))
        nodes.append(
            _Node(node.name, node.op_type, tuple(node.input), tuple(node.output), trans_a)
        )
    return _summarize(
        draft.name, draft.inputs, draft.outputs, draft.constants, tensors, nodes, OPSET
    )


def summarize_model(model: "ir.Model") -> ModelSummary:
    """Summarize an imported model."""
    graph = model.graph
    values = [*graph.inputs, *graph.initializers.values()]
    values += [value for node in graph for value in node.outputs]
    tensors = {}
    for value in values:
        if value.name and value.shape is not None and value.dtype is not None:
            shape = tuple(int(dim) for dim in value.shape.numpy())
            tensors[value.name] = TensorSummary(
                value.name, _dtype_name(int(value.dtype)), shape
            )
    nodes = [
        _Node(
            node.name or "",
            node.op_type,
            tuple((value.name or "") if value is not None else "" for value in node.inputs),
            tuple(value.name or "" for value in node.outputs),
            bool(node.attributes.get_int("transA", 0)),
        )
        for node in graph
    ]
    return _summarize(
        graph.name or "main",
        [value.name or "" for value in graph.inputs],
        [value.name or "" for value in graph.outputs],
        graph.initializers,
        tensors,
        nodes,
        graph.opset_imports.get("", OPSET),
    )


def _summarize(
    name: str,
    inputs: Iterable[str],
    outputs: Iterable[str],
    constants: Iterable[str],
    tensors: Mapping[str, TensorSummary],
    nodes: Iterable[_Node],
    opset: int,
) -> ModelSummary:
    sizes = {key: _num_bytes(tensors[key]) for key in constants}
    summaries = tuple(
        NodeSummary(
            node.name,
            node.op_type,
            tuple(tensors[value] for value in node.inputs if value in tensors),
            tuple(tensors[value] for value in node.outputs if value in tensors),
            _macs(node, tensors),
            sum(sizes.get(value, 0) for value in dict.fromkeys(node.inputs)),
        )
        for node in nodes
    )
    return ModelSummary(
        name,
        opset,
        tuple(tensors[value] for value in inputs),
        tuple(tensors[value] for value in outputs),
        summaries,
        sum(node.macs for node in summaries),
        sum(math.prod(tensors[key].shape) for key in sizes),
        sum(sizes.values()),
    )


def _macs(node: _Node, tensors: Mapping[str, TensorSummary]) -> int:
    shapes = [tensors[value].shape if value in tensors else () for value in node.inputs]
    result = tensors[node.outputs[0]].shape if node.outputs[0] in tensors else ()
    match node.op_type:
        case "Conv" | "ConvInteger":
            return math.prod(result) * math.prod(shapes[1][1:])
        case "ConvTranspose":
            return math.prod(shapes[0]) * math.prod(shapes[1][1:])
        case "MatMul" | "MatMulInteger":
            return math.prod(result) * shapes[0][-1]
        case "Gemm":
            return math.prod(result) * shapes[0][0 if node.trans_a else 1]
        case "LSTM" | "GRU" | "RNN":
            steps_and_batch = math.prod(shapes[0][:2])
            return steps_and_batch * (math.prod(shapes[1]) + math.prod(shapes[2]))
    return 0


def _dtype_name(dtype: int) -> str:
    return str(onnx.helper.tensor_dtype_to_np_dtype(dtype).name)


def _num_bytes(tensor: TensorSummary) -> int:
    # ml_dtypes holds one narrow number in a byte, a file holds two or four
    narrow = {"int2": 2, "uint2": 2, "int4": 4, "uint4": 4}
    num_bits = narrow.get(tensor.dtype) or 8 * np.dtype(tensor.dtype).itemsize
    return (math.prod(tensor.shape) * num_bits + 7) // 8
