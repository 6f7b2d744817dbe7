"""One float network in any configuration of formats, prepared and calibrated once."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.calibration.rounded_weights import RoundedWeights
from octavo.compiler.quantize import check_overrides
from octavo.compiler.quantize_job import QuantizeJob, count_samples, options_of
from octavo.compiler.quantize_steps import (
    calibrate_missing,
    correct_biases,
    insert_quantizers,
    prepare_network,
)
from octavo.compiler.recipes import Recipe, configuration_overrides
from octavo.compiler.sensitivity.neighbours import find_neighbours
from octavo.errors import ModelError, RecipeError
from octavo.passes.choose_parameters import choose_parameters
from octavo.passes.constants import float_constant
from octavo.passes.fused_regions import Region, find_regions
from octavo.passes.insert_quantizers import place_with_ranges
from octavo.passes.layer_format import EIGHT_BITS, LayerFormat
from octavo.passes.linear_layers import linear_weight, num_outputs
from octavo.passes.live_bytes import largest_live_bytes
from octavo.passes.message_passing.components import Component, Role, find_components
from octavo.passes.message_passing.forms import Kind
from octavo.passes.narrow_ranges import Range
from octavo.passes.prepare import prepare
from octavo.passes.quantizer_options import LayerOverride, QuantizerOptions
from octavo.passes.rounding.methods import MOMENT_METHODS, NEAREST
from octavo.passes.wiring import is_op, static_shape

Samples = Sequence[Mapping[str, NDArray[Any]]]
Formats = Mapping[str, LayerFormat]


class MixedNetwork:
    """Makes the quantized model of a configuration.

    A configuration with 8 bits everywhere is the model that ``quantize_model`` makes by the
    same recipe.

    Attributes:
        prepared: The float model, its layers equalized and balanced; nodes have the names of
            the quantized models'.
        layers: Names of the nodes that take a format, in graph order: layers with weights, and
            what aggregates in a graph network.
        components: Of a graph network, the nodes of each that take a format; else none.
        notes: One line for each thing that the user should know.
    """

    def __init__(
        self,
        model: ir.Model,
        samples: Samples,
        *,
        recipe: Recipe,
        activation_dtype: str,
        overrides: tuple[LayerOverride, ...] = (),
    ) -> None:
        """Prepare a network.

        Args:
            model: From ``import_model``, float; not changed.
            samples: Inferences to calibrate with; held in memory.
            recipe: How it is quantized. Widths are those of what takes no format; a rounding
                applies to layers of fewer than 8 bits.
            activation_dtype: "uint8" or "int8".
            overrides: Choices for single layers; a layer that they keep in float takes none.

        Raises:
            DataError: There is no sample.
            ModelError: The model is quantized already, or no layer of it has a weight.
            RecipeError: An override names no layer, the recipe leaves activations in float, or
                its rounding is not one of single layers.
        """
        if any(is_op(node, "QuantizeLinear") for node in model.graph):
            raise ModelError("the model is quantized already: it contains QuantizeLinear")
        if not recipe.quantize_activations:
            raise RecipeError(
                f"recipe {recipe.name!r} leaves activations in float, so that layers have no"
                " formats to choose from"
            )
        allowed = (NEAREST, *MOMENT_METHODS)
        if recipe.rounding not in allowed:
            raise RecipeError(
                f"rounding {recipe.rounding!r} depends on all layers at once; allowed for"
                f" configurations: {', '.join(allowed)}"
            )
        self._given, self._recipe = model, recipe
        job = QuantizeJob(
            chosen=recipe,
            samples=samples,
            num_samples=count_samples(samples, None),
            options=options_of(recipe, activation_dtype, overrides),
            progress=None,
        )
        network = prepare_network(model, job)
        check_overrides(overrides, model.graph, network.model.graph)
        self._job, self.notes = network.job, network.notes
        self.prepared = network.model
        self._regions = _regions(self.prepared, self._job.options)
        self._heads = {name: region.head for name, region in self._regions.items()}
        self.layers = tuple(self._heads)
        self.components = self._find_components()
        if not self.layers:
            raise ModelError("the model has no layer with a weight that could be quantized")
        self._ranges: dict[str, Range] = {}
        eight = self._job_of(dict.fromkeys(self.layers, EIGHT_BITS))
        calibrate_missing(self.prepared, self._ranges, eight)
        self._corrected = correct_biases(self.prepared, self._ranges, eight)
        self._rounded: RoundedWeights | None = None

    def weight(self, layer: str) -> NDArray[np.float32]:
        """The float weight of a layer, in its operator's shape.

        Of what aggregates: its factors where they are part of the model, such as an adjacency
        matrix, else (0,).
        """
        form = self._regions[layer].form
        if form is None:
            weight = linear_weight(self._heads[layer])
        else:
            factors = None if form.coefficients is None else float_constant(form.coefficients)
            weight = np.zeros(0, np.float32) if factors is None else factors
        assert weight is not None
        return weight

    def num_scales(self, layer: str) -> int:
        """Scales of a layer's weight: one of each output, or of each row of a matrix."""
        weight, form = self.weight(layer), self._regions[layer].form
        if form is None:
            return num_outputs(self._heads[layer], weight)
        if not weight.size:
            return 0
        return weight.shape[0] if form.kind is Kind.PRODUCT else 1

    def head(self, layer: str) -> ir.Node:
        """The node of a layer in the prepared model."""
        return self._heads[layer]

    def macs(self, layer: str) -> int:
        """Multiply-accumulates of a layer in one run."""
        head, form = self._heads[layer], self._regions[layer].form
        if form is not None:
            shape = static_shape(form.features[-1]) or (0,)
            return form.num_edges * math.prod(shape) // shape[form.axis]
        weight = self.weight(layer)
        # A transposed convolution spreads what it reads, the others gather what they write.
        is_spread = head.op_type == "ConvTranspose"
        value = head.inputs[0] if is_spread else head.outputs[0]
        assert value is not None
        channels = weight.shape[0] if is_spread else num_outputs(head, weight)
        return math.prod(static_shape(value) or (0,)) * weight.size // channels

    def neighbours(self) -> tuple[tuple[str, str], ...]:
        """Pairs of layers where one reads what the other made, with no layer in between."""
        return find_neighbours(self.prepared.graph, self._heads)

    def quantized(self, formats: Formats) -> ir.Model:
        """The QDQ model of a configuration.

        Args:
            formats: Of every layer; of none for the float network as it was given.
        """
        if not formats:
            return prepare(self._given.clone())
        job = self._job_of(formats)
        calibrate_missing(self.prepared, self._ranges, job)
        quantized = insert_quantizers(self._corrected, self._ranges, job)
        is_narrow = any(
            chosen.weight_bits < EIGHT_BITS.weight_bits and self._regions[layer].form is None
            for layer, chosen in formats.items()
        )
        if self._recipe.rounding == NEAREST or not is_narrow:
            return quantized
        if self._rounded is None:
            self._rounded = RoundedWeights(
                self.prepared, list(self._job.samples), rounding=self._recipe.rounding)
        return self._rounded.apply(quantized)

    def live_bytes(self, formats: Formats) -> int:
        """The most bytes of activations that are alive at one time; see ``live_bytes``.

        Args:
            formats: Of every layer; of none for the float network, in the same steps.
        """
        job = self._job_of(formats or dict.fromkeys(self.layers, EIGHT_BITS))
        calibrate_missing(self.prepared, self._ranges, job)
        graph = self._corrected.graph
        placement = place_with_ranges(graph, job.options, self._ranges)
        num_bits: dict[ir.Value, int] = {}
        if formats:
            parameters = choose_parameters(placement, self._ranges, job.options)
            num_bits = {value: chosen.num_bits for value, chosen in parameters.of.items()}
        return largest_live_bytes(graph, placement.regions, num_bits)

    def float_nodes(self, formats: Formats) -> Mapping[str, str]:
        """Name of each node that computes in float in a configuration, with the reason."""
        if not formats:
            return {}
        options = self._job_of(formats).options
        return place_with_ranges(self._corrected.graph, options, self._ranges).float_nodes

    def _find_components(self) -> tuple[Component, ...]:
        """Components by the nodes that take a format, without those that change nothing."""

        def has_width(role: Role, name: str) -> bool:
            form = self._regions[name].form if name in self._regions else None
            if role is Role.COEFFICIENTS:
                # Where messages are computed in float, so are their factors.
                return form is not None and form.coefficients is not None
            return name in self._regions

        found = [
            replace(part, nodes=tuple(n for n in part.nodes if has_width(part.role, n)))
            for part in find_components(self.prepared.graph)
        ]
        return tuple(part for part in found if part.nodes)

    def _job_of(self, formats: Formats) -> QuantizeJob:
        overrides = (*self._job.options.overrides, *configuration_overrides(formats))
        return replace(self._job, options=replace(self._job.options, overrides=overrides))


def _regions(model: ir.Model, options: QuantizerOptions) -> dict[str, Region]:
    excluded = [node for node in model.graph if options.keeps_float(node)]
    return {
        region.head.name or "": region
        for region in find_regions(model.graph, excluded)
        if region.form is not None or linear_weight(region.head) is not None
    }
