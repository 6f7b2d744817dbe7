"""Plot a comparison: how much longer each peer takes than our INT8, network by network."""

from pathlib import Path
from typing import Any

from benchmarks.verdict import PEERS, Rows, verdicts

WIDTH, ROW_HEIGHT = 340, 26  # pixels
COLORS = ("#4c78a8", "#e45756", "#f2a541")
SHAPES = ("square", "circle", "triangle-up")


def points(rows: Rows) -> list[dict[str, Any]]:
    """Return one record for each peer's best program of each row."""
    return [
        {
            "network": verdict.name,
            "threads": f"{threads} thread{'s' * (threads > 1)}",
            "runtime": peer,
            "precision": entry["precision"],
            "ratio": entry["median_ms"] / verdict.ours_ms,
        }
        for threads in (1, 2)
        for verdict in verdicts(rows, threads)
        for peer, entry in verdict.best.items()
        if entry is not None
    ]


def save_plot(rows: Rows, path: Path) -> None:
    """Draw the ratios of `points` on a logarithmic axis.

    Args:
        rows: Of a comparison.
        path: .svg or .png file.
    """
    import altair as alt

    data = alt.Data(values=points(rows))
    title = "time relative to Octavo INT8 (logarithmic; right of the line is slower)"
    base = alt.Chart().encode(
        y=alt.Y("network:N", sort=list(rows), title=None, axis=alt.Axis(grid=True))
    )
    marks = base.mark_point(filled=True, size=90, opacity=0.9).encode(
        x=alt.X("ratio:Q", scale=alt.Scale(type="log", nice=False), title=title),
        color=alt.Color("runtime:N", scale=alt.Scale(domain=PEERS, range=COLORS), title=None),
        shape=alt.Shape("runtime:N", scale=alt.Scale(domain=PEERS, range=SHAPES), title=None),
    )
    labels = base.mark_text(dy=-9, fontSize=8, color="#555").encode(
        x="ratio:Q", text="precision:N"
    )
    line = alt.Chart().mark_rule(strokeDash=[4, 3], color="#333").encode(x=alt.datum(1))
    chart = (
        alt.layer(marks, labels, line, data=data)
        .properties(width=WIDTH, height=ROW_HEIGHT * len(rows))
        .facet(column=alt.Column("threads:N", title=None))
        .configure(background="white", font="sans-serif")
        .configure_legend(orient="top")
    )
    chart.save(path)
