"""Last passes over a draft: dead code, outputs without a node of their own, names."""

import onnx

from octavo.compiler.importer.draft import Draft, rename_inputs


def remove_dead_code(draft: Draft) -> None:
    """Drop nodes that no output depends on, then constants that nobody reads."""
    needed = set(draft.outputs)
    kept = []
    for node in reversed(draft.nodes):
        if needed.intersection(name for name in node.output if name):
            needed.update(node.input)
            kept.append(node)
    draft.nodes = kept[::-1]
    draft.constants = {k: v for k, v in draft.constants.items() if k in needed}
    live = needed.union(draft.inputs, *(node.output for node in draft.nodes))
    draft.types = {name: value for name, value in draft.types.items() if name in live}


def settle_outputs(draft: Draft) -> None:
    """Give every output a node that computes it, without an Identity where that is possible.

    Identity(x) -> y disappears if a node computes x and x is not an output itself: that node
    then writes y. A constant becomes an output through an Identity.
    """
    protected = {*draft.inputs, *draft.outputs, *draft.constants}
    producers = draft.producers()
    renamed: dict[str, str] = {}
    kept = []
    for node in draft.nodes:
        source = node.input[0] if node.input else ""
        if node.op_type == "Identity" and source not in protected and source not in renamed:
            producer = producers[source]
            producer.output[list(producer.output).index(source)] = node.output[0]
            renamed[source] = node.output[0]
        else:
            kept.append(node)
    for node in kept:
        rename_inputs(node, renamed)
    draft.nodes = kept
    for name in draft.outputs:
        if name in draft.constants:
            source = draft.fresh(f"{name}/value")
            draft.constants[source] = draft.constants.pop(name)
            draft.types[source] = draft.types[name]
            for node in draft.nodes:
                rename_inputs(node, {name: source})
            draft.nodes.append(onnx.helper.make_node("Identity", [source], [name]))


def name_nodes(draft: Draft) -> None:
    """Give every node a name of its own; an unnamed one is called after its operator."""
    taken: set[str] = set()
    for node in draft.nodes:
        base = node.name or f"{node.op_type}_{next(filter(None, node.output))}"
        name, suffix = base, 0
        while name in taken:
            suffix += 1
            name = f"{base}_{suffix}"
        taken.add(name)
        node.name = name
