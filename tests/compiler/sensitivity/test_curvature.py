"""The estimate against the Hessian of a small network, written out in numpy."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from octavo.compiler.sensitivity.curvature import (
    HessianTrace,
    softmax_metric,
    squared_metric,
)
from octavo.compiler.sensitivity.format_trials import FormatTrials
from octavo.compiler.sensitivity.output_losses import log_softmax
from octavo.compiler.sensitivity.variants import Variants

GRAPH = """<ir_version: 10, opset_import: ["": 21]> g (float[1,5] x) => (float[1,3] y)
{
    [hidden] a = Gemm<transB = 1>(x, w1, b1)
    [tanh] b = Tanh(a)
    [out] y = Gemm<transB = 1>(b, w2, b2)
}"""
SHAPES = {"w1": (6, 5), "b1": (6,), "w2": (3, 6), "b2": (3,)}
STEP = 1e-3


@pytest.fixture(scope="module")
def weights():
    rng = np.random.default_rng(0)
    return {
        name: rng.normal(size=shape, scale=0.7).astype(np.float32)
        for name, shape in SHAPES.items()
    }


@pytest.fixture(scope="module")
def mlp(weights):
    proto = onnx.parser.parse_model(GRAPH)
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(array, name) for name, array in weights.items()
    )
    rng = np.random.default_rng(1)
    samples = [{"x": rng.normal(size=(1, 5)).astype(np.float32)} for _ in range(8)]
    model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    return FormatTrials(Variants(model, samples), samples)


def _outputs(weights, x):
    w = {name: array.astype(np.float64) for name, array in weights.items()}
    return np.tanh(x.astype(np.float64) @ w["w1"].T + w["b1"]) @ w["w2"].T + w["b2"]


def _squared(before, after):
    return 0.5 * np.square(after - before).sum()


def _divergence(before, after):
    p, q = log_softmax(before), log_softmax(after)
    return (np.exp(p) * (p - q)).sum()


def _exact_trace(weights, name, loss, samples):
    """Second differences of the loss along every weight, in double, mean over samples."""
    total = 0.0
    for sample in samples:
        before = _outputs(weights, sample["x"])
        for index in np.ndindex(SHAPES[name]):
            for sign in (-1, 1):
                changed = {key: array.astype(np.float64) for key, array in weights.items()}
                changed[name][index] += sign * STEP
                # The loss itself is zero in the middle.
                total += loss(before, _outputs(changed, sample["x"])) / STEP**2
    return total / len(samples)


@pytest.mark.parametrize(
    ("metric", "loss"), [(squared_metric, _squared), (softmax_metric, _divergence)]
)
@pytest.mark.parametrize(("layer", "name"), [("hidden", "w1"), ("out", "w2")])
def test_the_estimate_is_the_trace_of_the_hessian(mlp, weights, layer, name, metric, loss):
    exact = _exact_trace(weights, name, loss, mlp.samples)
    estimate = HessianTrace(mlp, metric=metric, num_directions=2048).trace(layer)
    assert estimate == pytest.approx(exact, rel=0.06)


def test_the_same_seed_gives_the_same_trace(mlp):
    first, again, other = (HessianTrace(mlp, seed=seed).trace("out") for seed in (0, 0, 1))
    assert first == again != other
