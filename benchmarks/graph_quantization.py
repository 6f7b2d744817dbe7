"""What quantizing graph networks loses: python -m benchmarks.graph_quantization.

The trained networks of examples/graphs on graphs that calibration has not seen, quantized
models run by ONNX Runtime as written: labels that agree with float and correct labels with
weights of 8 and 4 bits, and agreement when a tenth of the edges is gone while scales stay.
Attention with scores in float, 16 and 8 bits, as trained and sharper. Graphs with hubs: ranges
of every value against ranges by degree. Writes results/graph_quantization.json and .md.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from examples.graphs.block_model import block_means
from examples.graphs.graph import drop_edges, in_degrees, normalized_weights, with_self_loops
from examples.graphs.networks import LAYERS, Sizes, node_classifier
from examples.graphs.onnx_writer import stored_weights
from examples.graphs.power_law import power_law_multigraph
from examples.graphs.samples import NUM_BLOCKS, NUM_FEATURES, SEED, SIGNAL
from numpy.typing import NDArray

from octavo.compiler.calibration.calibrate import calibrate
from octavo.compiler.calibration.reference_run import ReferenceRun
from octavo.compiler.importer import import_model
from octavo.compiler.quantize import quantize_model
from octavo.compiler.recipes import get_recipe
from octavo.passes.constants import NameSource, add_constant
from octavo.passes.insert_quantizers import InsertQuantizers
from octavo.passes.message_regions import plan_messages
from octavo.passes.placement import plan_placement
from octavo.passes.prepare import prepare
from octavo.passes.quant_math import choose_qparams
from octavo.passes.quantizer_options import QuantizerOptions

ROOT = Path(__file__).parents[1]
GRAPHS, RESULTS = ROOT / "examples" / "graphs", Path(__file__).parent / "results"
LOOPS = ("gcn", "gat", "gatv2")  # their data have a self loop at every node
CLASSIFIERS = (
    "gcn", "sage_mean", "sage_max", "gin", "gat", "gatv2", "sir_gcn", "chebyshev", "sheaf",
)  # fmt: skip
FORECASTERS = ("forecast_gru", "forecast_tcn")
DROPPED = 0.1
SHARPNESS = (1, 4, 16)
HUB_NETWORKS = ("gin", "sir_gcn", "sheaf", "sage_mean", "sage_max")
EXPONENTS = (2.3, 2.7, 3.5)
HUB_NODES, HUB_EDGES, HUB_CALIBRATION, HUB_TEST = 2000, 16_000, 4, 4

Arrays = Mapping[str, NDArray[Any]]
Row = dict[str, Any]


def main() -> None:
    """Measure everything and write the results."""
    found = {
        "classifiers": [_classifier(name) for name in CLASSIFIERS],
        "forecasters": [_forecaster(name) for name in FORECASTERS],
        "scores": list(_scores()),
        "hubs": list(_hubs()),
    }
    (RESULTS / "graph_quantization.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "graph_quantization.md").write_text(_text(found))


def _data(name: str, part: str) -> Arrays:
    suffix = "_loops" if name in LOOPS else "_series" if name in FORECASTERS else ""
    return dict(np.load(GRAPHS / f"{part}{suffix}.npz"))


def _samples(model: ir.Model, data: Arrays) -> list[Arrays]:
    names = [value.name or "" for value in model.graph.inputs]
    return [{name: data[name][i] for name in names} for i in range(len(data[names[0]]))]


def _outputs(model: ir.Model, samples: list[Arrays]) -> NDArray[np.float32]:
    run = ReferenceRun(model, list(model.graph.outputs))
    return np.stack([next(iter(run.run(sample).values())) for sample in samples])


def _quantized(model: ir.Model, data: Arrays, **options: Any) -> ir.Model:
    recipe = get_recipe("static_wi8_ai8", **options)
    return quantize_model(model, _samples(model, data), recipe=recipe, measure=False).model


def _agreement(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float((one.argmax(axis=-1) == other.argmax(axis=-1)).mean())


def _correct(logits: NDArray[np.float32], data: Arrays) -> float:
    return float((logits.argmax(axis=-1) == data["label"]).mean())


def _classifier(name: str) -> Row:
    model = import_model(GRAPHS / f"{name}.onnx")
    calibration, test = _data(name, "calibration"), _data(name, "test")
    samples = _samples(model, test)
    exact = _outputs(model, samples)
    w8 = _outputs(_quantized(model, calibration), samples)
    w4 = _outputs(_quantized(model, calibration, weight_bits=4), samples)
    rounded = {"weight_bits": 4, "rounding": "second_order"}
    w4_rounded = _outputs(_quantized(model, calibration, **rounded), samples)
    return {
        "network": name,
        "agreement": _agreement(exact, w8),
        "float": _correct(exact, test),
        "w8a8": _correct(w8, test),
        "w4a8": _correct(w4, test),
        "w4a8_second_order": _correct(w4_rounded, test),
        "agreement_dropped": _agreement_dropped(name, model, calibration, test),
    }


def _forecaster(name: str) -> Row:
    model = import_model(GRAPHS / f"{name}.onnx")
    calibration, test = _data(name, "calibration"), _data(name, "test")
    samples = _samples(model, test)
    models = (model, _quantized(model, calibration))
    errors = [float(np.abs(_outputs(m, samples) - test["next"]).mean()) for m in models]
    return {"network": name, "float": errors[0], "w8a8": errors[1]}


def _agreement_dropped(name: str, model: ir.Model, calibration: Arrays, test: Arrays) -> float:
    """The same scales in a network for fewer edges: a model has one number of them."""
    options = QuantizerOptions()
    whole = prepare(model.clone())
    samples = _samples(whole, calibration)
    plan = plan_placement(whole.graph, options)
    ranges = calibrate(whole, plan, samples, options=options, num_samples=len(samples))
    dropped = _without_edges(name, test)
    fewer = prepare(_network(name, 300, dropped["edge_index"].shape[-1]))
    rounded = fewer.clone()
    InsertQuantizers(ranges, options)(rounded)
    feeds = _samples(fewer, dropped)
    return _agreement(_outputs(fewer, feeds), _outputs(rounded, feeds))


def _without_edges(name: str, data: Arrays) -> Arrays:
    rng = np.random.default_rng(SEED)
    edges, weights = [], []
    for index in data["edge_index"]:
        kept = drop_edges(index[:, index[0] != index[1]], DROPPED, rng)
        kept = with_self_loops(kept, 300) if name in LOOPS else kept
        weight = normalized_weights(kept, 300)
        edges.append(kept)
        weights.append(weight if name in LOOPS else -weight)
    return {"x": data["x"], "edge_index": np.stack(edges), "edge_weight": np.stack(weights)}


def _network(name: str, num_nodes: int, num_edges: int, sharpness: float = 1.0) -> ir.Model:
    """A trained network for another graph, its attention vectors scaled."""
    weights = stored_weights(onnx.load(GRAPHS / f"{name}.onnx"))
    scaled = {
        key: array * np.float32(sharpness) if ".att" in key else array
        for key, array in weights.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        onnx.save(node_classifier(name, scaled, Sizes(num_nodes, num_edges)), path)
        return import_model(path)


def _scores() -> Iterator[Row]:
    for name in ("gat", "gatv2"):
        calibration, test = _data(name, "calibration"), _data(name, "test")
        for sharpness in SHARPNESS:
            model = _network(name, 300, calibration["edge_index"].shape[-1], sharpness)
            samples = _samples(model, test)
            exact = _outputs(model, samples)
            quantized = _quantized(model, calibration)
            ranges = _score_ranges(model, _samples(model, calibration))
            row: Row = {"network": name, "sharpness": sharpness}
            for num_bits in (32, 16, 8):
                rounded = _with_rounded_scores(quantized, ranges, num_bits)
                logits = _outputs(rounded, samples)
                lost = float(np.square(logits - exact).sum() / np.square(exact).sum())
                row[f"a{num_bits}"] = _agreement(exact, logits)
                row[f"a{num_bits}_db"] = -10 * np.log10(lost)
            yield row


def _score_ranges(model: ir.Model, samples: list[Arrays]) -> dict[str, tuple[float, float]]:
    prepared = prepare(model.clone())
    scores = sorted(plan_messages(prepared.graph).scores, key=lambda value: value.name or "")
    run = ReferenceRun(prepared, scores)
    results = [run.run(sample) for sample in samples]
    return {
        name: (
            min(float(r[name].min()) for r in results),
            max(float(r[name].max()) for r in results),
        )
        for name in (value.name or "" for value in scores)
    }


def _with_rounded_scores(
    model: ir.Model, ranges: Mapping[str, tuple[float, float]], num_bits: int
) -> ir.Model:
    """A copy whose scores are rounded; 32 bits leave them as products make them."""
    copy = model.clone()
    if num_bits == 32:
        return copy
    graph, names = copy.graph, NameSource(copy.graph)
    values = [v for node in graph for v in node.outputs if v.name in ranges]
    for value in values:
        params = choose_qparams(*ranges[value.name or ""], num_bits=num_bits)
        operands = [
            add_constant(graph, names, "score_scale", np.asarray(params.scale, np.float32)),
            add_constant(
                graph, names, "score_zero", np.asarray(params.zero_point, params.dtype)
            ),
        ]
        uses = list(value.uses())
        rounding = ir.node("QuantizeLinear", [value, *operands], name=names.fresh("score_q"))
        back = ir.node(
            "DequantizeLinear", [rounding.outputs[0], *operands], name=names.fresh("score_dq")
        )
        producer = value.producer()
        assert producer is not None  # scores are computed
        graph.insert_after(producer, [rounding, back])
        for use in uses:
            use.node.replace_input_with(use.idx, back.outputs[0])
    return copy


def _hubs() -> Iterator[Row]:
    means = block_means(NUM_BLOCKS, NUM_FEATURES, SIGNAL, np.random.default_rng(SEED))
    for exponent in EXPONENTS:
        rng = np.random.default_rng(SEED)
        graphs = [
            power_law_multigraph(HUB_NODES, HUB_EDGES, rng, means=means, exponent=exponent)
            for _ in range(HUB_CALIBRATION + HUB_TEST)
        ]
        feeds = [{"x": g.features, "edge_index": g.edge_index} for g in graphs]
        degrees = np.stack([in_degrees(g.edge_index, HUB_NODES) for g in graphs])
        for name in HUB_NETWORKS:
            model = _network(name, HUB_NODES, HUB_EDGES)
            test = feeds[HUB_CALIBRATION:]
            exact = _outputs(model, test)
            hubs = degrees[HUB_CALIBRATION:] >= np.quantile(degrees, 0.99)
            row: Row = {
                "network": name,
                "exponent": exponent,
                "largest_degree": int(degrees.max()),
                "median_degree": float(np.median(degrees)),
            }
            for calibrator in ("minmax", "percentile:99.99", "degree", "degree:0.1", None):
                result = quantize_model(
                    model, feeds[:HUB_CALIBRATION], calibrator=calibrator, measure=False
                )
                same = exact.argmax(axis=-1) == _outputs(result.model, test).argmax(axis=-1)
                row[calibrator or "chosen"] = float(same.mean())
                row[f"{calibrator or 'chosen'} at hubs"] = float(same[hubs].mean())
            yield row


def _text(found: Mapping[str, list[Row]]) -> str:
    assert set(LAYERS) >= set(CLASSIFIERS)
    lines = [
        "# What quantizing graph networks loses",
        "",
        "`python -m benchmarks.graph_quantization`; trained networks of examples/graphs, on"
        " graphs not seen in calibration.",
        "",
        "| network | labels as float | correct, float | W8A8 | W4A8 | W4A8, second order |"
        " labels as float, a tenth of the edges gone |",
        "|---|---|---|---|---|---|---|",
    ]
    keys = ("agreement", "float", "w8a8", "w4a8", "w4a8_second_order", "agreement_dropped")
    for row in found["classifiers"]:
        lines.append(_row(row["network"], *(f"{row[key]:.2%}" for key in keys)))
    lines += ["", "| network | mean absolute error, float | W8A8 |", "|---|---|---|"]
    for row in found["forecasters"]:
        lines.append(_row(row["network"], f"{row['float']:.5f}", f"{row['w8a8']:.5f}"))
    lines += [
        "",
        "Attention scores as products make them, and rounded; vectors of attention times a"
        " number make it sharper.",
        "",
        "| network | times | float | 16 bits | 8 bits |",
        "|---|---|---|---|---|",
    ]
    for row in found["scores"]:
        cells = (f"{row[f'a{b}']:.2%}, {row[f'a{b}_db']:.1f} dB" for b in (32, 16, 8))
        lines.append(_row(row["network"], row["sharpness"], *cells))
    lines += [
        "",
        f"Graphs with hubs: {HUB_NODES} nodes, {HUB_EDGES} edges, degrees by a power law;"
        " labels as float (in brackets those of the 1% of nodes with the most edges).",
        "",
        "| network | exponent | median and largest degree | minmax | percentile:99.99 |"
        " degree | degree:0.1 | chosen |",
        "|---|---|---|---|---|---|---|---|",
    ]
    names = ("minmax", "percentile:99.99", "degree", "degree:0.1", "chosen")
    for row in found["hubs"]:
        cells = (f"{row[n]:.1%} ({row[f'{n} at hubs']:.0%})" for n in names)
        size = f"{row['median_degree']:.0f}, {row['largest_degree']}"
        lines.append(_row(row["network"], row["exponent"], size, *cells))
    return "\n".join(lines) + "\n"


def _row(*cells: Any) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


if __name__ == "__main__":
    main()
