"""Write quantized models by hand, compile them, and run them beside onnxruntime."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from octavo.compiler.compile import compile_model
from octavo.compiler.session import load

OPSET, IR_VERSION = 21, 10


class GraphBuilder:
    """Collects nodes; every method returns the name of the value that it makes."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.inputs, self.outputs, self.initializers = [], [], [], []

    def _name(self, stem):
        return f"{stem}_{len(self.nodes)}_{len(self.initializers)}"

    def input(self, name, shape, dtype=np.float32):
        """Declare a graph input."""
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def constant(self, array, kind=None):
        """Store an array, as the ONNX type ``kind`` where numpy has none."""
        name = self._name("c")
        array = np.asarray(array)
        if kind is None:
            tensor = numpy_helper.from_array(array, name)
        else:
            tensor = helper.make_tensor(name, kind, array.shape, array.reshape(-1))
        self.initializers.append(tensor)
        return name

    def op(self, op_type, *inputs, outputs=1, **attributes):
        """Append a node; one name, or a list where it has several outputs."""
        name = self._name(op_type.lower())
        names = [f"{name}_{i}" for i in range(outputs)] if outputs > 1 else [name]
        self.nodes.append(
            helper.make_node(op_type, list(inputs), names, name=name, **attributes)
        )
        return names if outputs > 1 else name

    def quantize(self, x, scale, zero_point=0, dtype=np.uint8, **attributes):
        """Append QuantizeLinear."""
        return self._linear("QuantizeLinear", x, scale, zero_point, dtype, attributes)

    def dequantize(self, x, scale, zero_point=0, dtype=np.uint8, **attributes):
        """Append DequantizeLinear."""
        return self._linear("DequantizeLinear", x, scale, zero_point, dtype, attributes)

    def _linear(self, op_type, x, scale, zero_point, dtype, attributes):
        scale = self.constant(np.asarray(scale, np.float32))
        zero_point = self.constant(np.asarray(zero_point, dtype))
        return self.op(op_type, x, scale, zero_point, **attributes)

    def qdq(self, x, scale, zero_point=0, dtype=np.uint8):
        """Append QuantizeLinear and DequantizeLinear with equal parameters."""
        quantized = self.quantize(x, scale, zero_point, dtype)
        return self.dequantize(quantized, scale, zero_point, dtype)

    def weight(self, *shape, scale=0.01, zero_point=0, dtype=np.int8, axis=0):
        """Append DequantizeLinear of random integers, one scale for each of ``axis``."""
        info = np.iinfo(dtype)
        values = self.rng.integers(info.min + 1, info.max + 1, shape, dtype)
        scale = np.asarray(scale, np.float32)
        if scale.ndim:
            zero_point = np.broadcast_to(np.asarray(zero_point, dtype), scale.shape)
        return self.dequantize(self.constant(values), scale, zero_point, dtype, axis=axis)

    def output(self, value, name):
        """Declare a graph output."""
        self.nodes.append(helper.make_node("Identity", [value], [name], name=f"{name}_out"))
        self.outputs.append(name)

    def model(self, opset=OPSET):
        """The model."""
        graph = helper.make_graph(
            self.nodes,
            "g",
            self.inputs,
            [onnx.ValueInfoProto(name=name) for name in self.outputs],
            self.initializers,
        )
        opsets = [helper.make_opsetid("", opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


@dataclass(frozen=True)
class Outcome:
    """What Octavo and onnxruntime computed, and how the model was compiled."""

    ours: dict
    reference: dict
    manifest: dict
    scales: dict = field(default_factory=dict)  # step of each quantized float output

    def steps_apart(self, name):
        """Distance of each value in quantization steps of the output."""
        ours, reference = self.ours[name], self.reference[name]
        assert ours.dtype == reference.dtype
        assert ours.shape == reference.shape
        step = self.scales.get(name, 1.0)
        return np.abs(ours.astype(np.float64) - reference.astype(np.float64)) / step

    @property
    def worst_steps(self):
        return max(float(self.steps_apart(name).max(initial=0)) for name in self.reference)

    @property
    def equal_share(self):
        return min(float((self.steps_apart(name) < 0.5).mean()) for name in self.reference)

    @property
    def sqnr_db(self):
        """Of the worst output."""
        found = []
        for name, reference in self.reference.items():
            noise = np.square(self.ours[name].astype(float) - reference.astype(float)).sum()
            signal = np.square(reference.astype(float)).sum()
            found.append(10 * np.log10(signal / max(noise, 1e-30)))
        return min(found)

    @property
    def float_steps(self):
        """(operators, reason) of each step that computes in float, the ends aside."""
        ends = {"QuantizeLinear", "DequantizeLinear", "Identity", "Transpose"}
        return [
            (step["op_types"], step["reason"])
            for step in self.manifest["steps"]
            if step["placement"] == "float32" and not ends.issuperset(step["op_types"])
        ]


def run_reference(model, feeds):
    """onnxruntime's run of the model as it is written: fused kernels round elsewhere."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


def random_feeds(model, seed=1):
    """Normal floats, and integers over the whole range."""
    rng = np.random.default_rng(seed)
    feeds = {}
    for value in model.graph.input:
        kind = value.type.tensor_type
        shape = [d.dim_value for d in kind.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
        if np.issubdtype(dtype, np.integer):
            info = np.iinfo(dtype)
            feeds[value.name] = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
        else:
            feeds[value.name] = rng.normal(size=shape).astype(dtype)
    return feeds


def compile_and_run(model, feeds=None, **options):
    """Compile a quantized model, run it on one input, and run onnxruntime on the same."""
    feeds = random_feeds(model) if feeds is None else feeds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        onnx.save(model, folder / "m.onnx")
        result = compile_model(folder / "m.onnx", "host", folder / "out", **options)
        with load(folder / "out") as session:
            ours = session.run(feeds)
    return Outcome(ours, run_reference(model, feeds), result.manifest, output_scales(model))


def output_scales(model):
    """Step of each float output that comes out of a DequantizeLinear, through Identity."""
    producers = {o: n for n in model.graph.node for o in n.output}
    constants = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    scales = {}
    for output in model.graph.output:
        node = producers.get(output.name)
        while node is not None and node.op_type in ("Identity", "Reshape", "Transpose"):
            node = producers.get(node.input[0])
        if node is not None and node.op_type == "DequantizeLinear":
            scales[output.name] = float(constants[node.input[1]].reshape(-1)[0])
    return scales
