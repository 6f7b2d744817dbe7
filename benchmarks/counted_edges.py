"""What edges that are not in use cost: python -m benchmarks.counted_edges FOLDER.

A GCN of two layers and 64 channels over 10,000 nodes, INT8, one thread: one artifact for at
most 200,000 edges runs graphs with fewer of them, in turns with artifacts that are compiled
for exactly as many. Inputs are in place before the clock starts. FOLDER keeps the artifacts.
Writes benchmarks/results/counted_edges.md and .json.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from examples.graphs.networks import Sizes, node_classifier, random_weights, weight_shapes

import octavo
from benchmarks.result_rows import RESULTS
from octavo.compiler.compile import compile_model
from octavo.compiler.roofline.machine import this_machine
from octavo.compiler.session import Session

NETWORK, NODES, CHANNELS, CLASSES = "gcn", 10_000, 64, 16
MAXIMUM = 200_000
COUNTS = (1_000, 25_000, 50_000, 100_000, MAXIMUM)
ROUNDS, RUNS = 25, 5
COUNTED = "counted"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--rounds", default=ROUNDS, show_default=True, help="0: only compile.")
def main(folder: Path, rounds: int) -> None:
    """Compile what FOLDER has not, and measure."""
    for edges in (None, *COUNTS):
        build(folder, edges)
    if not rounds:
        return
    rows = [measure(folder, edges, rounds) for edges in COUNTS]
    record = {"cpu": this_machine().cpu, "nodes": NODES, "maximum": MAXIMUM, "rows": rows}
    (RESULTS / "counted_edges.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "counted_edges.md").write_text(table(rows) + "\n")


def graph(edges: int) -> dict[str, Any]:
    """Inputs with random edges."""
    rng = np.random.default_rng(edges)
    return {
        "x": rng.standard_normal((NODES, CHANNELS), np.float32),
        "edge_index": rng.integers(0, NODES, (2, edges)),
        "edge_weight": rng.random(edges, np.float32),
    }


def build(folder: Path, edges: int | None) -> None:
    """Compile for a number of edges, or None for any up to the maximum."""
    directory = folder / str(edges or COUNTED)
    if directory.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    sizes = Sizes(NODES, edges, CHANNELS, CHANNELS, CLASSES)
    weights = random_weights(weight_shapes(NETWORK, sizes), np.random.default_rng(1))
    path = folder / f"{directory.name}.onnx"
    onnx.save(node_classifier(NETWORK, weights, sizes), path)
    samples = {name: array[None] for name, array in graph(edges or MAXIMUM).items()}
    maxima = {"edges": MAXIMUM} if edges is None else None
    compile_model(path, "host", directory, samples=samples, maxima=maxima)


def measure(folder: Path, edges: int, rounds: int) -> dict[str, Any]:
    """Time both artifacts on the same graph, in turns.

    Returns:
        "edges", and median and least milliseconds of either.
    """
    inputs = graph(edges)
    with octavo.load(folder / COUNTED) as counted, octavo.load(folder / str(edges)) as exact:
        sessions = {COUNTED: counted, "exact": exact}
        times: dict[str, list[float]] = {name: [] for name in sessions}
        for _ in range(rounds):
            for name, session in sessions.items():
                times[name] += _turn(session, inputs)
    row: dict[str, Any] = {"edges": edges}
    for name, values in times.items():
        row[f"{name}_ms"] = round(float(np.median(values)), 4)
        row[f"{name}_least_ms"] = round(min(values), 4)
    click.echo(str(row), err=True)
    return row


def _turn(session: Session, inputs: Mapping[str, Any]) -> list[float]:
    latencies: list[float] = (session.measure(inputs, runs=RUNS, warmup=1) / 1e3).tolist()
    return latencies


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown of all rows."""
    lines = [
        "# Edges that are not in use",
        "",
        "```",
        *(__doc__ or "").strip().splitlines(),
        "```",
        "",
        f"| edges | for at most {MAXIMUM:,}, ms | least | for exactly as many, ms | least |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        numbers = [row[f"{name}{kind}"] for name in (COUNTED, "exact")
                   for kind in ("_ms", "_least_ms")]  # fmt: skip
        lines.append(f"| {row['edges']:,} | " + " | ".join(f"{n:.3f}" for n in numbers) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
