"""Table and plot of what graph networks cost, see graph_networks."""

from pathlib import Path
from typing import Any

from benchmarks.result_rows import Rows

OURS, OUR_FLOAT = "given int8", "given float32"
MIB = 1 << 20
WIDTH, HEIGHT = 420, 300  # pixels
# A line of this slope on logarithmic axes: ten times the edges, ten times the time.
GUIDE_EDGES = (1e4, 1e6)


def table(rows: Rows) -> str:
    """Markdown: milliseconds, gains, memory; one row of each network and size."""
    lines = [
        "| network | edges | stored int8, ms | given int8, ms | own float / int8, stored "
        "| given | ORT best float / int8, stored | given | ORT best INT8 / int8, given "
        "| its program | memory, MiB | of the plan |",
        "|---" * 12 + "|",
    ]
    for name, row in rows.items():
        ms = row["ms"]
        theirs = {k: v for k, v in ms.items() if k.startswith("ORT")}
        floats = {k: v for k, v in theirs.items() if k.endswith("float32")}
        integers = {k: v for k, v in theirs.items() if not k.endswith("float32")}
        best = min(integers, key=lambda k: integers[k]) if integers else ""
        share = row["resident_bytes"] / row["planned_bytes"]
        lines.append(
            f"| {name.split('/')[0]} | {row['edges']:,} "
            f"| {ms['stored int8']:.3g} | {ms[OURS]:.3g} "
            f"| {ms['stored float32'] / ms['stored int8']:.2f}x "
            f"| {ms[OUR_FLOAT] / ms[OURS]:.2f}x "
            f"| {_gain(floats, ms['stored int8'])} | {_gain(floats, ms[OURS])} "
            f"| {_gain(integers, ms[OURS])} | {best.removeprefix('ORT ')} "
            f"| {row['resident_bytes'] / MIB:.1f} | {share:.2f} |"
        )
    return "\n".join(lines)


def _gain(theirs: dict[str, float], ours_ms: float) -> str:
    return f"{min(theirs.values()) / ours_ms:.1f}x" if theirs else ""


def points(rows: Rows) -> list[dict[str, Any]]:
    """One record for each network, size and kind of graph."""
    return [
        {
            "network": name.split("/")[0],
            "edges": row["edges"],
            "graph": graph,
            "ms": row["ms"][f"{graph} int8"],
        }
        for name, row in rows.items()
        for graph in ("stored", "given")
    ]


def save_plot(rows: Rows, path: Path) -> None:
    """Draw milliseconds over edges, both logarithmic, with a line of constant cost per edge.

    Args:
        rows: Of ``graph_networks``.
        path: .svg or .png file.
    """
    import altair as alt

    data = points(rows)
    log = alt.Scale(type="log", nice=False)
    lines = (
        alt.Chart(alt.Data(values=data))
        .mark_line(point=True)
        .encode(
            x=alt.X("edges:Q", scale=log, title="edges"),
            y=alt.Y("ms:Q", scale=log, title="milliseconds, INT8, one thread"),
            color=alt.Color("network:N", title=None),
            strokeDash=alt.StrokeDash("graph:N", title=None),
        )
    )
    lowest = min(point["ms"] for point in data)
    ends = [{"edges": e, "ms": lowest * e / GUIDE_EDGES[0]} for e in GUIDE_EDGES]
    guide = (
        alt.Chart(alt.Data(values=ends))
        .mark_line(color="#999", strokeWidth=1)
        .encode(x="edges:Q", y="ms:Q")
    )
    chart = alt.layer(guide, lines).properties(
        width=WIDTH, height=HEIGHT, title="grey: cost in proportion to edges"
    )
    chart.configure(background="white", font="sans-serif").save(path)
