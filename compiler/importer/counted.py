"""Build a model with dimensions that are counted at run time: one more input for each."""

from collections.abc import Callable, Mapping

import onnx
import onnx_ir as ir

from octavo.compiler.importer.build import build_model
from octavo.compiler.importer.draft import Draft, ValueType
from octavo.compiler.importer.varying import beginning_axes, varying_axes
from octavo.errors import ModelError
from octavo.passes.message_passing.counted_axes import CountedAxis, counted_axes
from octavo.passes.message_passing.counted_rows import check_rows
from octavo.passes.message_passing.counts import Count, declare_counts

COUNT_TYPE = ValueType(onnx.TensorProto.INT64, (1,))


def build_counted(
    draft: Draft,
    maxima: Mapping[str, int],
    read: Callable[[Mapping[str, int]], Draft],
) -> ir.Model:
    """Return the draft as a model whose counts are declared and checked.

    Args:
        draft: Imported with the largest sizes; gets an input for each dimension.
        maxima: Those sizes, by the dimensions' names.
        read: Imports the same model with other sizes.

    Raises:
        ModelError: The model does not let a dimension vary, or what is beyond the count could
            change a result.
    """
    axes = {name: _axes(draft, maxima, name, read) for name in maxima}
    counts = tuple(_count(draft, name, maxima[name], axes[name]) for name in maxima)
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


def _axes(
    draft: Draft,
    maxima: Mapping[str, int],
    name: str,
    read: Callable[[Mapping[str, int]], Draft],
) -> dict[str, int]:
    maximum = maxima[name]
    try:
        smaller = read({**maxima, name: maximum - 1})
    except ModelError as error:
        raise ModelError(f"dimension '{name}' cannot have another size: {error}") from error
    return varying_axes(draft, smaller, name, maximum)


def _count(draft: Draft, name: str, maximum: int, axes: Mapping[str, int]) -> Count:
    return Count(
        dimension=name,
        input=draft.fresh(name),
        maximum=maximum,
        inputs={key: axes[key] for key in draft.inputs if key in axes},
        outputs={key: axes[key] for key in draft.outputs if key in axes},
        constants=beginning_axes(draft, axes),
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
