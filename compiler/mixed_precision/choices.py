"""The problem that a search gives its solver: formats of layers, and what they cost."""

from collections.abc import Mapping, Sequence

from octavo.compiler.artifact.bit_packing import stored_bytes
from octavo.compiler.mixed_precision.network import MixedNetwork
from octavo.compiler.mixed_precision.options import BYTES, LATENCY, SearchOptions
from octavo.compiler.search.problem import Problem
from octavo.errors import RecipeError
from octavo.passes.layer_format import FLOAT_BITS, LayerFormat
from octavo.passes.linear_layers import num_outputs

FLOAT_BYTES = 4  # of a weight in float, and of a scale

Table = Mapping[str, Mapping[LayerFormat, float]]


def weight_bytes(network: MixedNetwork, layer: str, layer_format: LayerFormat) -> int:
    """Bytes of a layer's weight in the artifact, with a float32 scale for each output."""
    weight = network.weight(layer)
    bits = layer_format.weight_bits
    if bits == FLOAT_BITS:
        return FLOAT_BYTES * weight.size
    num_scales = num_outputs(network.head(layer), weight)
    return stored_bytes(weight.size, bits) + FLOAT_BYTES * num_scales


def bytes_table(network: MixedNetwork, formats: Sequence[LayerFormat]) -> Table:
    """Bytes of each layer's weight in each format."""
    return {
        layer: {chosen: float(weight_bytes(network, layer, chosen)) for chosen in formats}
        for layer in network.layers
    }


def make_problem(
    network: MixedNetwork,
    options: SearchOptions,
    loss: str,
    tables: Mapping[str, Table],
) -> Problem[LayerFormat]:
    """The choices of every layer.

    Args:
        network: Whose layers.
        options: What the user wants.
        loss: Name of the first objective.
        tables: Of additive costs, by name of the objective that they estimate.

    Raises:
        RecipeError: A limit is on something that is not measured.
    """
    objectives = (loss, *((LATENCY,) if options.device else ()), BYTES)
    for name in options.limits:
        if name not in objectives:
            raise RecipeError(
                f"a limit on {name} has no value to hold it against; this search measures"
                f" {', '.join(objectives)}"
            )
    return Problem(
        dict.fromkeys(network.layers, options.formats),
        objectives,
        dict(options.limits),
        dict(tables),
    )
