"""The part of a model that computes chosen tensors, so that nothing else runs."""

from collections.abc import Sequence

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass


def ending_at(model: ir.Model, tensors: Sequence[str]) -> tuple[ir.Model, list[ir.Value]]:
    """A copy that ends with these tensors, and the tensors in it; inputs stay as they are.

    Args:
        model: Not changed.
        tensors: Names of computed values or inputs.
    """
    part = model.clone()
    graph = part.graph
    known = {v.name: v for v in (*graph.inputs, *(o for n in graph for o in n.outputs))}
    found = [known[name] for name in tensors]
    inputs = set(graph.inputs)
    computed = [value for value in dict.fromkeys(found) if value not in inputs]
    graph.outputs[:] = computed
    RemoveUnusedNodesPass()(part)
    return part, found
