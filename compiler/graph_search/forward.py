"""A network as its layers' formulas one behind the other."""

from octavo.compiler.graph_search.layers import LAYER_KINDS
from octavo.compiler.graph_search.operators import GraphOperators, T
from octavo.compiler.graph_search.space import Architecture, Block


def block_output(ops: GraphOperators[T], block: Block, x: T, name: str, num_heads: int) -> T:
    """(N, C_out) of one layer: its formula, the shortcut, the activation.

    Args:
        ops: Computes or writes.
        block: What the layer is.
        x: (N, C_in).
        name: Of the layer: the beginning of its weights' names.
        num_heads: Of attention.
    """
    kind = LAYER_KINDS[block.kind]
    y = kind.formula(ops, x, name, num_heads)
    if block.shortcut:
        y = ops.add(y, ops.linear(x, f"{name}.shortcut", kind.input_role))
    activated: T = ops.activation(y, block.activation)
    return activated


def network_output(
    operators: dict[str, GraphOperators[T]], architecture: Architecture, x: T
) -> T:
    """(N, classes) of x (N, F).

    Args:
        operators: By the name of the layer that they serve.
        architecture: The network.
        x: Features of the nodes.
    """
    rows = zip(architecture.blocks, architecture.names, architecture.num_heads, strict=True)
    for block, name, num_heads in rows:
        x = block_output(operators[name], block, x, name, num_heads)
    return x
