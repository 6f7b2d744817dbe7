import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper


@pytest.fixture
def strided_conv(tmp_path):
    """A float model of one 1x1 convolution in steps of 2, 16 to 32 channels."""
    weight = np.random.default_rng(0).normal(size=(32, 16, 1, 1)).astype(np.float32)
    node = helper.make_node(
        "Conv", ["x", "weight"], ["y"], name="conv", strides=[2, 2], kernel_shape=[1, 1]
    )
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in (("x", (1, 16, 8, 8)), ("y", (1, 32, 4, 4)))
    ]
    graph = helper.make_graph(
        [node], "strided", ports[:1], ports[1:], [numpy_helper.from_array(weight, "weight")]
    )
    path = tmp_path / "strided.onnx"
    opset = helper.make_opsetid("", 20)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=10), path)
    return path
