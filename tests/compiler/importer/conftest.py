"""Fixtures of the importer's tests: models as ONNX text, runs in ONNX Runtime."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from octavo.compiler.importer import import_model
from octavo.errors import ModelError

Model = onnx.ModelProto | str


def _parse(model: Model) -> onnx.ModelProto:
    return onnx.parser.parse_model(model) if isinstance(model, str) else model


@pytest.fixture
def save(tmp_path: Path) -> Callable[[Model], Path]:
    """Write a model, given as text or message, into a folder of its own."""

    def save_model(model: Model) -> Path:
        path = tmp_path / "model.onnx"
        path.write_bytes(_parse(model).SerializeToString())
        return path

    return save_model


@pytest.fixture
def imported(save: Callable[[Model], Path]) -> Callable[..., ir.Model]:
    """Import a model that is given as text or message."""

    def import_text(model: Model, **options: Any) -> ir.Model:
        return import_model(save(model), **options)

    return import_text


@pytest.fixture
def refused(save: Callable[[Model], Path]) -> Callable[..., str]:
    """Import a model that must be refused; return the message, which is one line."""

    def refuse(model: Model, match: str, **options: Any) -> str:
        path = save(model)
        with pytest.raises(ModelError, match=match) as error:
            import_model(path, **options)
        assert "\n" not in str(error.value)
        return str(error.value)

    return refuse


@pytest.fixture
def run() -> Callable[..., list[np.ndarray]]:
    """Run a model in ONNX Runtime with one thread and no graph optimization."""

    def run_model(model: ir.Model | Model, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        proto = ir.to_proto(model) if isinstance(model, ir.Model) else _parse(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
        names = [item.name for item in session.get_inputs()]
        return session.run(None, {name: feeds[name] for name in names})

    return run_model


@pytest.fixture
def op_types() -> Callable[[ir.Model], list[str]]:
    """List the operators of a model in order."""

    def list_op_types(model: ir.Model) -> list[str]:
        return [node.op_type for node in model.graph]

    return list_op_types
