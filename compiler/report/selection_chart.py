"""What operator selection found, layer by layer, as a chart."""

from octavo.compiler.report.charts import Chart
from octavo.compiler.report.paired_chart import Pair, paired_chart
from octavo.compiler.report.selection import DEFAULT, SelectedLayer, Selection, SelectionOption
from octavo.compiler.report.units import time_text


def selection_chart(selection: Selection | None) -> Chart | None:
    """Each layer: what it takes in front of the cheapest way in the other kind of arithmetic.

    Returns:
        The chart; None where no layer was chosen by itself.
    """
    layers = [row for row in selection.layers if row.chosen] if selection else []
    return paired_chart([_pair(layer) for layer in layers]) if layers else None


def _pair(layer: SelectedLayer) -> Pair:
    others = [
        option
        for option in layer.rejected
        if (option.placement != DEFAULT) != layer.is_float and option.latency_us is not None
    ]
    other = others[0] if others else None  # the cheapest comes first
    title = f"{layer.name}: {_text(layer.chosen)}; {_text(other)}"
    return Pair(
        behind_us=None if other is None else other.latency_us,
        front_us=None if layer.chosen is None else layer.chosen.latency_us,
        kind="float" if layer.is_float else "int8",
        title=title,
    )


def _text(option: SelectionOption | None) -> str:
    if option is None:
        return "no other arithmetic"
    time = "not measured" if option.latency_us is None else time_text(option.latency_us)
    return f"{option.candidate} {time}"
