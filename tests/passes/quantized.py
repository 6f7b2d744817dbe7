"""Quantize a small model with given ranges, and look at the result."""

import onnx_ir as ir

from octavo.passes.constants import constant_array
from octavo.passes.insert_quantizers import InsertQuantizers
from octavo.passes.placement import plan_placement
from octavo.passes.quantizer_options import QuantizerOptions

UNIT = (-1.0, 1.0)
DEFAULT = QuantizerOptions()


def quantize(model: ir.Model, options: QuantizerOptions = DEFAULT, **ranges) -> ir.Model:
    """Quantize with the range (-1, 1) for every tensor that has none of its own."""
    placement = plan_placement(model.graph, options)
    limits = {value.name: UNIT for value in placement.tensors}
    InsertQuantizers({**limits, **ranges}, options)(model)
    return model


def regions(model: ir.Model, options: QuantizerOptions = DEFAULT) -> list[list[str]]:
    placement = plan_placement(model.graph, options)
    return [[node.name for node in region.nodes] for region in placement.regions]


def params(model: ir.Model, name: str) -> tuple[float, int]:
    """Scale and zero point of the QuantizeLinear that reads a tensor."""
    node = next(
        n for n in model.graph if n.op_type == "QuantizeLinear" and n.inputs[0].name == name
    )
    return float(constant_array(node.inputs[1])), int(constant_array(node.inputs[2]))
