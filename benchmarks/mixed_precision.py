"""What searches of mixed precision find: python -m benchmarks.mixed_precision [ROW ...].

Rows: the digits network against every configuration of it, the residual network within
limits on size and latency, and networks of the zoo against 8 bits throughout. Writes
benchmarks/results/mixed_precision.json and mixed_precision.md; rows that are not measured now
stay as they were.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import click
import numpy as np

from benchmarks.constrained_search import constrained
from benchmarks.exhaustive_search import LOSSES, AnswerTable, search_table
from benchmarks.front_shares import SEEDS
from benchmarks.result_rows import RESULTS
from benchmarks.zoo_search import smaller_than_uniform
from octavo.passes.layer_format import LayerFormat

FORMAT_SETS = ("w8a8,w4a8,float", "w8a8,w2a8,float")
ZOO = ("mobilenet_v2", "vit_tiny")


def digits() -> list[dict[str, Any]]:
    """Shares of the hypervolume, for both sets of formats and both losses."""
    found = []
    for texts in FORMAT_SETS:
        table = AnswerTable(tuple(map(LayerFormat.parse, texts.split(","))))
        found += [search_table(table, loss) for loss in LOSSES]
    return found


MEASURE: Mapping[str, Callable[[], Any]] = {
    "digits": digits,
    "resnet_digits": constrained,
    **{name: partial(smaller_than_uniform, name) for name in ZOO},
}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(tuple(MEASURE)))
def main(names: tuple[str, ...]) -> None:
    """Measure rows, all of them by default."""
    for name in names or MEASURE:
        rows = _kept(name, MEASURE[name]())
    click.echo(table(rows))


def _kept(name: str, row: Any) -> dict[str, Any]:
    """Write a row beside those that are there, and return all of them."""
    file = RESULTS / "mixed_precision.json"
    rows: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    rows[name] = row
    file.write_text(json.dumps(rows, indent=1) + "\n")
    file.with_suffix(".md").write_text(table(rows))
    return rows


def table(rows: Mapping[str, Any]) -> str:
    """Everything that was measured, as Markdown."""
    lines = [
        "# What searches of mixed precision find",
        "",
        "Written by `python -m benchmarks.mixed_precision`; one thread.",
        "",
    ]
    if "digits" in rows:
        lines += _digits(rows["digits"])
    if "resnet_digits" in rows:
        lines += _limited(rows["resnet_digits"])
    zoo = {name: rows[name] for name in ZOO if name in rows}
    if zoo:
        lines += _zoo(zoo)
    return "\n".join(lines)


def _digits(found: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "## Against every configuration",
        "",
        "The digits network: six layers, each in one of three formats, where float is another"
        f" kernel: {found[0]['num_configurations']} configurations, all of them evaluated on"
        " 450 images, all of their programs measured. Share of the exhaustive front's"
        f" hypervolume, median and least of {len(SEEDS)} seeds. Evaluations of the search"
        " are with those of its sensitivities; random configurations need none.",
        "",
        "| formats | objectives | points of the front | evaluations | search | random |",
        "|---|---|---|---|---|---|",
    ]
    for row in found:
        cells = [
            f"{np.median(row['shares'][solver]):.4f} ({min(row['shares'][solver]):.4f})"
            for solver in ("front", "random")
        ]
        counts = [max(row["num_evaluated"][solver]) for solver in ("front", "random")]
        lines.append(
            f"| {', '.join(row['formats'])} | {', '.join(row['objectives'])}"
            f" | {row['num_points']} | {counts[0]}, {counts[1]}"
            f" ({counts[1] / row['num_configurations']:.1%}) | {cells[0]} | {cells[1]} |"
        )
    return [*lines, ""]


def _limited(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "## Within limits",
        "",
        "The residual network of `examples/`, 21 layers: limits on bytes of weights, as a"
        " share of what 8 bits take, and on latency (125% of that of 8 bits). With labels, at"
        " most 1 point may be lost, and of what is within all limits the smallest is the best;"
        " without labels it is the one with the least noise. Measured again: the compiled"
        " programs, in turns.",
        "",
        "| | layers | most bytes | ms | lost | bytes | ms | again: correct of 450"
        " | ms | weights.bin, bytes |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        limits = row["limits"]
        counts = Counter(row["formats"].values())
        layers = ", ".join(f"{number} {text}" for text, number in sorted(counts.items()))
        most = f"{limits['bytes']:.0f} ({row['share']:.0%}) | {limits['latency']:.4f}"
        uniform = next(r["objectives"] for r in row["references"] if r["name"] == "w8a8")
        lines.append(
            f"| best | {layers} | {most} | {_twice(row['best'], row['again']['best'])} |"
        )
        lines.append(f"| uniform | 21 w8a8 | | | {_twice(uniform, row['again']['w8a8'])} |")
    lines += ["", "Limits that nothing meets are refused:", ""]
    said = dict.fromkeys(one["said"] for row in rows for one in row["refused"])
    return [*lines, *(f"    {text}" for text in said), ""]


def _twice(first: Mapping[str, float], again: Mapping[str, Any]) -> str:
    """As the search measured it, and measured again."""
    lost = f"{first['drop']:.2f} points" if "drop" in first else f"{first['noise']:.1f} dB"
    return (
        f"{lost} | {first['bytes']:.0f} | {first['latency']:.4f}"
        f" | {again['accuracy']:.2%} | {again['latency']['median_us'] / 1e3:.4f}"
        f" | {again['weights.bin']}"
    )


def _zoo(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    lines = [
        "## Smaller than 8 bits throughout, and no worse?",
        "",
        "Layers in 8 or 4 bits; the limit is the noise over signal that 8 bits throughout have"
        " on the same 8 samples. 8 bits and the best were measured in turns at the end; where"
        " they have the same code, once.",
        "",
        "| network | evaluations | | noise, dB | ms | bytes | layers of 4 bits |",
        "|---|---|---|---|---|---|---|",
    ]
    said = []
    for name, row in rows.items():
        base, best = row["references"]["w8a8"], row["best"]
        lines += [
            f"| {name} | {row['num_evaluated']} | 8 bits | {_values(base)} | 0 of"
            f" {row['num_layers']} |",
            f"| | | best | {_values(best)} | {row['num_narrow']} |",
            f"| | | best, over 8 bits | {best['noise'] - base['noise']:+.2f}"
            f" | {best['latency'] / base['latency']:.3f}x"
            f" | {best['bytes'] / base['bytes']:.1%} | |",
        ]
        said += [f"{name}: {line}" for line in row["why_not_better"]]
    if said:
        lines += ["", "What the search says:", "", *(f"    {line}" for line in said)]
    return [*lines, ""]


def _values(found: Mapping[str, float]) -> str:
    return f"{found['noise']:.2f} | {found['latency']:.3f} | {found['bytes']:.0f}"


if __name__ == "__main__":
    main()
