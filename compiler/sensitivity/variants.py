"""Quantized variants of one network: chosen layers in chosen formats."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes.common import RemoveUnusedNodesPass

from octavo.compiler.calibration.calibrate import calibrate
from octavo.compiler.recipes import configuration_overrides
from octavo.compiler.sensitivity.neighbours import find_neighbours
from octavo.errors import DataError, ModelError
from octavo.passes.fused_regions import find_regions
from octavo.passes.insert_quantizers import InsertQuantizers
from octavo.passes.layer_format import EIGHT_BITS, FLOAT, FLOAT_BITS, LayerFormat
from octavo.passes.linear_layers import linear_weight
from octavo.passes.narrow_ranges import Range
from octavo.passes.placement import plan_placement
from octavo.passes.prepare import prepare
from octavo.passes.quantizer_options import LayerOverride, QuantizerOptions
from octavo.passes.wiring import is_op

Samples = Iterable[Mapping[str, NDArray[Any]]]
Formats = Mapping[str, LayerFormat]


class Variants:
    """A float network and every quantized variant of it.

    Attributes:
        model: The float network as the quantizer prepares it.
        layers: Names of the layers that take a format, in graph order.
    """

    def __init__(
        self,
        model: ir.Model,
        samples: Samples,
        *,
        options: QuantizerOptions | None = None,
        calibrator: str = "minmax",
    ) -> None:
        """Prepare a network.

        Args:
            model: From ``import_model``, float; not changed.
            samples: Ranges of activations come from these; held in memory.
            options: How layers are quantized; widths of layers are given for each variant.
            calibrator: Observer of activations.

        Raises:
            DataError: There is no sample.
            ModelError: The model is quantized already, or no layer of it has a weight.
        """
        if any(is_op(node, "QuantizeLinear") for node in model.graph):
            raise ModelError("the model is quantized already: it contains QuantizeLinear")
        self.model = prepare(model.clone())
        self._samples = list(samples)
        if not self._samples:
            raise DataError("no samples to measure sensitivities with; at least 1 is needed")
        self._options = options or QuantizerOptions()
        self._calibrator = calibrator
        excluded = [node for node in self.model.graph if self._options.keeps_float(node)]
        self._heads = {
            region.head.name or "": region.head
            for region in find_regions(self.model.graph, excluded)
            if linear_weight(region.head) is not None
        }
        self.layers = tuple(self._heads)
        if not self.layers:
            raise ModelError("the model has no layer with a weight that could be quantized")
        self._ranges: dict[str, Range] = {}

    def head(self, layer: str) -> ir.Node:
        """The node of a layer in the prepared float network.

        Raises:
            ValueError: No layer has the name.
        """
        if layer not in self._heads:
            raise ValueError(f"layer {layer!r}; there are: {', '.join(self.layers)}")
        return self._heads[layer]

    def weight(self, layer: str) -> NDArray[np.float32]:
        """The float weight of a layer, in its operator's shape."""
        weight = linear_weight(self.head(layer))
        assert weight is not None
        return weight

    def neighbours(self) -> tuple[tuple[str, str], ...]:
        """Pairs of layers where one reads what the other made, with no layer in between."""
        return find_neighbours(self.model.graph, self._heads)

    def quantized(self, formats: Formats, *, base: LayerFormat = FLOAT) -> ir.Model:
        """The QDQ network with some layers in formats and everything else in another.

        Args:
            formats: Formats by layer.
            base: Of what is not named; float leaves nodes without weights in float too.

        Raises:
            ValueError: No layer has one of the names.
        """
        for layer in formats:
            self.head(layer)
        options = self._with_formats(formats, base)
        self._calibrate(options)
        quantized = self.model.clone()
        InsertQuantizers(self._ranges, options)(quantized)
        RemoveUnusedNodesPass()(quantized)
        return quantized

    def _with_formats(self, formats: Formats, base: LayerFormat) -> QuantizerOptions:
        others: tuple[LayerOverride, ...] = ()
        if base.is_float:
            others = (
                LayerOverride(match="*", weight_bits=FLOAT_BITS, activation_bits=FLOAT_BITS),
            )
        elif base != EIGHT_BITS:
            others = configuration_overrides(dict.fromkeys(self.layers, base))
        overrides = (*self._options.overrides, *others, *configuration_overrides(formats))
        return replace(self._options, overrides=overrides)

    def _calibrate(self, options: QuantizerOptions) -> None:
        """Add ranges of tensors that only this choice of layers quantizes."""
        plan = plan_placement(self.model.graph, options)
        missing = tuple(value for value in plan.tensors if value.name not in self._ranges)
        if missing:
            found = calibrate(
                self.model,
                replace(plan, tensors=missing),
                self._samples,
                calibrator=self._calibrator,
                options=options,
                num_samples=len(self._samples),
            )
            self._ranges.update(found)
