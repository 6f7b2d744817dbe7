"""Convert a float ONNX network to a TensorFlow Lite file."""

from collections.abc import Callable, Mapping

import onnx

from benchmarks.peers.tflite import dense, elementwise, recurrent, shaping, spatial
from benchmarks.peers.tflite.graph import Graph, UnsupportedError

Handler = Callable[[Graph, onnx.NodeProto], None]

HANDLERS: Mapping[str, Handler] = {
    "Conv": spatial.conv,
    "MaxPool": spatial.max_pool,
    "GlobalAveragePool": spatial.global_average_pool,
    "Gemm": dense.gemm,
    "MatMul": dense.matmul,
    "Add": elementwise.binary,
    "Sub": elementwise.binary,
    "Mul": elementwise.binary,
    "Div": elementwise.binary,
    "Relu": elementwise.unary,
    "Clip": elementwise.unary,
    "HardSwish": elementwise.unary,
    "Sigmoid": elementwise.unary,
    "Tanh": elementwise.unary,
    "HardSigmoid": elementwise.hard_sigmoid,
    "Cast": elementwise.cast,
    "Softmax": elementwise.softmax,
    "LayerNormalization": elementwise.layer_norm,
    "Reshape": shaping.reshape,
    "Flatten": shaping.reshape,
    "Squeeze": shaping.reshape,
    "Unsqueeze": shaping.reshape,
    "Transpose": shaping.transpose,
    "Gather": shaping.gather,
    "Concat": shaping.concat,
}


def convert(model: onnx.ModelProto, *, unroll: bool = True) -> bytes:
    """Return the network as a TensorFlow Lite file.

    Inputs of rank 4 become channels last, integers become int32; outputs stay as they are.

    Args:
        model: Float, static shapes.
        unroll: Write an LSTM step by step, which LiteRT's quantizer can handle, instead of as
            the fused operator.

    Raises:
        UnsupportedError: An operator or one of its forms is not converted.
    """
    graph = Graph(model)
    lstm = recurrent.lstm_unrolled if unroll else recurrent.lstm_fused
    for node in graph.nodes:
        if graph.is_done(node):
            continue
        handler = lstm if node.op_type == "LSTM" else HANDLERS.get(node.op_type)
        if handler is None:
            raise UnsupportedError(f"{node.op_type} {node.name!r} is not converted")
        handler(graph, node)
    return graph.finish()
