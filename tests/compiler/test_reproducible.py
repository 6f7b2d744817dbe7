"""Two builds of the same model are byte-identical, in other processes and other places."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from tests.compiler.lowering.qdq_builder import GraphBuilder

EXAMPLES = Path(__file__).parents[2] / "examples"
BUILD = """
import sys, octavo
octavo.compile(sys.argv[1], "host", sys.argv[2],
               **({"samples": sys.argv[3]} if sys.argv[3] else {"float_only": True}))
"""


def build(model, folder, data, hash_seed):
    environment = dict(
        os.environ, PYTHONHASHSEED=hash_seed, PYTHONPATH=os.pathsep.join(sys.path)
    )
    folder.parent.mkdir(parents=True)
    subprocess.run(
        [sys.executable, "-c", BUILD, model, folder, data],
        check=True, env=environment, cwd=folder.parent,
    )  # fmt: skip
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def assert_reproducible(tmp_path, model, data=""):
    first = build(model, tmp_path / "a" / "out", data, "1")
    second = build(model, tmp_path / "b" / "deeper" / "other", data, "2")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits/digits.onnx", "sequence/lstm.onnx"])
def test_examples_are_reproducible(tmp_path, name):
    model = EXAMPLES / name
    assert_reproducible(tmp_path, model, model.parent / "calibration.npz")


@pytest.mark.slow
def test_float_parts_are_reproducible(tmp_path):
    """What goes through TVM and its rewrites: a recurrence, a sort, a running sum."""
    g = GraphBuilder()
    sizes = [np.float32(g.rng.normal(size=s)) for s in ((1, 20, 3), (1, 20, 5))]
    x = g.input("x", (4, 2, 3))
    hidden = g.op("LSTM", x, *(g.constant(w) for w in sizes), hidden_size=5, outputs=2)[0]
    flat = g.op("Reshape", hidden, g.constant(np.array([40])))
    for value in g.op("TopK", flat, g.constant(np.array([5])), outputs=2):
        g.output(value, f"of_{value}")
    g.output(g.op("CumSum", flat, g.constant(np.array(0))), "sums")
    onnx.save(g.model(), tmp_path / "m.onnx")
    assert_reproducible(tmp_path, tmp_path / "m.onnx")
