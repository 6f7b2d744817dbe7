"""Whether the answer of ``octavo explain`` about float is right: the network itself is asked.

    python -m benchmarks.explain [NAME ...] [--layers N]

For layers of each network, spread over it, the answer says how much longer a run takes when
this layer alone computes in float. Then the network is built like that, and measured side by
side with the integer one. Writes benchmarks/results/explain.json and explain.md.
"""

import json
import tempfile
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np
from onnx_ir.passes.common import RemoveUnusedNodesPass

import octavo
from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path
from octavo.compiler.artifact.kernel_cache import KernelCache, with_stable_symbols
from octavo.compiler.artifact.write import write_artifact
from octavo.compiler.devices import find_device
from octavo.compiler.devices.measurement import Measurement
from octavo.compiler.devices.median import median_interval
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.devices.rounds import measure_rounds
from octavo.compiler.explain.explain import ExplainOptions, explain_artifact
from octavo.compiler.explain.explanation import LayerExplanation
from octavo.compiler.explain.float_twin import QUANTIZERS, read_model
from octavo.compiler.lowering.lower import lower
from octavo.compiler.measurements.latencies import LatencyStore
from octavo.passes.join_float_layers import JoinFloatLayers
from octavo.passes.wiring import is_op
from octavo.targets import get_target

RESULTS = Path(__file__).parent / "results"
NETWORKS = ("mobilenet_v2", "ds_cnn")
NUM_CALIBRATION = 4
SECONDS, CHECK_SECONDS = 40.0, 90.0
CLOCK_US = 0.1  # differences that the clocks around steps do not tell


@dataclass(frozen=True)
class Row:
    """One layer in float.

    Attributes:
        layer: Its name.
        int8_us: What it takes in integers, as explained.
        said_us: How much longer a run takes with it in float, by the answer.
        measured_us: The same of the network that was built like that: median of the
            differences of neighbouring rounds.
        low_us, high_us: Where that median is with 95% confidence.
    """

    layer: str
    int8_us: float
    said_us: float
    measured_us: float
    low_us: float
    high_us: float

    @property
    def agrees(self) -> bool:
        """Whether what was said is in the interval, give or take a tenth."""
        slack = max(0.1 * abs(self.said_us), CLOCK_US)
        return self.low_us - slack <= self.said_us <= self.high_us + slack


@click.command()
@click.argument("names", nargs=-1)
@click.option("--layers", default=8, show_default=True, help="of each network")
def main(names: tuple[str, ...], layers: int) -> None:
    """Check the answers for the networks NAME, or the usual ones."""
    rows = {name: measure(name, layers) for name in names or NETWORKS}
    record = {name: [asdict(row) for row in found] for name, found in rows.items()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "explain.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "explain.md").write_text(table(rows) + "\n")
    click.echo(table(rows))


def measure(name: str, num_layers: int) -> list[Row]:
    """Explain a network, then build it once for each of some layers in float.

    Args:
        name: Name of a zoo entry.
        num_layers: Layers, from the most expensive to the cheapest.
    """
    entry = find_entry(name)
    samples = entry.samples(NUM_CALIBRATION)
    data = {key: np.concatenate([s[key] for s in samples]) for key in samples[0]}
    device = find_device("local")
    with tempfile.TemporaryDirectory() as text, ExitStack() as stack:
        folder = Path(text)
        octavo.compile(model_path(name), "host", folder / "int8", samples=data)
        store = stack.enter_context(LatencyStore(folder / "measurements.sqlite"))
        options = ExplainOptions(measures=True, seconds=SECONDS)
        found = explain_artifact(folder / "int8", device, store, (), options)
        known = [x for x in found.layers if x.float_answer is not None]
        chosen = [known[i * (len(known) - 1) // (num_layers - 1)] for i in range(num_layers)]
        chosen = list({layer.name: layer for layer in chosen}.values())
        kernels = KernelCache(folder)
        folders = [folder / "int8"]
        for index, layer in enumerate(chosen):
            folders.append(folder / str(index))
            _build(folder / "int8", layer, folders[-1], kernels)
        deployments = [stack.enter_context(device.deploy(f)) for f in folders]
        base, *others = measure_rounds(
            deployments, RoundPlan(seconds=CHECK_SECONDS, with_steps=False))
        return [
            Row(layer.name, round(layer.latency_us, 2), round(_said_us(layer), 2),
                *_difference(base, other))
            for layer, other in zip(chosen, others, strict=True)]


def _difference(base: Measurement, other: Measurement) -> tuple[float, float, float]:
    """Median of the differences of rounds that were taken in one turn, and its interval."""
    differences = [b - a for a, b in zip(base.medians_us, other.medians_us, strict=True)]
    low, high = median_interval(differences) or (float("nan"), float("nan"))
    return round(float(np.median(differences)), 2), round(low, 2), round(high, 2)


def _said_us(layer: LayerExplanation) -> float:
    found = layer.float_answer
    assert found is not None
    return found.float_us - found.int8_us


def _build(
    artifact: Path, layer: LayerExplanation, folder: Path, kernels: KernelCache
) -> None:
    """The network with one layer in float."""
    model = read_model(artifact)
    everything = {n.name for n in model.graph if n.name and not is_op(n, *QUANTIZERS)}
    JoinFloatLayers(everything - set(layer.nodes))(model)
    RemoveUnusedNodesPass()(model)
    target = get_target("host")
    program = with_stable_symbols(lower(model, target, float_nodes=layer.nodes))
    write_artifact(program, target, None, folder, kernel_cache=kernels)


def table(rows: dict[str, list[Row]]) -> str:
    """Markdown: one line for each layer."""
    every = [row for found in rows.values() for row in found]
    lines = [
        "How much longer one run takes when one layer computes in float: by the answer of"
        " `octavo explain`, and as measured of the network that was built like that, with the"
        f" 95% interval. {sum(row.agrees for row in every)} of {len(every)} answers are in the"
        " interval, give or take a tenth.",
        "",
        "| network | layer | INT8, us | said, us | measured, us | interval |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {r.layer} | {r.int8_us:.2f} | {r.said_us:+.2f} | {r.measured_us:+.2f} |"
        f" {r.low_us:+.2f} to {r.high_us:+.2f} |"
        for name, found in rows.items() for r in found]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
