"""UNIDIRECTIONAL_SEQUENCE_LSTM -> LSTM."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.importer.tflite.container import Operator, Quantization
from octavo.compiler.importer.tflite.network import Network
from octavo.compiler.importer.tflite.schema import Activation
from octavo.compiler.tflite_cell import METADATA_KEY, TfliteCell
from octavo.errors import ModelError
from octavo.targets.ops.word_functions import MAX_INTEGER_BITS, WORD_FRACTION_BITS, WORD_MAX

# Positions of operands; gates in the order of the file: input, forget, cell, output.
INPUT_WEIGHTS, RECURRENT_WEIGHTS, BIASES = (1, 2, 3, 4), (5, 6, 7, 8), (12, 13, 14, 15)
STATE, CELL = 18, 19
UNSUPPORTED = {"peepholes": (9, 10, 11), "a projection": (16, 17), "norms": (20, 21, 22, 23)}
GATE_ORDER = (0, 3, 1, 2)  # ONNX: input, output, forget, cell


def lstm(network: Network, operator: Operator) -> None:
    """UNIDIRECTIONAL_SEQUENCE_LSTM -> LSTM, with its state 0 in front of every sequence.

    A clip of the cell is left out: Keras writes 10 everywhere, where tanh is 1 - 4e-9. The
    mode "tflite" finds it in the metadata.

    Raises:
        ModelError: It has parts that ONNX's operator or the compiler has not.
    """
    x, output, options = network.required(operator, 0), operator.outputs[0], operator.options
    where, shape = network.where(operator), network.shape(x)
    for what, positions in UNSUPPORTED.items():
        if any(network.operand(operator, position) is not None for position in positions):
            raise ModelError(f"{where} has {what}, which is not supported")
    if options["fused_activation_function"] != Activation.TANH or options["proj_clip"]:
        raise ModelError(f"{where}: its activation must be tanh, without a projection's clip")
    if len(shape) != 3:
        raise ModelError(f"{where}: shape {list(shape)}; rank 3 is needed")
    hidden = network.shape(network.required(operator, RECURRENT_WEIGHTS[0]))[-1]
    biases = [_real(network, network.required(operator, place)) for place in BIASES]
    rows = np.concatenate([biases[gate].reshape(-1) for gate in GATE_ORDER])
    name, is_first = network.names[output], bool(options["time_major"])
    value = network.real(x)
    if not is_first:
        value = network.moved(value, shape, (1, 0, 2))
        shape = (shape[1], shape[0], shape[2])
    inputs = [
        value,
        _stacked(network, operator, INPUT_WEIGHTS, f"{name}/weights"),
        _stacked(network, operator, RECURRENT_WEIGHTS, f"{name}/recurrent_weights"),
        network.constant(np.concatenate([rows, 0 * rows])[None], f"{name}/bias"),
    ]
    states = network.node("LSTM", inputs, f"{name}/states", hidden_size=hidden)
    cell = _stored_cell(network, operator)
    if cell is not None:
        network.note(METADATA_KEY, cell.text())
    # quantized where the recurrence feeds it back: in front of what moves it
    value = network.reshaped(network.rounded(output, states), (*shape[:2], hidden))
    if not is_first:
        value = network.moved(value, (*shape[:2], hidden), (1, 0, 2))
    network.define(output, value)


def _stored_cell(network: Network, operator: Operator) -> TfliteCell | None:
    """How an LSTM in integers keeps its cell; None for one in float.

    Raises:
        ModelError: Its state has another quantization than what it is read as.
    """
    places = (STATE, CELL)
    state, cell = (network.operand(operator, place) for place in places)
    if state is None or cell is None:
        return None
    record = network.tensors[cell].quantization
    if record is None or network.tensors[cell].type.name != "INT16":
        return None
    if not network.are_alike(state, operator.outputs[0]):
        raise ModelError(f"{network.where(operator)}: its state has another scale than it")
    fraction, exponent = np.frexp(record.scale[0])
    integer_bits = int(exponent) - 1 + WORD_FRACTION_BITS
    if fraction != 0.5 or not 0 <= integer_bits <= MAX_INTEGER_BITS:
        return None
    # truncated, as in PopulateQuantizedLstmParams8x8_16
    steps = np.float32(max(operator.options["cell_clip"], 0)) / record.scale[0]
    return TfliteCell(integer_bits, int(min(steps, WORD_MAX)))


def _stacked(network: Network, operator: Operator, positions: Sequence[int], name: str) -> str:
    """Store the weights of all gates, with a scale for each row, as (1, 4 * hidden, K)."""
    tensors = [network.tensors[network.required(operator, place)] for place in positions]
    values, scales = [], []
    for tensor in (tensors[gate] for gate in GATE_ORDER):
        if tensor.data is None or tensor.data.ndim != 2:
            raise ModelError(
                f"{network.where(operator)}: its weights must be constant matrices"
            )
        record = tensor.quantization
        if record is not None and record.zero_point.any():
            raise ModelError(f"{network.where(operator)}: its weights have a zero point")
        values.append(tensor.data)
        scale = np.ones(1, np.float32) if record is None else record.scale
        scales.append(np.broadcast_to(scale, tensor.data.shape[:1]))
    is_quantized = {tensor.quantization is not None for tensor in tensors}
    if len({data.dtype for data in values}) != 1 or len(is_quantized) != 1:
        raise ModelError(f"{network.where(operator)}: its weights have several types")
    rows = np.concatenate(scales)
    quantization = Quantization(rows, np.zeros(rows.size, np.int64), 1)
    stacked = np.concatenate(values)[None]
    return network.stored(stacked, quantization if True in is_quantized else None, 1, name)


def _real(network: Network, index: int) -> NDArray[np.float32]:
    """A constant vector as real numbers."""
    data, record = network.tensors[index].data, network.tensors[index].quantization
    if data is None or (record is None and data.dtype.kind != "f"):
        raise ModelError(f"'{network.names[index]}' must be a constant with a scale")
    values: NDArray[Any] = data.astype(np.float64)
    if record is not None:
        values = (values - record.zero_point) * record.scale.astype(np.float64)
    return values.astype(np.float32)
