"""Exports of PyTorch of any number of nodes and edges, see ``exports/make_exports.py``.

Imported for the largest sizes and opened again, they compute what the exporter wrote.
"""

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest

from octavo.compiler.importer import import_model
from octavo.passes.message_passing.find import recognize
from octavo.passes.message_passing.open_counts import open_counts

EXPORTS = Path(__file__).parent / "exports" / "any_size"
NAMES = sorted(path.stem for path in EXPORTS.glob("*.onnx"))
MAXIMA, IN_USE = {"nodes": 20, "edges": 50}, {"nodes": 9, "edges": 17}
NUM_GRAPHS = 2


def run(proto, inputs):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    return session.run(None, inputs)[0]


def inputs_of(model):
    rng = np.random.default_rng(1)
    made = {}
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        shape = [IN_USE[dim.dim_param] if dim.dim_param else dim.dim_value for dim in dims]
        if value.name == "edge_index":
            made[value.name] = rng.integers(0, 7, shape)  # nodes of the smallest model
        elif value.name == "batch":
            made[value.name] = np.sort(rng.integers(0, NUM_GRAPHS, shape))
        else:
            made[value.name] = rng.random(shape, np.float32)
    return made


@pytest.mark.parametrize("name", NAMES)
def test_opened_again_it_computes_what_was_exported(name):
    model = onnx.load(EXPORTS / f"{name}.onnx")
    inputs = inputs_of(model)
    dims = [dim for v in model.graph.input for dim in v.type.tensor_type.shape.dim]
    maxima = {dim.dim_param: MAXIMA[dim.dim_param] for dim in dims if dim.dim_param}
    assert "edges" in maxima
    padded = import_model(EXPORTS / f"{name}.onnx", maxima=maxima)
    found = recognize(padded.graph)
    assert found.passings
    assert not found.reasons
    opened = ir.to_proto(open_counts(padded))
    expected = run(model, inputs)
    np.testing.assert_allclose(run(opened, inputs), expected, rtol=0, atol=1e-6)


def test_there_are_exports_of_both_exporters():
    assert len(NAMES) >= 13
    assert sum(name.endswith("_script") for name in NAMES) >= 3
