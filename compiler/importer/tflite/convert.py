"""A TFLite file -> an ONNX model, quantized tensors as QuantizeLinear and DequantizeLinear."""

from collections.abc import Callable, Mapping

import onnx
from onnx import helper

from octavo.compiler.importer.limits import Limits
from octavo.compiler.importer.tflite import dense, elementwise, recurrent, shaping, spatial
from octavo.compiler.importer.tflite.container import Operator, read_container
from octavo.compiler.importer.tflite.network import Network
from octavo.compiler.importer.tflite.shape_check import PRODUCER
from octavo.errors import ModelError

OPSET = 21
IR_VERSION = 10
Handler = Callable[[Network, Operator], None]

HANDLERS: Mapping[str, Handler] = {
    "CONV_2D": spatial.conv,
    "DEPTHWISE_CONV_2D": spatial.depthwise_conv,
    "TRANSPOSE_CONV": spatial.transpose_conv,
    "AVERAGE_POOL_2D": spatial.pool,
    "MAX_POOL_2D": spatial.pool,
    "RESIZE_BILINEAR": spatial.resize,
    "RESIZE_NEAREST_NEIGHBOR": spatial.resize,
    "FULLY_CONNECTED": dense.fully_connected,
    "BATCH_MATMUL": dense.batch_matmul,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": recurrent.lstm,
    **dict.fromkeys(elementwise.BINARY, elementwise.binary),
    "SQUARED_DIFFERENCE": elementwise.squared_difference,
    **dict.fromkeys((*elementwise.UNARY, *elementwise.LIMITS), elementwise.unary),
    **dict.fromkeys(("LEAKY_RELU", "GELU", "RSQRT", "SQUARE"), elementwise.unary),
    "PRELU": elementwise.prelu,
    "SOFTMAX": elementwise.softmax,
    "LOG_SOFTMAX": elementwise.softmax,
    "QUANTIZE": elementwise.quantize,
    "DEQUANTIZE": elementwise.quantize,
    "CAST": elementwise.cast,
    "RESHAPE": shaping.reshape,
    "SQUEEZE": shaping.reshape,
    "EXPAND_DIMS": shaping.reshape,
    "TRANSPOSE": shaping.transpose,
    "PAD": shaping.pad,
    "PADV2": shaping.pad,
    "CONCATENATION": shaping.concatenation,
    "PACK": shaping.pack,
    "SPLIT": shaping.split,
    "SPLIT_V": shaping.split,
    "SLICE": shaping.slice_of,
    "STRIDED_SLICE": shaping.strided_slice,
    "GATHER": shaping.gather,
    **dict.fromkeys(shaping.REDUCTIONS, shaping.reduction),
}


def read_tflite(content: bytes, name: str, limits: Limits) -> onnx.ModelProto:
    """Verify a TFLite file and write its main graph in ONNX.

    Inputs and outputs keep name, type, shape and layout; where the file has a signature, they
    have its names.

    Args:
        content: The whole file.
        name: What messages call it.
        limits: Caps on what it may hold.

    Returns:
        A model at opset 21, as unchecked as one from an ONNX file.

    Raises:
        ModelError: The file is damaged, too large or unsupported; the message names the
            operator or tensor.
    """
    network = Network(read_container(content, name, limits))
    for operator in network.operators:
        handler = HANDLERS.get(operator.kind)
        if handler is None:
            raise ModelError(f"{network.where(operator)} is not supported in TFLite models")
        try:
            handler(network, operator)
        # vectors of a wrong length: of padding, of an axis, of sizes
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            message = f"{network.where(operator)}: its operands or options are wrong"
            raise ModelError(message) from error
    return helper.make_model(
        network.finish(),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name=PRODUCER,
    )
