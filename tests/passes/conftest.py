"""Models written as ONNX text, their weights drawn or given, and runs through ONNX Runtime."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


@pytest.fixture
def build() -> Callable[..., ir.Model]:
    """Parse a graph in ONNX text; keyword arguments are initializers."""

    def build_model(graph: str, *, opset: int = 21, **weights: NDArray[Any]) -> ir.Model:
        text = f'<ir_version: 10, opset_import: ["": {opset}]> {graph}'
        proto = onnx.parser.parse_model(text)
        for name, array in weights.items():
            proto.graph.initializer.append(onnx.numpy_helper.from_array(array, name))
        onnx.checker.check_model(proto)
        inferred = onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
        return ir.from_proto(inferred)

    return build_model


@pytest.fixture
def body() -> Callable[[ir.Model], list[str]]:
    """The nodes of a model as text, without spaces, attributes in angle brackets."""

    def node_lines(model: ir.Model) -> list[str]:
        text = ir.to_onnx_text(model, exclude_initializers=True)
        lines = text[text.index("{\n") + 2 : text.rindex("}")].splitlines()
        return [line.strip().replace(" ", "") for line in lines if line.strip()]

    return node_lines


@pytest.fixture
def run() -> Callable[..., Arrays]:
    """Check a model, run it as written, and return its outputs by name."""

    def run_model(model: ir.Model, **feeds: NDArray[Any]) -> Arrays:
        import onnxruntime as ort

        proto = ir.to_proto(model)
        onnx.checker.check_model(proto, full_check=True)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        options.add_session_config_entry("session.disable_quant_qdq", "1")
        session = ort.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, feeds), strict=True))

    return run_model


@pytest.fixture
def rng() -> np.random.Generator:
    """The same numbers in every run."""
    return np.random.default_rng(20)
