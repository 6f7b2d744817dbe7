"""Plot time for each channel against the number of channels; friendly widths are marked."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, COLUMNS = 320, 150, 2  # pixels of one sweep; sweeps beside each other


def save_plot(sweeps: Mapping[str, Sequence[Any]], path: Path) -> None:
    """Draw INT8 and float of every sweep on logarithmic axes.

    Args:
        sweeps: Name to rows of ``benchmarks.widths``.
        path: .svg or .png file.
    """
    import altair as alt

    charts = [_chart(alt, name, rows) for name, rows in sweeps.items()]
    grid = alt.vconcat(*(
        alt.hconcat(*charts[at : at + COLUMNS]) for at in range(0, len(charts), COLUMNS)))
    grid.configure(background="white", font="sans-serif").save(path)


def _chart(alt: Any, name: str, rows: Sequence[Any]) -> Any:
    values = [
        {"width": row.width, "us": us / row.width, "kind": kind,
         "is_friendly": kind == "INT8" and not row.waste}
        for row in rows for kind, us in (("INT8", row.int8_us), ("float", row.float_us))]
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X("width:Q", title="channels"),
        y=alt.Y("us:Q", title="us per channel", scale=alt.Scale(type="log", nice=False)),
        color=alt.Color("kind:N", title=None,
                        scale=alt.Scale(domain=["INT8", "float"],
                                        range=["#4c78a8", "#f2a541"])))
    marks = base.mark_point(filled=True, size=40).transform_filter("datum.is_friendly")
    chart = base.mark_line(strokeWidth=1.2) + marks
    return chart.properties(title=name, width=WIDTH, height=HEIGHT)
