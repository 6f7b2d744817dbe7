"""The problem that a search gives its solver: formats of layers, and what they cost."""

from collections.abc import Mapping, Sequence

from octavo.compiler.artifact.bit_packing import stored_bytes
from octavo.compiler.mixed_precision.network import MixedNetwork
from octavo.compiler.mixed_precision.options import BUFFER, BYTES, LATENCY, SearchOptions
from octavo.compiler.search.problem import Problem
from octavo.errors import RecipeError
from octavo.passes.layer_format import FLOAT_BITS, LayerFormat
from octavo.passes.message_passing.components import Role

FLOAT_BYTES = 4  # of a weight in float, and of a scale

Table = Mapping[str, Mapping[LayerFormat, float]]


def weight_bytes(network: MixedNetwork, layer: str, layer_format: LayerFormat) -> int:
    """Bytes of a layer's weight in the artifact, with a float32 scale for each output."""
    weight = network.weight(layer)
    bits = layer_format.weight_bits
    if bits == FLOAT_BITS:
        return FLOAT_BYTES * weight.size
    return stored_bytes(weight.size, bits) + FLOAT_BYTES * network.num_scales(layer)


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
        RecipeError: A limit is on something that is not measured, or components are to choose
            in a network that has none.
    """
    if options.by_component and not network.components:
        raise RecipeError(
            "no message passing is recognized, so there are no components to choose formats of"
        )
    latency = (LATENCY,) if options.device else ()
    buffer = (BUFFER,) if network.components else ()
    objectives = (loss, *latency, BYTES, *buffer)
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
        tied_layers(network) if options.by_component else (),
    )


def tied_layers(network: MixedNetwork) -> list[tuple[str, ...]]:
    """Groups of layers that read the same component of a graph network, which choose alike."""
    groups: dict[tuple[Role, ...], list[str]] = {}
    for layer in network.layers:
        roles = tuple(part.role for part in network.components if layer in part.nodes)
        groups.setdefault(roles, []).append(layer)
    return [tuple(names) for names in groups.values()]
