"""Quantized int8 activations -> uint8 with a zero point 128 higher: the same real values.

Runtimes multiply uint8 by int8 twice as fast on processors whose dot products take that pair.
What enters or leaves the network as int8, or is read so inside, is converted there: by one
more pair of QuantizeLinear and DequantizeLinear.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

SHIFT = 128
QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"


def write_unsigned(source: Path, target: Path) -> bool:
    """Write a file's model with unsigned activations.

    Args:
        source: QDQ file, which keeps its weights inside.
        target: File to write; left alone where nothing is to be rewritten.

    Returns:
        Whether it was written.
    """
    model = onnx.load(source, load_external_data=False)
    if any(tensor.external_data for tensor in model.graph.initializer):
        return False
    if not _Rewrite(model.graph).run():
        return False
    onnx.save(model, target)
    return True


class _Rewrite:
    """One graph on its way."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._constants = {tensor.name: tensor for tensor in graph.initializer}
        self._outputs = {value.name for value in graph.output}
        self._taken = {name for node in graph.node for name in (*node.input, *node.output)}
        self._readers: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._unsigned: dict[str, str] = {}  # zero points by the name of the signed one
        self._retyped: set[str] = set()  # tensors that are uint8 now

    def run(self) -> bool:
        """Rewrite all activations; whether there were any."""
        nodes: list[NodeProto] = []
        for node in self._graph.node:
            is_signed = self._is_signed(node)
            if is_signed and node.op_type == QUANTIZE and self._is_read_dequantized(node):
                self._retype(node)
                nodes.append(node)
            elif is_signed and node.op_type == QUANTIZE:
                nodes += self._converted_before(node)
            elif is_signed and node.op_type == DEQUANTIZE and self._is_activation(node):
                nodes += self._converted_after(node)
            else:
                nodes.append(node)
        del self._graph.node[:]
        self._graph.node.extend(nodes)
        for value in self._graph.value_info:
            if value.name in self._retyped:
                value.type.tensor_type.elem_type = TensorProto.UINT8
        return bool(self._retyped)

    def _is_signed(self, node: NodeProto) -> bool:
        name = node.input[2] if len(node.input) > 2 else ""
        tensor = self._constants.get(name)
        return (
            tensor is not None
            and tensor.data_type == TensorProto.INT8
            and node.input[1] in self._constants
            and node.op_type in (QUANTIZE, DEQUANTIZE)
        )

    def _is_read_dequantized(self, node: NodeProto) -> bool:
        """Whether nobody but DequantizeLinear sees the integers."""
        readers = self._readers.get(node.output[0], [])
        is_dequantized = all(r.op_type == DEQUANTIZE and self._is_signed(r) for r in readers)
        return is_dequantized and bool(readers) and node.output[0] not in self._outputs

    def _is_activation(self, node: NodeProto) -> bool:
        return node.input[0] not in self._constants and node.input[0] not in self._retyped

    def _retype(self, node: NodeProto) -> None:
        """Quantize, and let all readers dequantize, uint8."""
        # The zero point says the type; where both do, they must agree.
        kept = [a for a in node.attribute if a.name != "output_dtype"]
        del node.attribute[:]
        node.attribute.extend(kept)
        for member in (node, *self._readers[node.output[0]]):
            member.input[2] = self._zero_point(member.input[2])
        self._retyped.add(node.output[0])

    def _converted_before(self, node: NodeProto) -> list[NodeProto]:
        """Real values go through uint8 before they become the int8 that somebody reads."""
        pair = self._pair(node.input[0], node)
        node.input[0] = pair[-1].output[0]
        return [*pair, node]

    def _converted_after(self, node: NodeProto) -> list[NodeProto]:
        """What was read as int8 goes through uint8."""
        real = node.output[0]
        node.output[0] = self._fresh(f"{real}_signed")
        pair = self._pair(node.output[0], node)
        pair[-1].output[0] = real
        return [node, *pair]

    def _pair(self, source: str, node: NodeProto) -> list[NodeProto]:
        """Quantize and dequantize with a node's scale."""
        integers, through = self._fresh(f"{source}_u8"), self._fresh(f"{source}_through")
        scale, zero = node.input[1], self._zero_point(node.input[2])
        self._retyped.add(integers)
        return [
            helper.make_node(QUANTIZE, [source, scale, zero], [integers]),
            helper.make_node(DEQUANTIZE, [integers, scale, zero], [through]),
        ]

    def _zero_point(self, signed: str) -> str:
        if signed not in self._unsigned:
            name = self._fresh(f"{signed}_u8")
            array = numpy_helper.to_array(self._constants[signed]).astype(np.int16) + SHIFT
            tensor = numpy_helper.from_array(array.astype(np.uint8), name)
            self._graph.initializer.append(tensor)
            self._unsigned[signed] = name
        return self._unsigned[signed]

    def _fresh(self, name: str) -> str:
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name
