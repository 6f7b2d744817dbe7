"""What a network that was found loses, stores and takes, measured as a program."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from octavo.compiler.graph_search.exported import MODEL, SAMPLES
from octavo.compiler.importer import import_model
from octavo.compiler.mixed_precision.accuracy import DROP
from octavo.compiler.mixed_precision.choices import weight_bytes
from octavo.compiler.mixed_precision.evaluator import (
    ACCURACY,
    TURNS,
    EvaluatorMaker,
    question,
    serialize,
)
from octavo.compiler.mixed_precision.network import Formats, MixedNetwork
from octavo.compiler.mixed_precision.options import BUFFER
from octavo.compiler.recipes import get_recipe
from octavo.compiler.samples import open_samples
from octavo.compiler.selection.options import SelectionOptions
from octavo.compiler.sensitivity.labels import read_labels
from octavo.errors import ModelError
from octavo.passes.layer_format import EIGHT_BITS, LayerFormat
from octavo.targets import get_target

RECIPE, ROUNDING = "static_wi8_ai8", "second_order"


@dataclass(frozen=True)
class Measured:
    """One network in some formats.

    Attributes:
        accuracy: Percent of the test nodes that it gets right.
        weight_bytes: Of its weights as the artifact stores them.
        buffer_bytes: The most bytes of activations alive at one time, by their bits.
        latency: Median of one run, milliseconds or what an emulator counts; NaN without a
            device.
        spread: Half of the 95% interval over the latency.
        arena_bytes: What the program takes besides its weights: whole bytes of activations,
            and the order of edges; NaN where no artifact was built.
    """

    accuracy: float
    weight_bytes: float
    buffer_bytes: float
    latency: float = math.nan
    spread: float = math.nan
    arena_bytes: float = math.nan


def measure_network(
    folder: Path,
    formats: Mapping[str, LayerFormat],
    *,
    target: str,
    device: SelectionOptions | None,
    artifact: Path,
    seed: int,
) -> dict[str, Measured]:
    """Measure what ``write_network`` wrote, and build its artifact.

    Args:
        folder: Of the network.
        formats: Of its nodes; those that have none have 8 bits.
        target: What programs are for.
        device: Where latency is measured; None: nowhere.
        artifact: Folder to create.
        seed: Recorded in the manifest.

    Returns:
        By name: "found", "w8a8" for the same network in 8 bits, and "float32". With a device
        the three ran in turns.

    Raises:
        DeviceError: The device does not answer.
        LoweringError, ToolchainError: The program cannot be built.
        ModelError: The outputs are no classes of the nodes.
    """
    # TVM takes seconds to load.
    from octavo.compiler.mixed_precision.artifacts import write_configuration
    from octavo.compiler.mixed_precision.programs import ProgramMaker

    model = import_model(folder / MODEL, isolated=False)  # written here
    inferences = list(open_samples(folder / SAMPLES, model))
    labels = read_labels(folder / SAMPLES, len(inferences))
    machine = get_target(target)
    maker = EvaluatorMaker(
        "graph_network",
        serialize(model),
        inferences,
        inferences,
        labels,
        get_recipe(RECIPE, rounding=ROUNDING),
        (),
        target,
        machine.requantize,
        device,
    )
    evaluator = maker()
    network = evaluator.network
    chosen = {layer: formats.get(layer, EIGHT_BITS) for layer in network.layers}
    asked: dict[str, Formats] = {
        "found": chosen,
        "w8a8": dict.fromkeys(network.layers, EIGHT_BITS),
        "float32": {},
    }
    try:
        top = evaluator.accuracy.float_accuracy
        if top is None:
            raise ModelError("the outputs are no classes of the nodes")
        times = {} if device is None else evaluator(question(TURNS, *asked.values()))
        lost = {n: evaluator(question(ACCURACY, f)) for n, f in asked.items() if f}
    finally:
        evaluator.close()
    measured = {}
    for number, (name, formats_of) in enumerate(asked.items()):
        values = lost.get(name, {DROP: 0.0, BUFFER: float(network.live_bytes({}))})
        measured[name] = Measured(
            100 * top - values[DROP],
            _weight_bytes(network, formats_of),
            values[BUFFER],
            times.get(f"latency {number}", math.nan),
            times.get(f"spread {number}", math.nan),
        )
    manifest = write_configuration(
        network,
        ProgramMaker(network, machine, machine.requantize, maker.name),
        chosen,
        artifact,
        samples=inferences,
        measured=_known(measured["found"]),
        seed=seed,
    )
    arena_bytes = float(manifest["memory"]["arena_bytes"])
    return {**measured, "found": replace(measured["found"], arena_bytes=arena_bytes)}


def _weight_bytes(network: MixedNetwork, formats: Formats) -> float:
    if not formats:
        return 4.0 * sum(network.weight(layer).size for layer in network.layers)
    return float(sum(weight_bytes(network, layer, one) for layer, one in formats.items()))


def _known(measured: Measured) -> dict[str, Any]:
    return {name: value for name, value in asdict(measured).items() if math.isfinite(value)}
