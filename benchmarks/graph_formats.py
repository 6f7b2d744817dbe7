"""What graph networks lose in fewer bits, by component, and what a search of components saves.

    pip install octavo[train]
    OMP_NUM_THREADS=1 python -m benchmarks.graph_formats

Five seeds of data and training: a block model's means and graphs, and the network's weights.
Networks train on 8 graphs of 300 nodes; ranges come from 3 of them, the search judges on 4
others, and everything reported was measured on 8 further ones, 2,400 nodes. Writes
graph_formats.json and graph_formats.md into benchmarks/results.
"""

import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from examples.graphs import samples, train
from examples.graphs.block_model import block_means, contextual_block_model
from examples.graphs.graph import normalized_weights, with_self_loops
from examples.graphs.networks import Sizes, node_classifier, weight_shapes
from examples.graphs.torch_layers import classify_nodes
from torch import Tensor
from torch.nn import functional

from octavo.compiler.importer import import_model
from octavo.compiler.mixed_precision.ablation import (
    NARROW_BITS,
    Ablation,
    AblationRow,
    ablation_formats,
)
from octavo.compiler.mixed_precision.accuracy import AccuracyMeter
from octavo.compiler.mixed_precision.choices import weight_bytes
from octavo.compiler.mixed_precision.evaluator import EvaluatorMaker, serialize
from octavo.compiler.mixed_precision.journal import FILE_NAME, Journal
from octavo.compiler.mixed_precision.network import Formats, MixedNetwork
from octavo.compiler.mixed_precision.options import SearchOptions
from octavo.compiler.mixed_precision.search import Search
from octavo.compiler.recipes import get_recipe
from octavo.compiler.workers import in_process
from octavo.passes.layer_format import EIGHT_BITS, LayerFormat

RESULTS = Path(__file__).parent / "results"
NETWORKS = ("gcn", "sage_mean", "gin", "gat", "sir_gcn")
SEEDS = range(5)
NUM_TRAIN, NUM_CALIBRATION, NUM_JUDGING, NUM_TEST = 8, 3, 4, 8
UNIFORM = ("w8a8", "w4a8", "w4a4", "w2a8")
SEARCHED = tuple(map(LayerFormat.parse, ("w8a8", "w4a8", "w4a4", "w8a4", "w2a8")))
BUDGET, MAX_DROP = 30, 1.0

Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """One network of one seed.

    Attributes:
        network: Its name.
        seed: Of its data and training.
        accuracy: Of the float network, percent of the test nodes.
        drops: Points of accuracy lost, by format throughout.
        bytes: Weights and live buffers, by format throughout.
        found: What the search chose: drop, bytes and formats.
        components: Points lost by one component alone, "messages 3".
        breaks_first: The component that does.
    """

    network: str
    seed: int
    accuracy: float
    drops: dict[str, float] = field(default_factory=dict)
    bytes: dict[str, float] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)
    components: dict[str, float] = field(default_factory=dict)
    breaks_first: str | None = None


def graphs_of(seed: int, count: int, part: int, self_loops: bool) -> dict[str, Any]:
    """Graphs whose blocks have the means of a seed; see ``samples.block_graphs``."""
    means_chance = np.random.default_rng(seed)
    means = block_means(samples.NUM_BLOCKS, samples.NUM_FEATURES, samples.SIGNAL, means_chance)
    rng = np.random.default_rng([seed, part])
    rows: list[dict[str, Any]] = []
    for _ in range(count):
        graph = contextual_block_model(
            samples.BLOCK_NODES,
            samples.BLOCK_EDGES,
            rng,
            num_blocks=samples.NUM_BLOCKS,
            inside=samples.INSIDE,
            means=means,
        )
        edges = graph.edge_index
        edges = with_self_loops(edges, samples.BLOCK_NODES) if self_loops else edges
        weight = normalized_weights(edges, samples.BLOCK_NODES)
        rows.append(
            {"x": graph.features, "edge_index": edges, "edge_weight": weight,
             "label": graph.labels}
        )  # fmt: skip
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def trained(name: str, seed: int, graphs: Arrays) -> ir.Model:
    """A float network, trained as the examples are."""
    torch.manual_seed(seed)
    tensors = {key: torch.from_numpy(array) for key, array in graphs.items()}
    sizes = Sizes(samples.BLOCK_NODES, tensors["edge_index"].shape[2])
    weights = train.start(weight_shapes(name, sizes), seed)

    def loss(step: int) -> Tensor:
        graph = {key: array[step % NUM_TRAIN] for key, array in tensors.items()}
        logits = classify_nodes(name, weights, graph)
        return functional.cross_entropy(logits, graph["label"], label_smoothing=0.05)

    model = node_classifier(name, train.fit(weights, loss), sizes)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.onnx"
        path.write_bytes(model.SerializeToString())
        return import_model(path)


def inferences(model: ir.Model, graphs: Arrays, most: int) -> list[dict[str, Any]]:
    """One inference for each graph."""
    names = [value.name or "" for value in model.graph.inputs]
    return [{name: graphs[name][i] for name in names} for i in range(most)]


def measure(name: str, seed: int) -> Run:
    """Everything of one network and seed."""
    loops = name in train.WITH_LOOPS
    learned = graphs_of(seed, NUM_TRAIN, 0, loops)
    judged = graphs_of(seed, NUM_JUDGING, 1, loops)
    unseen = graphs_of(seed, NUM_TEST, 2, loops)
    model = trained(name, seed, learned)
    maker = EvaluatorMaker(
        name,
        serialize(model),
        inferences(model, learned, NUM_CALIBRATION),
        inferences(model, judged, NUM_JUDGING),
        judged["label"],
        get_recipe("static_wi8_ai8", rounding="second_order"),
        (),
        "host",
        "float32",
        None,
    )
    network = maker.network()
    meter = AccuracyMeter(network, inferences(model, unseen, NUM_TEST), unseen["label"])
    assert meter.float_accuracy is not None
    run = Run(name, seed, 100 * meter.float_accuracy)
    for text in UNIFORM:
        formats = dict.fromkeys(network.layers, LayerFormat.parse(text))
        run.drops[text] = meter.measure(formats)["drop"]
        run.bytes[text] = stored(network, formats)
    for role, bits, formats in ablation_formats(network):
        run.components[f"{role.value} {bits}"] = meter.measure(formats)["drop"]
    chosen = searched(maker)
    run.found.update(
        drop=meter.measure(chosen)["drop"],
        bytes=stored(network, chosen),
        formats={layer: str(one) for layer, one in chosen.items()},
    )
    first = broken(run.components, run.drops["w8a8"])
    return Run(**{**run.__dict__, "breaks_first": first})


def searched(maker: EvaluatorMaker) -> Formats:
    """The fewest bytes of weights and buffers among what loses at most a point."""
    options = SearchOptions(SEARCHED, budget=BUDGET, by_component=True)
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / FILE_NAME)
        with journal, in_process(maker) as workers:
            found = Search(maker, options, journal, workers, None).run()
    base = dict.fromkeys(found.problem.choices, EIGHT_BITS)
    uniform = next(e for e in found.evaluations if e.configuration == base)
    limit = uniform.objectives["drop"] + MAX_DROP
    within = [e for e in found.evaluations if e.objectives["drop"] <= min(limit, MAX_DROP)]
    least = min(
        within or [uniform], key=lambda e: e.objectives["bytes"] + e.objectives["buffer"]
    )
    return least.configuration


def stored(network: MixedNetwork, formats: Formats) -> float:
    """Bytes of weights, and of what is alive at one time."""
    weights = sum(weight_bytes(network, layer, one) for layer, one in formats.items())
    return float(weights + network.live_bytes(formats))


def broken(components: Mapping[str, float], eight: float) -> str | None:
    """Which component breaks first, by losses of "messages 3"."""
    rows = [(*key.split(), loss) for key, loss in components.items()]
    return Ablation(
        "drop",
        eight,
        tuple(AblationRow(name, int(bits), loss, None) for name, bits, loss in rows),
    ).breaks_first


def mean(values: Iterable[float]) -> float:
    """The mean."""
    return float(np.mean(list(values)))


def write(runs: list[Run]) -> None:
    """Both files of results."""
    RESULTS.mkdir(exist_ok=True)
    records = [run.__dict__ for run in runs]
    (RESULTS / "graph_formats.json").write_text(json.dumps(records, indent=1) + "\n")
    (RESULTS / "graph_formats.md").write_text("\n".join(lines(runs)) + "\n")


def lines(runs: list[Run]) -> Iterable[str]:
    """The tables."""
    of = {name: [run for run in runs if run.network == name] for name in NETWORKS}
    yield "# Formats of graph networks"
    yield ""
    yield (
        f"`python -m benchmarks.graph_formats`: block models of {samples.BLOCK_NODES} nodes,"
        f" means of {len(SEEDS)} seeds of data and training; points of accuracy lost on"
        f" {NUM_TEST * samples.BLOCK_NODES} nodes that nothing was chosen by. Weights of fewer"
        " than 8 bits are rounded by second_order; coefficients have the weights' bits."
    )
    yield ""
    yield "| network | float | " + " | ".join(UNIFORM) + " |"
    yield "|---" * (2 + len(UNIFORM)) + "|"
    for name, mine in of.items():
        drops = (f"{mean(r.drops[text] for r in mine):.2f}" for text in UNIFORM)
        yield f"| {name} | {mean(r.accuracy for r in mine):.1f}% | {' | '.join(drops)} |"
    yield ""
    yield "## Components found by the search"
    yield ""
    yield (
        f"`--by component`, {BUDGET} evaluations; of what loses at most {MAX_DROP:g} point on"
        " the nodes that the search judges by, the fewest bytes of weights and live buffers;"
        " measured again on the test nodes. Buffers count by their bits: in a program,"
        " activations of fewer than 8 bits take a byte each."
    )
    yield ""
    yield "| network | w8a8 bytes | found bytes | lost | worst seed |"
    yield "|---|---|---|---|---|"
    for name, mine in of.items():
        uniform, found = (
            mean(run.bytes["w8a8"] for run in mine),
            mean(run.found["bytes"] for run in mine),
        )
        drops = [run.found["drop"] for run in mine]
        share = f"{100 * (found / uniform - 1):+.0f}%"
        yield (
            f"| {name} | {uniform:.0f} | {found:.0f} ({share}) | {mean(drops):.2f}"
            f" | {max(drops):.2f} |"
        )
    yield ""
    yield "## One component alone"
    yield ""
    yield (
        "Points lost where one has fewer bits and the others 8. What breaks first is the"
        " component that loses most in the widest width in which one loses more than a point."
    )
    yield ""
    widths = [str(bits) for bits in NARROW_BITS]
    yield "| network | component | " + " | ".join(widths) + " |"
    yield "|---" * (2 + len(widths)) + "|"
    for name, mine in of.items():
        averages = {
            key: mean(run.components[key] for run in mine) for key in mine[0].components
        }
        for component in dict.fromkeys(key.split()[0] for key in averages):
            cells = (f"{averages[f'{component} {bits}']:.2f}" for bits in widths)
            yield f"| {name} | {component} | {' | '.join(cells)} |"
        first = broken(averages, mean(run.drops["w8a8"] for run in mine))
        each = ", ".join(run.breaks_first or "none" for run in mine)
        yield f"| {name} | *breaks first* | {first or 'none'} | of the seeds: | {each} |"


def main() -> None:
    """Measure all."""
    torch.set_num_threads(1)
    runs = []
    for name in NETWORKS:
        for seed in SEEDS:
            runs.append(measure(name, seed))
            print(f"{name} {seed}: {runs[-1].drops} {runs[-1].found} {runs[-1].breaks_first}")
    write(runs)


if __name__ == "__main__":
    main()
