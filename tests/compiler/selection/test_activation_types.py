"""The other type of activations is no other implementation: the same kernels serve both.

Tensors are stored in the type that the target's instructions multiply, whatever the model
says: q and q +- 128 are the same real numbers. So there is nothing to choose between them.
"""

import numpy as np
import onnx
import pytest
import tvm_ffi

from octavo.compiler.importer import import_model
from octavo.compiler.lowering.lower import lower
from octavo.compiler.quantize import quantize_model
from octavo.targets import get_target

TEXT = """<ir_version: 10, opset_import: ["": 21]>
g (float[1,8,6,6] x) => (float[1,5] y) {
    [c0] a = Conv<kernel_shape=[3,3], pads=[1,1,1,1]>(x, w0) [r0] b = Relu(a)
    [c1] c = Conv<kernel_shape=[3,3], pads=[1,1,1,1], group=8>(b, w1)
    [add] d = Add(c, b) [sig] e = Sigmoid(d)
    [pool] f = GlobalAveragePool(e) [flat] h = Flatten(f) [fc] y = Gemm(h, w2)
}"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    rng = np.random.default_rng(0)
    proto = onnx.parser.parse_model(TEXT)
    for name, shape in (("w0", (8, 8, 3, 3)), ("w1", (8, 1, 3, 3)), ("w2", (8, 5))):
        weight = rng.normal(0, 0.2, shape).astype(np.float32)
        proto.graph.initializer.append(onnx.numpy_helper.from_array(weight, name))
    path = tmp_path_factory.mktemp("types") / "m.onnx"
    onnx.save(proto, path)
    samples = [{"x": rng.normal(size=(1, 8, 6, 6)).astype(np.float32)} for _ in range(4)]
    return import_model(path), samples


def code(model, samples, dtype, target):
    qdq = quantize_model(model, samples, activation_dtype=dtype, measure=False).model
    program = lower(qdq, get_target(target))
    return [
        (step.name, step.variant, tvm_ffi.structural_hash(program.functions[step.kernel]))
        for step in program.steps
    ]


@pytest.mark.parametrize("target", ["x86-64-avx2", "x86-64-avx512vnni", "arm64-dotprod"])
def test_both_types_are_the_same_code(model, target):
    network, samples = model
    assert code(network, samples, "uint8", target) == code(network, samples, "int8", target)
