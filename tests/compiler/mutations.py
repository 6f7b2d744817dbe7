"""Small damage to a valid model: what a broken exporter, or an enemy, would write."""

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import helper, numpy_helper

INTEGERS = [0, 1, -1, 2, 3, 7, 100, -100, 2**31 - 1, -(2**31), 2**62, -(2**63)]
FLOATS = [0.0, -0.0, 1.0, -1.0, 1e-45, 1e38, float("inf"), float("-inf"), float("nan")]
STRINGS = ["", "VALID", "SAME_UPPER", "linear", "cubic", "edge", "reflect", "wrap", "é"]
OPERATORS = [
    "Add", "AveragePool", "Concat", "Conv", "ConvTranspose", "DequantizeLinear", "Expand",
    "Gather", "Gemm", "GlobalAveragePool", "LayerNormalization", "MatMul", "MaxPool", "Mul",
    "Pad", "QuantizeLinear", "ReduceMean", "Relu", "Reshape", "Resize", "Slice", "Softmax",
    "Split", "Squeeze", "Transpose", "Unsqueeze",
]  # fmt: skip


@st.composite
def mutated(draw, models):
    """One to three changes of a model that ``models`` makes."""
    model = onnx.ModelProto()
    model.CopyFrom(draw(models))
    for _ in range(draw(st.integers(1, 3))):
        draw(st.sampled_from(CHANGES))(draw, model.graph)
    return model


def change_attribute(draw, graph):
    """Another value of the same type, or none, or one element more or less."""
    node = draw(st.sampled_from(list(graph.node)))
    if not node.attribute:
        node.attribute.append(helper.make_attribute("axis", draw(st.sampled_from(INTEGERS))))
        return
    attribute = draw(st.sampled_from(list(node.attribute)))
    value = helper.get_attribute_value(attribute)
    index = [a.name for a in node.attribute].index(attribute.name)
    name = attribute.name
    del node.attribute[index]
    if isinstance(value, int):
        node.attribute.append(helper.make_attribute(name, draw(st.sampled_from(INTEGERS))))
    elif isinstance(value, float):
        node.attribute.append(helper.make_attribute(name, draw(st.sampled_from(FLOATS))))
    elif isinstance(value, bytes):
        node.attribute.append(helper.make_attribute(name, draw(st.sampled_from(STRINGS))))
    elif isinstance(value, list) and value:
        longer = [*value, *draw(st.lists(st.sampled_from(INTEGERS[:7]), max_size=2))]
        longer[draw(st.integers(0, len(longer) - 1))] = draw(st.sampled_from(INTEGERS))
        start = draw(st.integers(0, 1))
        node.attribute.append(helper.make_attribute(name, longer[start:] or [0]))


def change_constant(draw, graph):
    """Another rank, no elements, another type, or a number that is none."""
    if not graph.initializer:
        return
    tensor = draw(st.sampled_from(list(graph.initializer)))
    try:
        array = numpy_helper.to_array(tensor).copy()
    except ValueError:
        return
    flat = array.reshape(-1)
    match draw(st.sampled_from(["rank", "empty", "type", "number", "size", "scalar"])):
        case "rank":
            array = array[None] if draw(st.booleans()) else flat
        case "empty":
            array = array[..., :0] if array.ndim else flat[:0]
        case "type":
            types = [
                "float32",
                "int64",
                "int8",
                "uint8",
                "float16",
                "int32",
                "bool",
                "float64",
            ]
            with np.errstate(all="ignore"):
                array = array.astype(draw(st.sampled_from(types)))
        case "number" if flat.size:
            numbers = FLOATS if array.dtype.kind == "f" else INTEGERS
            value = np.array(draw(st.sampled_from(numbers)), object)
            with np.errstate(all="ignore"):
                place = draw(st.integers(0, flat.size - 1))
                try:
                    flat[place] = value
                except OverflowError:
                    flat[place] = np.iinfo(array.dtype).max
        case "size":
            array = np.concatenate([flat, flat])
        case "scalar" if flat.size:
            array = flat[0].reshape(())
    tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def change_shape(draw, graph):
    """Another size, rank or element type of a graph input."""
    value = draw(st.sampled_from(list(graph.input)))
    kind = value.type.tensor_type
    match draw(st.sampled_from(["size", "more", "fewer", "type"])):
        case "size" if kind.shape.dim:
            dim = draw(st.sampled_from(list(kind.shape.dim)))
            dim.dim_value = draw(st.sampled_from([0, 1, 2, 5, -1, 17]))
        case "more":
            kind.shape.dim.add(dim_value=draw(st.sampled_from([0, 1, 3])))
        case "fewer" if kind.shape.dim:
            del kind.shape.dim[-1]
        case "type":
            kind.elem_type = draw(st.integers(0, 23))


def change_wiring(draw, graph):
    """Read another value, one fewer or one more; repeat or drop an output."""
    names = [
        *(v.name for v in graph.input),
        *(t.name for t in graph.initializer),
        *(name for node in graph.node for name in node.output),
        "",
    ]
    node = draw(st.sampled_from(list(graph.node)))
    match draw(st.sampled_from(["input", "fewer", "more", "outputs", "drop node"])):
        case "input" if node.input:
            node.input[draw(st.integers(0, len(node.input) - 1))] = draw(
                st.sampled_from(names)
            )
        case "fewer" if node.input:
            del node.input[-1]
        case "more":
            node.input.append(draw(st.sampled_from(names)))
        case "outputs":
            graph.output.append(onnx.ValueInfoProto(name=draw(st.sampled_from(names))))
        case "drop node":
            graph.node.remove(node)


def change_operator(draw, graph):
    """Another operator with the same operands and attributes."""
    node = draw(st.sampled_from(list(graph.node)))
    node.op_type = draw(st.sampled_from(OPERATORS))


def _if_any_nodes(change):
    def changed(draw, graph):
        if graph.node:
            change(draw, graph)

    return changed


CHANGES = [
    *map(_if_any_nodes, (change_attribute, change_wiring, change_operator)),
    change_constant, change_constant, change_shape,
]  # fmt: skip
