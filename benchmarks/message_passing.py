"""What our aggregations cost: python -m benchmarks.message_passing [EDGES ...].

Random graphs of ten edges for each node and 64 channels, nodes in random order. Each node adds
the features of its neighbours: our kernels with the graph known when compiled and with edges
given at run time, on bytes and on float32, against ONNX Runtime's Gather and ScatterElements
(or ScatterND) with reduction "add", as exporters write message passing, float and with
quantized features. One thread; all take turns. Edges have no weights, results are rounded to
bytes where features are. Writes benchmarks/results/message_passing.json and .md.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import onnxruntime as ort

import octavo
from octavo.compiler.artifact.write import write_artifact
from octavo.compiler.lowering.builder import Origin, ProgramBuilder
from octavo.compiler.lowering.program import Port
from octavo.compiler.lowering.tensor import Tensor
from octavo.compiler.roofline.machine import this_machine
from octavo.targets.host import host_target
from octavo.targets.ops.aggregation import Aggregation
from octavo.targets.ops.csr_aggregate import CsrAggregate
from octavo.targets.ops.requantize import Requantize
from octavo.targets.ops.scatter_aggregate import ScatterAggregate

RESULTS = Path(__file__).parent / "results"
EDGES = (10_000, 100_000, 1_000_000)
EDGES_PER_NODE, CHANNELS = 10, 64
STEP, ZERO_POINT, OUT_STEP = 0.05, 128, 0.2
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
    inputs = {"x": x, "real": (x - np.float32(ZERO_POINT)) * np.float32(STEP),
              "source": source, "node": node}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        ours, results = _our_programs(nodes, edges, inputs, Path(folder), stack)
        theirs, expected = _their_programs(nodes, inputs)
        _compare(results, expected)
        times = _take_turns({**ours, **theirs})
    return {"nodes": nodes, "edges": edges, "ms": {
        name: {"median": round(float(np.median(own)) / 1e3, 4),
               "lowest": round(min(own) / 1e3, 4), "runs": len(own)}
        for name, own in times.items()}}


def _our_programs(
    nodes: int, edges: int, inputs: Arrays, folder: Path, stack: ExitStack
) -> tuple[dict[str, Timed], dict[str, Any]]:
    """Compiled programs and their results, by name."""
    order = np.argsort(inputs["node"], kind="stable")
    degrees = np.bincount(inputs["node"], minlength=nodes)
    constants = {
        "offsets": np.concatenate([[0], np.cumsum(degrees)]),
        "places": inputs["source"][order],
        "zero_point": np.array([ZERO_POINT], np.int32),
        "params": np.array([ZERO_POINT, 0, 255, 0], np.int32),
    }
    programs: dict[str, Timed] = {}
    results = {}
    for dtype in ("uint8", "float32"):
        common = {"kind": "sum", "nodes": nodes, "sources": nodes, "edges": edges,
                  "channels": CHANNELS, "dtype": dtype, "requantize": Requantize(dtype=dtype)}
        scale = STEP / OUT_STEP if dtype == "uint8" else 1.0
        arrays = {**constants, "multiplier": np.array([scale], np.float32)}
        for name, op in (("constant", CsrAggregate(**common)),
                         ("given", ScatterAggregate(**common))):
            path = folder / f"{name}-{dtype}"
            _write(op, arrays, path)
            session = stack.enter_context(octavo.load(path))
            given = {**inputs, "x": inputs["x" if dtype == "uint8" else "real"]}
            given = {info.name: given[info.name] for info in session.inputs}
            results[f"{name} {dtype}"] = session.run(given)["y"]
            programs[f"{name} {dtype}"] = (
                lambda s=session, g=given: float(s.measure(g, runs=1, warmup=0)[0]))
    return programs, results


def _write(op: Aggregation, arrays: Arrays, folder: Path) -> None:
    """Compile one operation for this machine."""
    target = host_target()
    if target is None:
        raise click.ClickException("this machine is no target")
    builder = ProgramBuilder(target)

    def tensor(name: str, dtype: str, shape: tuple[int, ...]) -> tuple[Tensor, Port]:
        size = int(np.prod(shape))
        buffer = builder.arena(name, size * np.dtype(dtype).itemsize)
        return Tensor(buffer, dtype, (size,), (1,)), Port(name, dtype, shape, buffer)

    operands = [tensor("x", op.dtype, (op.sources, op.channels))]
    if isinstance(op, ScatterAggregate):
        operands += [
            tensor(name, op.index_dtype, (op.edges,)) for name in ("source", "node")]
    y, port = tensor("y", op.requantize.dtype, (op.nodes, op.channels))
    placement = "float32" if op.dtype == "float32" else "int8"
    builder.call(op, [found for found, _ in operands], arrays, [y], Origin("fold"), placement)
    program = builder.program("graph", [own for _, own in operands], [port])
    write_artifact(program, target, None, folder)


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
            given = {**feeds, "x": inputs["real" if is_float else "x"]}
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
                theirs[f"{name} {dtype}"].astype(np.float32), rtol=0, atol=tolerance)


def _take_turns(programs: Mapping[str, Timed]) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in programs}
    for run in programs.values():
        run()
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end or len(times["constant uint8"]) < MIN_ROUNDS:
        for name, run in programs.items():
            times[name].append(run())
    return times


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: medians in milliseconds, and how many times faster bytes are."""
    names = list(rows[0]["ms"])
    sizes = [f"{row['edges']:,} edges" for row in rows]
    lines = [
        f"| program, ms | {' | '.join(sizes)} |", "|---" * (len(rows) + 1) + "|"]
    for name in names:
        cells = [f"{row['ms'][name]['median']:.3g}" for row in rows]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    for own in ("constant", "given"):
        for other in (f"{own} float32", *names[-4:]):
            gains = [
                row["ms"][other]["median"] / row["ms"][f"{own} uint8"]["median"]
                for row in rows]
            cells = " | ".join(f"{gain:.2f}x" for gain in gains)
            lines.append(f"| {own} uint8 against {other} | {cells} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
