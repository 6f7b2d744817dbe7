"""Compile a small model and compare it with onnxruntime's run of the same QDQ model."""

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from octavo.compiler.compile import compile_model
from octavo.compiler.session import load

NUM_SAMPLES = 8


@dataclass(frozen=True)
class Comparison:
    """What came out, for one input."""

    ours: np.ndarray
    qdq: np.ndarray  # onnxruntime, the QDQ model that was compiled
    float32: np.ndarray  # onnxruntime, the float model
    step: float  # real value of one quantization step of the output
    steps: list

    @property
    def equal_share(self):
        return float((np.abs(self.ours - self.qdq) < self.step / 2).mean())

    @property
    def worst_steps(self):
        return float(np.abs(self.ours - self.qdq).max() / self.step)

    @property
    def placements(self):
        return {op: s["placement"] for s in self.steps for op in s["op_types"]}

    def sqnr_db(self, reference):
        noise = np.square(self.ours - reference).sum()
        return 10 * np.log10(np.square(reference).sum() / max(noise, 1e-30))


def build_model(nodes, initializers, x_shape, opset=20):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x_shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in initializers.items()],
    )
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10
    )


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    # The reference is the model as written: fused kernels round elsewhere.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@pytest.fixture
def differential(tmp_path):
    def run(nodes, initializers, x_shape, opset=20, **options):
        rng = np.random.default_rng(1)
        x = rng.normal(size=(NUM_SAMPLES, *x_shape)).astype(np.float32)
        onnx.save(build_model(nodes, initializers, x_shape, opset), tmp_path / "m.onnx")
        np.savez(tmp_path / "samples.npz", x=x)
        result = compile_model(
            tmp_path / "m.onnx",
            "host",
            tmp_path / "out",
            samples=None if options.get("float_only") else tmp_path / "samples.npz",
            force=True,
            **options,
        )
        compiled = tmp_path / "out" / "model.int8.onnx"
        with load(tmp_path / "out") as ours:
            return Comparison(
                ours.run({"x": x[0]})["y"],
                session(compiled).run(None, {"x": x[0]})[0],
                session(tmp_path / "m.onnx").run(None, {"x": x[0]})[0],
                output_step(onnx.load(compiled)),
                result.manifest["steps"],
            )

    return run


def output_step(model):
    """Scale of the DequantizeLinear that makes the output; 1e-4 where there is none."""
    producer = next((n for n in model.graph.node if "y" in n.output), None)
    if producer is None or producer.op_type != "DequantizeLinear":
        return 1e-4
    constants = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
    return float(constants[producer.input[1]])
