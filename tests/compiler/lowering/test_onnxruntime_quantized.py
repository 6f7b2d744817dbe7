"""Networks quantized by onnxruntime's own tool, in both of its formats.

Against onnxruntime's run of the quantized model: a rounding that falls on the other side of a
tie grows on its way, so whole networks are compared by signal to noise: 30 dB at least.
"""

import itertools

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process
from tests.compiler.lowering.qdq_builder import compile_and_run

SHAPE = (1, 3, 16, 16)
TYPES = {"u8": QuantType.QUInt8, "s8": QuantType.QInt8}
# activations and weights; weights in uint8 get zero points that are not 128
PAIRS = [("u8", "s8"), ("s8", "s8"), ("u8", "u8")]


class Reader(CalibrationDataReader):
    """Eight random images."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.samples = iter(
            [{"x": rng.normal(size=SHAPE).astype(np.float32)} for _ in range(8)]
        )

    def get_next(self):
        return next(self.samples, None)


def network():
    """Convolutions, one in groups, a residual, a concatenation, pools and a Gemm."""
    rng = np.random.default_rng(1)
    arrays, nodes = {}, []

    def weight(*shape):
        name = f"w{len(arrays)}"
        fan_in = max(1, int(np.prod(shape[1:])))
        arrays[name] = (rng.normal(size=shape) / np.sqrt(fan_in)).astype(np.float32)
        return name

    def op(op_type, *inputs, **attributes):
        name = f"{op_type.lower()}{len(nodes)}"
        nodes.append(helper.make_node(op_type, list(inputs), [name], name=name, **attributes))
        return name

    a = op("Relu", op("Conv", "x", weight(16, 3, 3, 3), weight(16), pads=[1] * 4))
    b = op("Conv", a, weight(16, 1, 3, 3), weight(16), pads=[1] * 4, group=16)
    c = op("Relu", op("Add", op("Conv", b, weight(16, 16, 1, 1), weight(16)), a))
    d = op("Concat", c, op("Sigmoid", a), axis=1)
    e = op("MaxPool", d, kernel_shape=[2, 2], strides=[2, 2])
    f = op("GlobalAveragePool", op("Conv", e, weight(24, 32, 3, 3), weight(24)))
    op("Gemm", op("Flatten", f), weight(10, 24), weight(10), transB=1)
    nodes[-1].output[0] = "y"
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", 1, SHAPE)],
        [value("y", 1, (1, 10))],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def quantized(folder, **options):
    onnx.save(network(), folder / "float.onnx")
    quant_pre_process(str(folder / "float.onnx"), str(folder / "prepared.onnx"))
    quantize_static(
        str(folder / "prepared.onnx"), str(folder / "quantized.onnx"), Reader(), **options
    )
    return onnx.load(folder / "quantized.onnx")


@pytest.mark.parametrize(
    ("pair", "per_channel", "symmetric"),
    list(itertools.product(PAIRS, [False, True], [False, True])),
    ids=lambda v: "-".join(v) if isinstance(v, tuple) else str(v),
)
def test_qdq_models(tmp_path, pair, per_channel, symmetric):
    model = quantized(
        tmp_path,
        quant_format=QuantFormat.QDQ,
        activation_type=TYPES[pair[0]],
        weight_type=TYPES[pair[1]],
        per_channel=per_channel,
        extra_options={"ActivationSymmetric": symmetric},
    )
    found = compile_and_run(model)
    assert found.sqnr_db >= 30
    if pair[1] == "s8":
        assert found.float_steps == []


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_qoperator_models(tmp_path, pair, per_channel):
    model = quantized(
        tmp_path,
        quant_format=QuantFormat.QOperator,
        activation_type=TYPES[pair[0]],
        weight_type=TYPES[pair[1]],
        per_channel=per_channel,
    )
    found = compile_and_run(model)
    assert found.sqnr_db >= 30
    if pair[1] == "s8":
        assert found.float_steps == []


def test_reduced_ranges(tmp_path):
    model = quantized(tmp_path, quant_format=QuantFormat.QDQ, reduce_range=True)
    found = compile_and_run(model)
    assert found.sqnr_db >= 30
    assert found.float_steps == []
