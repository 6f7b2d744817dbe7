"""What each component of a graph network loses alone, in words."""

from collections.abc import Iterator, Mapping
from typing import Any

from octavo.compiler.report.search_objectives import objective_of
from octavo.compiler.report.search_text import value_text


def ablation_lines(record: Mapping[str, Any]) -> Iterator[str]:
    """A table of components and widths, and which of them breaks first.

    Args:
        record: The content of ``search.json``; nothing of a network without components.
    """
    ablation = record.get("ablation")
    if ablation is None:
        return
    loss = objective_of(ablation["loss"])
    widths = sorted({row["bits"] for row in ablation["rows"]}, reverse=True)
    yield f"components      {loss.title} where one alone has fewer bits, the others 8"
    rows = [["", "8", *map(str, widths)]]
    for name in dict.fromkeys(row["component"] for row in ablation["rows"]):
        values = {r["bits"]: r["loss"] for r in ablation["rows"] if r["component"] == name}
        measured = [ablation["eight"], *(values[bits] for bits in widths)]
        rows.append([name, *("-" if v is None else value_text(loss, v) for v in measured)])
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        shown = (cell.rjust(size) for cell, size in zip(cells, sizes[1:], strict=True))
        yield f"  {name.ljust(sizes[0])}  {'  '.join(shown)}".rstrip()
    first = ablation["breaks_first"]
    yield f"  breaks first: {first}" if first else "  none breaks"
