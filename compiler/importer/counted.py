"""Build a model with dimensions that are counted at run time: one more input for each."""

from collections.abc import Mapping

import onnx
import onnx_ir as ir

from octavo.compiler.importer.build import build_model
from octavo.compiler.importer.draft import Draft, ValueType
from octavo.compiler.importer.request import Imported, Varying
from octavo.errors import ModelError
from octavo.passes.message_passing.counted_axes import CountedAxis, counted_axes
from octavo.passes.message_passing.counted_rows import check_rows
from octavo.passes.message_passing.counts import Count, declare_counts

COUNT_TYPE = ValueType(onnx.TensorProto.INT64, (1,))


def build_counted(imported: Imported) -> ir.Model:
    """Return a draft as a model whose counts are declared and checked.

    Args:
        imported: A draft with the largest sizes, and what varies; the draft gets an input for
            each dimension.

    Raises:
        ModelError: What is beyond the count could change a result.
    """
    draft = imported.draft
    counts = tuple(_count(draft, item) for item in imported.varying)
    axes = {item.dimension: item.axes for item in imported.varying}
    for count in counts:
        draft.inputs.append(count.input)
        draft.types[count.input] = COUNT_TYPE
    model = build_model(draft)
    declare_counts(model.graph, counts)
    exact = _exact(model.graph, counts, axes)
    check_rows(model.graph, exact)
    followed = counted_axes(model.graph)
    # Passes change the graph and follow the counts anew: they have to find the same.
    lost = next((value for value in exact if followed.get(value) != exact[value]), None)
    if lost is not None:
        raise ModelError(
            f"'{lost.name}' has dimension '{exact[lost].count.dimension}' in a place that"
            " cannot be followed through its operator"
        )
    return model


def _count(draft: Draft, item: Varying) -> Count:
    return Count(
        dimension=item.dimension,
        input=item.input,
        maximum=item.maximum,
        inputs={key: item.axes[key] for key in draft.inputs if key in item.axes},
        outputs={key: item.axes[key] for key in draft.outputs if key in item.axes},
        constants=item.constants,
    )


def _exact(
    graph: ir.Graph, counts: tuple[Count, ...], axes: Mapping[str, Mapping[str, int]]
) -> dict[ir.Value, CountedAxis]:
    """The counted axis of each value of the graph.

    Raises:
        ModelError: A value has two.
    """
    values = [*graph.inputs, *graph.initializers.values()]
    values += [output for node in graph for output in node.outputs]
    known: dict[ir.Value, CountedAxis] = {}
    for value in values:
        for count in counts:
            axis = axes[count.dimension].get(value.name or "")
            if axis is None:
                continue
            if value in known:
                raise ModelError(
                    f"'{value.name}' has dimensions '{known[value].count.dimension}' and"
                    f" '{count.dimension}': only one of its sizes may be known at run time"
                )
            known[value] = CountedAxis(axis, count)
    return known
