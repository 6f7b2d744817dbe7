"""Give each reader of gathered features a Gather of its own, where a kernel makes one vanish.

``g = Gather(x, i); Mul(c, g); Add(g, .)`` -> ``Mul(c, Gather(x, i)); Add(Gather(x, i), .)``

A kernel of message passing reads the features in place: nothing is as long as the edges. A
Gather that something else reads as well would have to be made for it in any case, and rounded
on the way; one for each costs nothing where the kernel takes it.
"""

import onnx_ir as ir

from octavo.passes.constants import NameSource
from octavo.passes.message_passing.edge_trace import GATHERS
from octavo.passes.message_passing.find import find_message_passing
from octavo.passes.message_passing.forms import form_of
from octavo.passes.message_passing.segments import is_reducing_scatter
from octavo.passes.wiring import is_op


class SeparateGathers(ir.passes.InPlacePass):
    """Separate the Gathers of message passing from those of everything else."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        graph, names = model.graph, NameSource(model.graph)
        if not any(is_reducing_scatter(node) for node in graph):
            return ir.passes.PassResult(model, modified=False)
        shared = sum(_leave_others(graph, names))
        inner = sum(_leave_form(graph, names))
        return ir.passes.PassResult(model, modified=shared + inner > 0)


def _leave_others(graph: ir.Graph, names: NameSource) -> list[bool]:
    """Separate Gathers that something outside the message passing reads."""
    return [
        _separate(graph, names, gathered.node, set(passing.nodes))
        for passing in find_message_passing(graph)
        for gathered in (*passing.gathered, *passing.coefficient_inputs)
        if gathered.node not in passing.nodes
    ]


def _leave_form(graph: ir.Graph, names: NameSource) -> list[bool]:
    """Separate Gathers of a kernel that the rest of the same message passing reads."""
    separated = []
    for passing in find_message_passing(graph):
        form = form_of(passing)
        if isinstance(form, str):
            continue
        inside = set(form.nodes)
        separated += [
            _separate(graph, names, node, inside)
            for node in form.nodes
            if is_op(node, *GATHERS) and node.outputs[0] is not form.output
        ]
    return separated


def _separate(
    graph: ir.Graph, names: NameSource, gather: ir.Node, inside: set[ir.Node]
) -> bool:
    """Let readers inside have the Gather, and those outside a copy of it; whether both are."""
    output = gather.outputs[0]
    uses = list(output.uses())
    taken = [use for use in uses if use.node in inside]
    if not taken or (len(taken) == len(uses) and not output.is_graph_output()):
        return False
    copy = ir.node(
        gather.op_type,
        list(gather.inputs),
        dict(gather.attributes),
        name=names.fresh(f"{gather.name}_inside"),
    )
    result = copy.outputs[0]
    result.name = names.fresh(f"{output.name}_inside")
    result.type, result.shape = output.type, output.shape
    graph.insert_after(gather, copy)
    for use in taken:
        use.node.replace_input_with(use.idx, result)
    return True
