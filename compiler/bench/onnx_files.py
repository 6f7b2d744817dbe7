"""What ONNX files tell without being run."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from octavo.compiler.bench.agreement import Grid
from octavo.compiler.importer.load import TFLITE_MAGIC

QUANTIZE = "QuantizeLinear"
WIDE = (onnx.TensorProto.INT16, onnx.TensorProto.UINT16)
MOVING = ("Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten")
INTEGERS = (np.int8, np.uint8, np.int16, np.uint16)


def is_tflite(path: Path) -> bool:
    """Whether a file says so itself, whatever it is called; one that is none says no."""
    try:
        with path.open("rb") as file:
            return file.read(8)[4:] == TFLITE_MAGIC
    except OSError:
        return False


def quantizes_activations(path: Path) -> bool:
    """Whether an ONNX file has a node that quantizes."""
    graph = onnx.load(path, load_external_data=False).graph
    return any(node.op_type == QUANTIZE for node in graph.node)


def quantized_precision(path: Path) -> str:
    """``int16`` for an ONNX file with activations of 16 bits, else ``int8``."""
    graph = onnx.load(path, load_external_data=False).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    zeros = (n.input[2] for n in graph.node if n.op_type == QUANTIZE and len(n.input) > 2)
    is_wide = any(types.get(name) in WIDE for name in zeros)
    return "int16" if is_wide else "int8"


def dequantized_outputs(path: Path) -> dict[str, Grid]:
    """Steps of the outputs that come out of DequantizeLinear with one constant scale."""
    graph = onnx.load(path, load_external_data=False).graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    outputs = {value.name for value in graph.output}
    found = {}
    for node in graph.node:
        if node.op_type != "DequantizeLinear" or node.output[0] not in outputs:
            continue
        scale = constants.get(node.input[1])
        if scale is not None and not scale.external_data:
            array = numpy_helper.to_array(scale)
            if array.size == 1:
                found[node.output[0]] = Grid(float(array.reshape(())))
    return found


def quantized_inputs(path: Path) -> dict[str, tuple[float, float]]:
    """Ranges of the float inputs that are quantized with one constant scale, by name."""
    graph = onnx.load(path, load_external_data=False).graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    inputs = {value.name for value in graph.input} - constants.keys()
    moved = {name: name for name in inputs}  # tensors that hold an input's values
    found = {}
    for node in graph.node:
        source = moved.get(node.input[0]) if node.input else None
        if source is None:
            continue
        if node.op_type in MOVING:
            moved[node.output[0]] = source
        elif node.op_type == QUANTIZE and len(node.input) > 2:
            stored = [constants.get(name) for name in node.input[1:3]]
            if all(tensor is not None and not tensor.external_data for tensor in stored):
                scale, zero = (numpy_helper.to_array(tensor) for tensor in stored)
                if scale.size == zero.size == 1 and zero.dtype in INTEGERS:
                    found[source] = _range(float(scale.reshape(())), zero.reshape(()))
    return found


def stored_bytes(path: Path) -> int:
    """Bytes of a file, and of those beside it that its weights are in."""
    external = {
        entry.value
        for tensor in onnx.load(path, load_external_data=False).graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    files = (path, *(path.parent / name for name in external))
    return sum(file.stat().st_size for file in files)


def _range(scale: float, zero: NDArray[Any]) -> tuple[float, float]:
    limits = np.iinfo(zero.dtype)
    return (limits.min - int(zero)) * scale, (limits.max - int(zero)) * scale
