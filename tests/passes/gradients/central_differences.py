"""Gradients of a model in ONNX text, and central differences in double precision."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from tests.passes.gradients.double_precision import evaluator

from octavo.passes.gradients.derivatives import add_gradients

STEP = 1e-5

# Differences over 2 STEP: truncation is STEP^2 times third derivatives of order 10 to 100, and
# rounding 1e-16 / STEP times sums of order 100.
TOLERANCE = 2e-7


def derive(text, positions=(0,), **constants):
    """A model in ONNX text, the same with cotangents as inputs, and names of gradients."""
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": 21]> {text}')
    for name, array in constants.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    onnx.checker.check_model(proto)
    proto = onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
    model = ir.from_proto(proto)
    outputs = list(model.graph.outputs)
    cotangents = {}
    for output in outputs:
        cotangent = ir.val(f"d{output.name}", output.dtype, output.shape)
        model.graph.inputs.append(cotangent)
        cotangents[output] = cotangent
    wanted = [model.graph.inputs[i] for i in positions]
    gradients = add_gradients(model.graph, cotangents, wanted)
    model.graph.outputs.extend(gradients[value] for value in wanted)
    return proto, ir.to_proto(model), [gradients[value].name for value in wanted]


def check(text, inputs, rng, **constants):
    """Compare the gradients by all inputs with central differences along some directions."""
    forward, backward, names = derive(text, tuple(range(len(inputs))), **constants)
    onnx.checker.check_model(backward, full_check=True)
    run = evaluator(forward)
    outputs = [output.name for output in forward.graph.output]
    y = dict(zip(outputs, run.run(None, inputs), strict=True))
    weights = {name: rng.normal(size=array.shape) for name, array in y.items()}
    feeds = {**inputs, **{f"d{name}": array for name, array in weights.items()}}
    gradients = evaluator(backward).run(names, feeds)
    for (name, x), gradient in zip(inputs.items(), gradients, strict=True):
        assert gradient.shape == x.shape
        assert gradient.dtype == np.float64
        for _ in range(4):
            v = rng.normal(size=x.shape)
            ahead = run.run(None, {**inputs, name: x + STEP * v})
            back = run.run(None, {**inputs, name: x - STEP * v})
            change = sum(
                float(((a - b) / (2 * STEP) * w).sum())
                for a, b, w in zip(ahead, back, weights.values(), strict=True)
            )
            scale = 1 + np.abs(gradient * v).sum()
            assert float((gradient * v).sum()) == pytest.approx(change, abs=TOLERANCE * scale)


def values(rng, *shape):
    """Numbers that are at least 0.01 from each other and from the corners 0, 1 and 3."""
    size = int(np.prod(shape))
    return ((rng.permutation(size) - size // 2 + 0.37) * (8.0 / max(size, 40))).reshape(shape)
