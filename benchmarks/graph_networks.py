"""Whole graph networks, float32 and INT8: python -m benchmarks.graph_networks [NAME ...].

Two layers, 64 channels, 16 classes, on a contextual block model of ten edges for each node.
Ours are compiled with the graph stored in the model and with edges given at run time, float32
and INT8; ONNX Runtime runs the same float model, with sums over edges by ScatterND where
exporters write that (it takes a tenth of the time of ScatterElements, which is left out beyond
100,000 edges), its own INT8 model and our QDQ model: graph optimizations on, inputs and
outputs bound. One thread, in turns.

Weights are random: they change no time. Memory is what a process needs for our INT8 program
beyond what it had before loading, against the plan in the manifest. A name is "gcn" for all
sizes, or "gcn/100000" for one. Writes benchmarks/results/graph_networks.json, .md and .svg.
"""

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import onnx_ir as ir
from examples.graphs.block_model import contextual_block_model
from examples.graphs.edge_nodes import STYLES
from examples.graphs.graph import normalized_weights, with_self_loops
from examples.graphs.networks import (
    LAYERS,
    Sizes,
    node_classifier,
    random_weights,
    weight_shapes,
)

import octavo
from benchmarks.graph_network_tables import save_plot, table
from benchmarks.interleave import take_turns
from benchmarks.peers.onnxruntime_runner import OnnxRuntimeModel, quantize_int8
from benchmarks.resident_memory import resident_bytes
from benchmarks.result_rows import RESULTS, measure_rows
from octavo.compiler.importer import import_model
from octavo.compiler.quantize import quantize_model

USUAL = ("gcn", "sage_mean", "gin", "sir_gcn", "gat")
EDGES = (10_000, 31_600, 100_000, 316_000, 1_000_000)
COMPARED = (100_000, 1_000_000)  # with ONNX Runtime
MAX_ELEMENTS_EDGES = 100_000  # with sums by ScatterElements, which take seconds from there on
EDGES_PER_NODE, CHANNELS, CLASSES = 10, 64, 16
WITH_SELF_LOOPS = ("gcn", "gat", "gatv2")
WITH_MAXIMA = ("sage_max", "gat", "gatv2")  # which ScatterND cannot write
BUDGET_S, MIN_RUNS = 8.0, 5
NAMES = ("stored int8", "stored float32", "given int8", "given float32")

Inputs = Mapping[str, Any]


@click.command()
@click.argument("names", nargs=-1)
@click.option("--child", is_flag=True, hidden=True, help="Measure one network, print JSON.")
def main(names: tuple[str, ...], child: bool) -> None:
    """Measure the networks NAME, or the usual ones."""
    if child:
        name, edges = names[0].split("/")
        click.echo(json.dumps(measure(name, int(edges))))
        return
    wanted = [
        single
        for name in names or USUAL
        for single in ([name] if "/" in name else [f"{name}/{edges}" for edges in EDGES])
    ]
    rows = measure_rows("graph_networks", wanted, table)
    save_plot(rows, RESULTS / "graph_networks.svg")


def measure(name: str, edges: int) -> dict[str, Any]:
    """Build every program of one network and one size, and time them in turns.

    Args:
        name: One of ``LAYERS``.
        edges: How many, without self loops; a tenth as many nodes.

    Returns:
        "ms": median by program; "planned_bytes" and "resident_bytes" of the INT8 program with
        edges given at run time; "decibels" of each program against our float one.
    """
    inputs = graph_inputs(name, edges)
    with tempfile.TemporaryDirectory() as text, ExitStack() as stack:
        folder = Path(text)
        models = write_models(name, inputs, folder)
        np.savez(folder / "samples.npz", **{k: v[None] for k, v in inputs.items()})
        np.savez(folder / "features.npz", x=inputs["x"][None])
        outputs: dict[str, Any] = {}
        programs: dict[str, Callable[[], float]] = {}
        for program in NAMES:
            session = stack.enter_context(octavo.load(_compiled(program, models, folder)))
            given = {info.name: inputs[info.name] for info in session.inputs}
            outputs[program] = session.run(given)
            programs[program] = partial(_our_us, session, given)
        if edges in COMPARED and (name not in WITH_MAXIMA or edges <= MAX_ELEMENTS_EDGES):
            for program, path in their_files(models, folder, inputs).items():
                model = OnnxRuntimeModel(path)
                outputs[program] = model.run(inputs)
                programs[program] = partial(_their_us, model.bind(inputs))
        times_us = take_turns(programs, budget_s=BUDGET_S, min_rounds=MIN_RUNS)
        path = folder / "given int8"
        memory = json.loads((path / "manifest.json").read_text())["memory"]
        return {
            "edges": int(inputs["edge_index"].shape[1]),
            "ms": {k: round(float(np.median(v)) / 1e3, 4) for k, v in times_us.items()},
            "lowest_ms": {k: round(min(v) / 1e3, 4) for k, v in times_us.items()},
            "planned_bytes": memory["arena_bytes"] + memory["weights_memory_bytes"],
            "resident_bytes": resident_bytes(path, folder / "samples.npz"),
            "decibels": {
                program: round(_decibels(outputs["stored float32"], outputs[program]), 1)
                for program in outputs
                if program != "stored float32"
            },
        }


def graph_inputs(name: str, edges: int) -> dict[str, Any]:
    """One graph with what the network reads of it."""
    rng = np.random.default_rng(0)
    graph = contextual_block_model(
        edges // EDGES_PER_NODE, edges, rng, num_blocks=4, num_features=CHANNELS
    )
    edge_index = graph.edge_index
    if name in WITH_SELF_LOOPS:
        edge_index = with_self_loops(edge_index, len(graph.features))
    inputs = {"x": graph.features, "edge_index": np.ascontiguousarray(edge_index)}
    if LAYERS[name].edge_input == "edge_weight":
        inputs["edge_weight"] = normalized_weights(edge_index, len(graph.features))
    return inputs


def write_models(name: str, inputs: Inputs, folder: Path) -> dict[str, Path]:
    """Float models: the graph "stored", or given in either style of exporters."""
    sizes = Sizes(len(inputs["x"]), inputs["edge_index"].shape[1], CHANNELS, CHANNELS, CLASSES)
    weights = random_weights(weight_shapes(name, sizes), np.random.default_rng(1))
    stored = {k: v for k, v in inputs.items() if k != "x"}
    styles = [style for style in STYLES if style == "elements" or name not in WITH_MAXIMA]
    models = {style: node_classifier(name, weights, sizes, style=style) for style in styles}
    models["stored"] = node_classifier(name, weights, sizes, graph=stored)
    paths = {key: folder / f"{key}.onnx" for key in models}
    for key, model in models.items():
        onnx.save(model, paths[key])
    return paths


def their_files(models: Mapping[str, Path], folder: Path, inputs: Inputs) -> dict[str, Path]:
    """Models for ONNX Runtime by program."""
    # Sums by ScatterND take a tenth of the time of ScatterElements.
    style = "nd" if "nd" in models else "elements"
    quantized = quantize_model(import_model(models[style]), [inputs], measure=False)
    path = folder / f"{style}-qdq.onnx"
    onnx.save(ir.to_proto(quantized.model), path)
    return {
        f"ORT {style} float32": models[style],
        f"ORT {style} its int8": quantize_int8(models[style], [inputs]),
        f"ORT {style} our int8": path,
    }


def _our_us(session: octavo.Session, inputs: Inputs) -> float:
    """One run behind an untimed one; inputs are where the program reads them."""
    return float(session.measure(inputs, runs=1, warmup=1)[0])


def _their_us(run: Callable[[], object]) -> float:
    """The same: inputs are bound."""
    run()
    start = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - start) / 1e3


def _compiled(program: str, models: Mapping[str, Path], folder: Path) -> Path:
    form, dtype = program.split()
    path = models["stored" if form == "stored" else "elements"]
    samples = folder / ("features.npz" if form == "stored" else "samples.npz")
    options: dict[str, Any] = (
        {"float_only": True} if dtype == "float32" else {"samples": samples}
    )
    octavo.compile(path, "host", folder / program, **options)
    return folder / program


def _decibels(expected: Inputs, actual: Inputs) -> float:
    (wanted,), (found,) = expected.values(), actual.values()
    noise = np.square(wanted.astype(np.float64) - found).mean()
    return float(10 * np.log10(np.square(wanted, dtype=np.float64).mean() / max(noise, 1e-30)))


if __name__ == "__main__":
    main()
