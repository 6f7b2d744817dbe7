import numpy as np
import onnx
import onnx_ir as ir
import pytest

from octavo.compiler.sensitivity.format_trials import FormatTrials
from octavo.compiler.sensitivity.variants import Variants

GRAPH = """<ir_version: 10, opset_import: ["": 21]> g (float[1,2,6,6] x) => (float[1,4] y)
{
    [first] a = Conv<pads = [1,1,1,1]>(x, w1, b1)
    [relu] b = Relu(a)
    [second] c = Conv<pads = [1,1,1,1]>(b, w2, b2)
    [sum] d = Add(b, c)
    [relu2] e = Relu(d)
    [mean] f = GlobalAveragePool(e)
    [flat] g = Flatten(f)
    [third] y = Gemm<transB = 1>(g, w3, b3)
}"""
SHAPES = {
    "w1": (6, 2, 3, 3),
    "b1": (6,),
    "w2": (6, 6, 3, 3),
    "b2": (6,),
    "w3": (4, 6),
    "b3": (4,),
}


@pytest.fixture(scope="session")
def network():
    """Two convolutions with a residual sum, and a linear layer."""
    rng = np.random.default_rng(0)
    proto = onnx.parser.parse_model(GRAPH)
    for name, shape in SHAPES.items():
        array = rng.normal(size=shape, scale=0.4).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
    return ir.from_proto(onnx.shape_inference.infer_shapes(proto))


@pytest.fixture(scope="session")
def samples():
    rng = np.random.default_rng(1)
    return [{"x": rng.normal(size=(1, 2, 6, 6)).astype(np.float32)} for _ in range(12)]


@pytest.fixture(scope="session")
def trials(network, samples):
    return FormatTrials(Variants(network, samples), samples)
