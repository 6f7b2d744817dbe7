"""What single layers cost in single formats: where solvers begin, and what reports explain by.

The loss of a layer is measured with all others in the first format: what the network then
loses more than with that format throughout. Latencies are those of the layer within the
program whose layers all have the format.
"""

import math
from collections.abc import Mapping, Sequence

from octavo.compiler.mixed_precision.accuracy import NOISE
from octavo.compiler.mixed_precision.choices import Table
from octavo.compiler.mixed_precision.evaluator import LAYERS
from octavo.compiler.mixed_precision.journal import Measured
from octavo.compiler.mixed_precision.measuring import Measuring
from octavo.compiler.mixed_precision.network import MixedNetwork
from octavo.passes.layer_format import LayerFormat

LEAST_LOSS = 1e-12  # of noise over signal: a loss that chance made negative
FAILED = 1e6  # a layer that cannot be evaluated in a format is the last to take it

Couplings = Mapping[LayerFormat, Mapping[tuple[str, str], float]]


def measure_losses(
    network: MixedNetwork, formats: Sequence[LayerFormat], measuring: Measuring
) -> Table:
    """Noise over signal that each layer adds in each format, as a power ratio.

    Source: Hubara et al., CalibTIP, arXiv:2006.10518, 3.4: one layer at a time in a network of
        8 bits, with weights that are rounded for the format already.
    """
    base = dict.fromkeys(network.layers, formats[0])
    pairs = [(layer, chosen) for layer in network.layers for chosen in formats[1:]]
    asked = [base, *({**base, layer: chosen} for layer, chosen in pairs)]
    measured = [power(one) for one in measuring.losses(asked)]
    losses = {layer: {formats[0]: 0.0} for layer in network.layers}
    for (layer, chosen), value in zip(pairs, measured[1:], strict=True):
        losses[layer][chosen] = max(value - measured[0], LEAST_LOSS)
    return losses


def measure_couplings(
    network: MixedNetwork,
    formats: Sequence[LayerFormat],
    levels: Sequence[LayerFormat],
    losses: Table,
    measuring: Measuring,
) -> Couplings:
    """What neighbours lose more together than each alone, in each of some formats.

    Source: Schaefer et al., Augmented Hessians, 2023; see ``compiler.sensitivity.coupling``.
    """
    base = dict.fromkeys(network.layers, formats[0])
    pairs = [(level, pair) for level in levels for pair in network.neighbours()]
    asked = [base, *({**base, a: level, b: level} for level, (a, b) in pairs)]
    measured = [power(one) for one in measuring.losses(asked)]
    couplings: dict[LayerFormat, dict[tuple[str, str], float]] = {f: {} for f in levels}
    for (level, (a, b)), value in zip(pairs, measured[1:], strict=True):
        together = value - measured[0]
        couplings[level][a, b] = together - losses[a][level] - losses[b][level]
    return couplings


def measure_latencies(
    network: MixedNetwork, formats: Sequence[LayerFormat], measuring: Measuring
) -> Table | None:
    """Latency of each layer in each format, measured once; None where no device measures."""
    if measuring.on_device is None:
        return None
    asked = [dict.fromkeys(network.layers, chosen) for chosen in formats]
    measured = measuring.on_the_device(LAYERS, asked)
    # Where a program cannot be built, its layers are as slow as the slowest of the others.
    slowest = {
        layer: max(one.values.get(layer, 0.0) for one in measured) for layer in network.layers
    }
    return {
        layer: {
            chosen: one.values.get(layer, slowest[layer])
            for chosen, one in zip(formats, measured, strict=True)
        }
        for layer in network.layers
    }


def power(measured: Measured) -> float:
    """Noise over signal as a power ratio."""
    if measured.error is not None:
        return FAILED
    return math.pow(10, measured.values[NOISE] / 10)
