"""What our aggregations cost: python -m benchmarks.message_passing [EDGES ...].

Random graphs of ten edges for each node and 64 channels, nodes in random order. Each node adds
the features of its neighbours: our kernels with the graph known when compiled ("constant") and
with edges given at run time ("given", which are put in order first), on bytes and on float32,
against ONNX Runtime's Gather and ScatterElements (or ScatterND) with reduction "add", as
exporters write message passing, float and with quantized features. Edges have no weights
there, results are rounded to bytes where features are. Then the parts of a layer over given
edges: their "order", made once for all layers of a network; over edges in order "sorted" sums,
weights by edge ("weighted"), four heads, pairs ReLU(a[node] + x[source]), and the softmax of
attention with four heads. One thread; all take turns. Writes
benchmarks/results/message_passing.json and .md.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import onnxruntime as ort

import octavo
from benchmarks.interleave import take_turns
from octavo.compiler.artifact.write import write_artifact
from octavo.compiler.lowering.builder import Origin, ProgramBuilder
from octavo.compiler.lowering.program import Port
from octavo.compiler.lowering.tensor import Tensor
from octavo.compiler.roofline.machine import this_machine
from octavo.targets.host import host_target
from octavo.targets.ops import edge_order
from octavo.targets.ops.csr_aggregate import CsrAggregate
from octavo.targets.ops.edge_order import EdgeOrder
from octavo.targets.ops.edge_softmax import EdgeSoftmax
from octavo.targets.ops.requantize import Requantize

RESULTS = Path(__file__).parent / "results"
EDGES = (10_000, 100_000, 1_000_000)
EDGES_PER_NODE, CHANNELS, HEADS = 10, 64, 4
MAX_DEGREE = 100  # none of these graphs has a node with more edges
STEP, ZERO_POINT, OUT_STEP = 0.05, 128, 0.2
CONSTANTS = {
    "zero_point": np.array([ZERO_POINT], np.int32),
    "params": np.array([ZERO_POINT, 0, 255, 0], np.int32),
    "out_inverse": np.array([256], np.float32),
}
SECONDS, MIN_ROUNDS = 4.0, 5

Arrays = Mapping[str, Any]
Timed = Callable[[], float]  # runs once; microseconds


@click.command()
@click.argument("edges", nargs=-1, type=int)
@click.option("--child", type=int, hidden=True, help="Measure one size, print JSON.")
def main(edges: tuple[int, ...], child: int | None) -> None:
    """Measure graphs of EDGES edges, or the usual ones."""
    if child is not None:
        print(json.dumps(measure(child)))
        return
    rows = []
    for count in edges or EDGES:
        command = [sys.executable, "-m", "benchmarks.message_passing", "--child", str(count)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        click.echo(rows[-1], err=True)
    record = {"cpu": this_machine().cpu, "channels": CHANNELS, "rows": rows}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "message_passing.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "message_passing.md").write_text(table(rows) + "\n")


def measure(edges: int) -> dict[str, Any]:
    """Time everything on one graph, and compare results.

    Args:
        edges: How many; a tenth as many nodes.

    Returns:
        "nodes", "edges", and by program its median and lowest milliseconds.
    """
    rng = np.random.default_rng(0)
    nodes = max(edges // EDGES_PER_NODE, 1)
    source, node = rng.integers(0, nodes, (2, edges))
    x = rng.integers(0, 256, (nodes, CHANNELS), np.uint8)
    inputs = {"x uint8": x, "x float32": (x - np.float32(ZERO_POINT)) * np.float32(STEP),
              "source": source, "node": node}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ours, results = _our_programs(nodes, edges, inputs, Path(folder), stack)
        theirs, expected = _their_programs(nodes, inputs)
        _compare(results, expected)
        times = take_turns(
                {**ours, **theirs}, budget_s=SECONDS, min_rounds=MIN_ROUNDS)
    return {"nodes": nodes, "edges": edges, "ms": {
        name: {"median": round(float(np.median(own)) / 1e3, 4),
               "lowest": round(min(own) / 1e3, 4), "runs": len(own)}
        for name, own in times.items()}}


def _our_programs(
    nodes: int, edges: int, inputs: Arrays, folder: Path, stack: ExitStack
) -> tuple[dict[str, Timed], dict[str, Any]]:
    """Compiled programs and their results, by name."""
    rng = np.random.default_rng(1)
    order = EdgeOrder(nodes=nodes, sources=nodes, edges=edges, has_ids=True)
    weights = rng.integers(0, 256, (edges, HEADS), np.uint8)
    given = {
        **inputs, **edge_order.reference(order, inputs),
        "target uint8": rng.permutation(inputs["x uint8"]),
        "target float32": rng.permutation(inputs["x float32"]),
        "weight uint8": weights, "weight float32": weights / np.float32(256),
        "far": rng.normal(0, 2, (nodes, HEADS)).astype(np.float32),
        "near": rng.normal(0, 2, (nodes, HEADS)).astype(np.float32)}
    programs: dict[str, Timed] = {}
    results = {}
    for name, operations in _operations(nodes, edges).items():
        path = folder / name.replace(" ", "-")
        feeds = compile_operations(operations, given, path)
        session = stack.enter_context(octavo.load(path))
        results[name] = next(iter(session.run(feeds).values()))
        programs[name] = lambda s=session, f=feeds: float(s.measure(f, runs=1, warmup=0)[0])
    return programs, results


def _operations(nodes: int, edges: int) -> dict[str, list[Any]]:
    """The operations of our programs, by name."""
    order = EdgeOrder(nodes=nodes, sources=nodes, edges=edges)
    programs: dict[str, list[Any]] = {}
    for dtype in ("uint8", "float32"):
        sums = CsrAggregate(
            kind="sum", nodes=nodes, sources=nodes, edges=edges, channels=CHANNELS,
            dtype=dtype, requantize=Requantize(dtype=dtype))
        ordered = replace(sums, is_given=True, max_degree=nodes)
        weighted = replace(ordered, weight_dtype=dtype, max_degree=MAX_DEGREE)
        programs |= {
            f"constant {dtype}": [sums],
            f"given {dtype}": [order, replace(ordered, max_degree=0)],
            f"sorted {dtype}": [ordered],
            f"weighted {dtype}": [replace(weighted, by_edge=True)],
            f"heads {dtype}": [replace(weighted, heads=HEADS)],
            f"pairs {dtype}": [replace(ordered, pair="relu")],
            f"attention {dtype}": [EdgeSoftmax(
                nodes=nodes, sources=nodes, edges=edges, heads=HEADS, out_dtype=dtype,
                slope=0.2)],
        }
    return {"order": [replace(order, has_ids=True)], **programs}
def compile_operations(operations: list[Any], given: Arrays, folder: Path) -> dict[str, Any]:
    """Compile operations, one after the other, for this machine.

    Returns:
        The inputs of the program, by name; its output is that of the last operation.
    """
    target = host_target()
    if target is None:
        raise click.ClickException("this machine is no target")
    builder = ProgramBuilder(target)
    tensors: dict[str, Tensor] = {}
    ports: dict[str, Port] = {}

    def tensor(name: str, dtype: str, size: int) -> Tensor:
        if name not in tensors:
            buffer = builder.arena(name, size * np.dtype(dtype).itemsize)
            tensors[name] = Tensor(buffer, dtype, (size,), (1,))
            ports[name] = Port(name, dtype, (size,), buffer)
        return tensors[name]

    feeds: dict[str, Any] = {}
    outputs: list[str] = []
    for op in operations:
        read = _inputs(op, given)
        feeds |= {name: array for name, array in read.items() if name not in tensors}
        inputs = [
            tensor(name, str(array.dtype), array.size) for name, array in read.items()]
        made = _outputs(op)
        outputs = [name for name, _, _ in made]
        scale = 1.0 if _dtype_of(op) == "float32" else STEP / OUT_STEP
        constants = {
            **given, **CONSTANTS, "places": given["places"][: op.edges],
            "multiplier": np.array([scale], np.float32)}
        builder.call(
            op, inputs, constants, [tensor(*one) for one in made], Origin("fold"),
            "float32" if _dtype_of(op) == "float32" else "int8")
    program = builder.program(
        "graph", [ports[name] for name in feeds], [ports[name] for name in outputs])
    write_artifact(program, target, None, folder)
    return {name: array.reshape(-1) for name, array in feeds.items()}


def _dtype_of(op: Any) -> str:
    """Type that an operation computes in."""
    return str(getattr(op, "dtype", "int32"))


def _inputs(op: Any, given: Arrays) -> dict[str, Any]:
    """Inputs of an operation by name, in the order of operands."""
    if isinstance(op, EdgeOrder):
        return {name: given[name] for name in ("source", "node")}
    if isinstance(op, EdgeSoftmax):
        return {name: given[name] for name in ("far", "near", "offsets", "places")}
    found = {"x": given[f"x {op.dtype}"]}
    if op.pair:
        found["target"] = given[f"target {op.dtype}"]
    if op.is_given:
        found |= {name: given[name] for name in ("offsets", "places")}
    if op.weight_dtype:
        found["weight"] = given[f"weight {op.dtype}"][:, : op.heads].copy()
    if op.by_edge:
        found["ids"] = given["ids"]
    return found


def _outputs(op: Any) -> list[tuple[str, str, int]]:
    """Name, type and size of the outputs of an operation."""
    if isinstance(op, EdgeOrder):
        sizes = {"offsets": op.nodes + 1, "places": op.places}
        sizes |= {"ids": op.places} if op.has_ids else {}
        return [(name, "int32", size) for name, size in sizes.items()]
    if isinstance(op, EdgeSoftmax):
        return [("y", op.out_dtype, op.edges * op.heads)]
    return [("y", op.requantize.dtype, op.nodes * op.channels)]


ELEMENTS = "index = Expand(column, shape)\n total = ScatterElements<axis=0, reduction=\"add\">"
SLICES = "index = Identity(column)\n total = ScatterND<reduction=\"add\">"
BODY = """<ir_version: 10, opset_import: ["" : 20]>
 g ({x_type}[n, c] x, int64[e] source, int64[e] node, float[n, c] zeros, int64[2] shape)
   => ({y_type}[n, c] y)
   <int64[1] last = {{1}}, float s = {{{step}}}, float t = {{{out_step}}},
   uint8 z = {{{zero_point}}}> {{
 picked = Gather<axis=0>(x, source)
 messages = {dequantize}
 column = Unsqueeze(node, last)
 {scatter}(zeros, index, messages)
 y = {quantize}
}}"""


def _their_programs(
    nodes: int, inputs: Arrays
) -> tuple[dict[str, Timed], dict[str, Any]]:
    """The same for ONNX Runtime."""
    options = ort.SessionOptions()
    options.log_severity_level = 3  # constants that one of the models has no use for
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    feeds = {"source": inputs["source"], "node": inputs["node"],
             "zeros": np.zeros((nodes, CHANNELS), np.float32),
             "shape": np.array([len(inputs["node"]), CHANNELS])}
    programs: dict[str, Timed] = {}
    results = {}
    for dtype in ("float32", "uint8"):
        for name, scatter in (("ScatterElements", ELEMENTS), ("ScatterND", SLICES)):
            is_float = dtype == "float32"
            text = BODY.format(
                x_type="float" if is_float else "uint8",
                y_type="float" if is_float else "uint8",
                step=STEP, out_step=OUT_STEP, zero_point=ZERO_POINT, scatter=scatter,
                dequantize="Identity(picked)" if is_float else
                "DequantizeLinear(picked, s, z)",
                quantize="Identity(total)" if is_float else "QuantizeLinear(total, t, z)")
            model = onnx.parser.parse_model(text).SerializeToString()
            session = ort.InferenceSession(
                model, options, providers=["CPUExecutionProvider"])
            given = {**feeds, "x": inputs[f"x {dtype}"]}
            results[f"{name} {dtype}"] = session.run(None, given)[0]
            programs[f"{name} {dtype}"] = lambda s=session, g=given: _time(s, g)
    return programs, results


def _time(session: ort.InferenceSession, feeds: Arrays) -> float:
    start = time.perf_counter_ns()
    session.run(None, dict(feeds))
    return (time.perf_counter_ns() - start) / 1e3


def _compare(ours: Arrays, theirs: Arrays) -> None:
    """Both of ours are equal bit for bit, and as near theirs as their rounding allows."""
    for dtype, tolerance in (("uint8", 1.0), ("float32", 1e-4)):
        np.testing.assert_array_equal(ours[f"constant {dtype}"], ours[f"given {dtype}"])
        for name in ("ScatterElements", "ScatterND"):
            np.testing.assert_allclose(
                ours[f"constant {dtype}"].astype(np.float32),
                theirs[f"{name} {dtype}"].astype(np.float32).reshape(-1),
                rtol=0, atol=tolerance)


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: medians in milliseconds, and how many times faster bytes are."""
    names = list(rows[0]["ms"])
    sizes = [f"{row['edges']:,} edges" for row in rows]
    lines = [
        f"| program, ms | {' | '.join(sizes)} |", "|---" * (len(rows) + 1) + "|"]
    for name in names:
        cells = [f"{row['ms'][name]['median']:.3g}" for row in rows]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    theirs = names[-4:]
    pairs = [(f"{own} uint8", other) for own in ("constant", "given")
             for other in (f"{own} float32", *theirs)]
    parts = ("sorted", "weighted", "heads", "pairs", "attention")
    pairs += [(f"{own} uint8", f"{own} float32") for own in parts]
    for own, other in pairs:
        gains = [row["ms"][other]["median"] / row["ms"][own]["median"] for row in rows]
        cells = " | ".join(f"{gain:.2f}x" for gain in gains)
        lines.append(f"| {own} against {other} | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
