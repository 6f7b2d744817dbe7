"""What operator selection found, layer by layer, as a chart."""

from octavo.compiler.report.charts import Chart
from octavo.compiler.report.paired_chart import Pair, paired_chart
from octavo.compiler.report.selection import DEFAULT, SelectedLayer, Selection, SelectionOption


def selection_chart(selection: Selection | None) -> Chart | None:
    """Each layer: what it takes in front of the cheapest way in the other kind of arithmetic.

    Returns:
        The chart; None where no layer was chosen by itself.
    """
    layers = [row for row in selection.layers if row.chosen] if selection else []
    if selection is None or not layers:
        return None
    return paired_chart([_pair(layer, selection) for layer in layers], selection.text)


def _pair(layer: SelectedLayer, selection: Selection) -> Pair:
    others = [
        option
        for option in layer.rejected
        if (option.placement != DEFAULT) != layer.is_float and option.cost is not None
    ]
    other = others[0] if others else None  # the cheapest comes first
    title = f"{layer.name}: {_text(layer.chosen, selection)}; {_text(other, selection)}"
    return Pair(
        behind_us=None if other is None else other.cost,
        front_us=None if layer.chosen is None else layer.chosen.cost,
        kind="float" if layer.is_float else "int8",
        title=title,
    )


def _text(option: SelectionOption | None, selection: Selection) -> str:
    if option is None:
        return "no other arithmetic"
    time = "not measured" if option.cost is None else selection.text(option.cost)
    return f"{option.candidate} {time}"
