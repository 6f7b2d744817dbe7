"""What an order of nodes is worth: python -m benchmarks.message_passing_order [--nodes N].

Constant graphs of ten edges for each node, 64 channels: nodes of a plane that hear their
nearest neighbours, numbered at random; blocks whose nodes hear their own block in eight of ten
edges; and edges at random. Nodes are computed as they are numbered, and in the order of
``octavo.targets.ops.node_order``, also where that would not be chosen. One thread; both take
turns. Writes benchmarks/results/message_passing_order.md and .json.
"""

import json
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

import octavo
from benchmarks.interleave import take_turns
from benchmarks.message_passing import (
    CHANNELS,
    EDGES_PER_NODE,
    MIN_ROUNDS,
    RESULTS,
    SECONDS,
    STEP,
    ZERO_POINT,
    compile_operations,
)
from octavo.compiler.roofline.machine import this_machine
from octavo.targets.ops import edge_order
from octavo.targets.ops.csr_aggregate import CsrAggregate
from octavo.targets.ops.edge_order import EdgeOrder
from octavo.targets.ops.node_order import best_order, node_order
from octavo.targets.ops.requantize import Requantize

BLOCKS, INSIDE = 20, 0.8
Edges = tuple[NDArray[Any], NDArray[Any]]


@click.command()
@click.option("--nodes", default=100_000, show_default=True)
def main(nodes: int) -> None:
    """Measure three graphs."""
    rows = []
    for name, make in (("plane", _plane), ("blocks", _blocks), ("random", _random)):
        rows += measure(name, make(np.random.default_rng(0), nodes), nodes)
        click.echo(rows[-2:], err=True)
    record = {"cpu": this_machine().cpu, "channels": CHANNELS, "nodes": nodes, "rows": rows}
    (RESULTS / "message_passing_order.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "message_passing_order.md").write_text(table(rows) + "\n")


def measure(name: str, edges: Edges, nodes: int) -> list[dict[str, Any]]:
    """Time both orders on bytes and floats.

    Returns:
        "graph", "dtype", median milliseconds "as_numbered" and "ordered", the share of reads
        that the order brings near, and whether it is chosen.
    """
    source, node = edges
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (nodes, CHANNELS), np.uint8)
    order = EdgeOrder(nodes=nodes, sources=nodes, edges=len(node))
    graph = edge_order.reference(order, {"source": source, "node": node})
    given = {**graph, "x uint8": x,
             "x float32": (x - np.float32(ZERO_POINT)) * np.float32(STEP)}
    places = graph["places"][: len(node)]
    rows = []
    for dtype in ("uint8", "float32"):
        op = CsrAggregate(
            kind="sum", nodes=nodes, sources=nodes, edges=len(node), channels=CHANNELS,
            dtype=dtype, requantize=Requantize(dtype=dtype))
        found, gain = best_order(op, graph["offsets"], places)
        chosen = node_order(op, graph["offsets"], places)
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            programs, results = {}, []
            for kind, own in (("as_numbered", op), ("ordered", replace(op, has_rows=True))):
                path = Path(folder) / kind
                feeds = compile_operations([own], {**given, "rows": found}, path)
                session = stack.enter_context(octavo.load(path))
                results.append(next(iter(session.run(feeds).values())))
                programs[kind] = lambda s=session, f=feeds: float(
                    s.measure(f, runs=1, warmup=0)[0])
            np.testing.assert_array_equal(*results)
            times = take_turns(programs, budget_s=SECONDS, min_rounds=MIN_ROUNDS)
        medians = {kind: round(float(np.median(own)) / 1e3, 3) for kind, own in times.items()}
        rows.append({"graph": name, "dtype": dtype, **medians, "gain": round(gain, 3),
                     "is_chosen": chosen is not None})
    return rows


def _plane(rng: np.random.Generator, nodes: int) -> Edges:
    points = rng.random((nodes, 2))
    _, near = cKDTree(points).query(points, k=EDGES_PER_NODE + 1)
    return near[:, 1:].reshape(-1), np.repeat(np.arange(nodes), EDGES_PER_NODE)


def _blocks(rng: np.random.Generator, nodes: int) -> Edges:
    size = nodes // BLOCKS
    names = rng.permutation(size * BLOCKS)
    node = rng.integers(0, size * BLOCKS, nodes * EDGES_PER_NODE)
    own = node // size * size + rng.integers(0, size, len(node))
    anywhere = rng.integers(0, size * BLOCKS, len(node))
    source = np.where(rng.random(len(node)) < INSIDE, own, anywhere)
    return names[source], names[node]


def _random(rng: np.random.Generator, nodes: int) -> Edges:
    source, node = rng.integers(0, nodes, (2, nodes * EDGES_PER_NODE))
    return source, node


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: medians in milliseconds."""
    lines = [
        "| graph | features | as numbered, ms | ordered, ms | reads brought near | chosen |",
        "|---|---|---|---|---|---|"]
    lines += [
        f"| {row['graph']} | {row['dtype']} | {row['as_numbered']:.3g} |"
        f" {row['ordered']:.3g} | {row['gain']:.0%} | {'yes' if row['is_chosen'] else 'no'} |"
        for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
