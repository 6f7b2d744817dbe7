"""Whether rows of a counted dimension that are not in use can change those that are.

They cannot where every operator works on each row alone, and where rows are brought together
by scatters with a reduction and one number for each row, which stop at the count. All else is
refused, and so is what is not known.
"""

from collections.abc import Mapping

import onnx_ir as ir

from octavo.errors import ModelError
from octavo.passes.message_passing.axes import Shared, axis_of_input
from octavo.passes.message_passing.counted_axes import CountedAxis
from octavo.passes.message_passing.segments import is_reducing_scatter, match_segments
from octavo.passes.wiring import int_attribute, is_op, static_shape

Known = Mapping[ir.Value, CountedAxis]

# What makes all rows alike, numbers them or takes some: of constants, fewer rows are the
# first ones.
_MAKERS = ("ConstantOfShape", "Expand", "Range", "Slice")


def check_rows(graph: ir.Graph, known: Known) -> None:
    """Refuse a graph whose results could depend on rows that are not in use.

    Args:
        graph: Topologically sorted, static shapes.
        known: The counted axis of every value that has one.

    Raises:
        ModelError: Naming the first node in the way, and the dimension.
    """
    by_index = _scatters_by_index(graph)
    for node in graph:
        operands = [value for value in node.inputs if value is not None and value in known]
        made = [value for value in node.outputs if value in known]
        if not operands and not made:
            continue
        if not operands:
            fine = is_op(node, *_MAKERS)
        elif node in by_index:
            fine = by_index[node] is None or _scatters(node, by_index[node] or 0, known)
        elif is_op(node, "Gather", "GatherElements", "GatherND") and node.inputs[1] in known:
            fine = _gathers(node, known)
        else:
            fine = len(made) == len(node.outputs) and _works_on_rows(node, known)
        if not fine:
            one = known[(operands or made)[0]].count
            raise ModelError(
                f"{node.op_type} '{node.name}' does not work on each row of dimension"
                f" '{one.dimension}' alone: how many of its {one.maximum} rows are in use is"
                " known only at run time; message passing, what is computed for each row and"
                " pooling by an index may read it"
            )


def _scatters_by_index(graph: ir.Graph) -> dict[ir.Node, int | None]:
    """The axis of each understood scatter; None for what only prepares the base of one."""
    found: dict[ir.Node, int | None] = {}
    for node in graph:
        segments = match_segments(node) if is_reducing_scatter(node) else ""
        if isinstance(segments, str):
            continue
        found |= dict.fromkeys(segments.base_nodes)
        found[node] = segments.axis
    return found


def _scatters(node: ir.Node, axis: int, known: Known) -> bool:
    """Rows to scatter all have the axis of the index; what they are added to may have its own.

    Args:
        node: A scatter with a reduction.
        axis: Of rows in the values, and of nodes in the base.
        known: Of its operands.
    """
    base, index, values = (known.get(v) if v is not None else None for v in node.inputs[:3])
    place = axis if is_op(node, "ScatterElements") else 0
    if base is not None and (base.axis != axis or known.get(node.outputs[0]) != base):
        return False
    if base is None and node.outputs[0] in known:
        return False
    if index is None and values is None:
        return True
    if index is None or values is None:
        return False
    return (index.axis, values.axis, index.count) == (place, axis, values.count)


def _gathers(node: ir.Node, known: Known) -> bool:
    """Each index picks a row: of any dimension, but along that one."""
    shape = static_shape(node.inputs[0])
    table = known.get(node.inputs[0]) if node.inputs[0] is not None else None
    if shape is None or len(node.outputs) != 1 or node.outputs[0] not in known:
        return False
    if table is None:
        return True
    if is_op(node, "GatherND"):
        return table.axis == 0 and not int_attribute(node, "batch_dims", 0)
    return table.axis == int_attribute(node, "axis", 0) % len(shape)


def _works_on_rows(node: ir.Node, known: Known) -> bool:
    """Whether a row of every output is made of the same row of the operands."""
    wanted = known[node.outputs[0]]
    if any(known[output] != wanted for output in node.outputs):
        return False
    for position, operand in enumerate(node.inputs):
        if operand is None:
            continue
        before = axis_of_input(node, position, wanted.axis)
        if before is None:
            return False
        expected = None if isinstance(before, Shared) else CountedAxis(before, wanted.count)
        if known.get(operand) != expected:
            return False
    return True
