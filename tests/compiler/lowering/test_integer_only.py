"""``integer_only``: no floating point between the ends, and the integers that int64 gives.

Acceptance: a network with a residual and a concatenation equals a reference in numpy's int64
on 1,000 inputs.
"""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path
from tests.compiler.lowering.qdq_builder import GraphBuilder

from octavo.compiler import compile as driver
from octavo.compiler.compile import compile_model
from octavo.compiler.session import load
from octavo.errors import LoweringError
from octavo.targets.ops.requantize import dyadic

EXAMPLES = Path(__file__).parents[3] / "examples"
FLOAT_TYPE = re.compile(r"\bb?float\d")


class Lowered(Exception):
    """Carries the program."""


def lowered(monkeypatch, path, samples):
    """The program that ``compile_model`` makes."""

    def stop(program, *_arguments, **_options):
        raise Lowered(program)

    monkeypatch.setattr(driver, "write_artifact", stop)
    with pytest.raises(Lowered) as caught:
        compile_model(path, "host", path.parent / "never", samples=samples, integer_only=True)
    return caught.value.args[0]


def float_steps_inside(program):
    """Steps whose kernel mentions a float, unless they read an input or write an output."""
    ends = {id(port.buffer) for port in (*program.inputs, *program.outputs)}
    is_float = {
        name: FLOAT_TYPE.search(function.script()) is not None
        for name, function in program.functions.items()
    }
    assert any(is_float.values())  # the ends quantize: the search does find floats
    return [
        step.name
        for step in program.steps
        if is_float[step.kernel] and not any(id(o.buffer) in ends for o in step.operands)
    ]


def block(g, x, size):
    """One transformer block: attention and a hidden layer, each with a residual."""

    def weight(rows, columns):
        values = g.rng.normal(size=(rows, columns)) / rows**0.5
        return g.constant(values.astype(np.float32))

    def norm(value):
        return g.op("LayerNormalization", value, g.constant(np.ones(size, np.float32)))

    n = norm(x)
    q, k, v = (g.op("MatMul", n, weight(size, size)) for _ in range(3))
    scores = g.op("MatMul", q, g.op("Transpose", k, perm=[0, 2, 1]))
    chosen = g.op("Softmax", g.op("Mul", scores, g.constant(np.float32(size**-0.5))), axis=-1)
    x = g.op("Add", x, g.op("MatMul", g.op("MatMul", chosen, v), weight(size, size)))
    hidden = g.op("Gelu", g.op("MatMul", norm(x), weight(size, 2 * size)))
    return g.op("Add", x, g.op("MatMul", hidden, weight(2 * size, size)))


def test_a_transformer_block_has_no_float_inside(tmp_path, monkeypatch):
    g = GraphBuilder()
    g.output(block(g, g.input("x", (1, 7, 16)), 16), "y")
    onnx.save(g.model(), tmp_path / "m.onnx")
    samples = {"x": np.random.default_rng(0).normal(size=(8, 1, 7, 16)).astype(np.float32)}
    program = lowered(monkeypatch, tmp_path / "m.onnx", samples)
    assert float_steps_inside(program) == []


@pytest.mark.parametrize(
    ("model", "data"),
    [
        ("digits/digits.onnx", "digits/calibration.npz"),
        ("sequence/lstm.onnx", "sequence/calibration.npz"),
        ("sequence/gru.onnx", "sequence/calibration.npz"),
    ],
)
def test_the_examples_have_no_float_inside(monkeypatch, model, data):
    program = lowered(monkeypatch, EXAMPLES / model, EXAMPLES / data)
    assert float_steps_inside(program) == []


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18"])
def test_networks_have_no_float_inside(monkeypatch, name):
    samples = find_entry(name).samples(4, input_size=64)
    stacked = {key: np.concatenate([s[key] for s in samples]) for key in samples[0]}
    program = lowered(monkeypatch, model_path(name, input_size=64), stacked)
    assert float_steps_inside(program) == []


# -- the reference ---------------------------------------------------------------------------

SHAPE = (1, 4, 6, 5)
X, A, B, C, Y = (0.0313, 120), (0.0217, 3), (0.0419, 5), (0.0427, 4), (0.0611, 131)
NUM_INPUTS = 1000


def stored(rng, *shape):
    """Integer weights and a scale for each output channel."""
    scale = rng.uniform(0.0011, 0.0083, shape[0]).astype(np.float32)
    return rng.integers(-127, 128, shape, np.int8), scale


def network(weights):
    g = GraphBuilder()

    def weight(index):
        values, scale = weights[index]
        zero = np.zeros(len(scale))
        return g.dequantize(g.constant(values), scale, zero, np.int8, axis=0)

    x = g.dequantize(g.input("x", SHAPE, np.uint8), *X)
    a = g.qdq(g.op("Relu", g.op("Conv", x, weight(0), pads=[1] * 4)), *A)
    b = g.op("Add", g.op("Conv", a, weight(1), pads=[1] * 4), a)
    b = g.qdq(g.op("Relu", b), *B)
    c = g.qdq(g.op("Concat", b, a, axis=1), *C)
    g.output(g.quantize(g.op("Conv", c, weight(2)), *Y), "y")
    return g.model()


def convolve(q, zero_point, weight):
    """Exact accumulators (C, H, W) of a 3x3 with padding or of a 1x1 convolution."""
    pad = weight.shape[2] // 2
    x = np.pad(q.astype(np.int64) - zero_point, ((0, 0), (pad, pad), (pad, pad)))
    height, width = q.shape[1:]
    return sum(
        np.einsum("oc,chw->ohw", weight[:, :, i, j].astype(np.int64),
                  x[:, i : i + height, j : j + width])
        for i in range(weight.shape[2])
        for j in range(weight.shape[3])
    )  # fmt: skip


def requantize(acc, acc_scale, to, lowest, residual=None):
    """((acc * m + r * mr + half) >> shift) + zero point, saturated; all in int64."""
    scale, zero_point = np.float64(np.float32(to[0])), to[1]
    significand, shift = (v[:, None, None] for v in dyadic(acc_scale / scale))
    total = acc * significand
    if residual is not None:
        q, (scale_r, zero_r) = residual
        ratio = np.float64(np.float32(scale_r)) / scale
        total = total + (q.astype(np.int64) - zero_r) * np.rint(np.ldexp(ratio, shift)).astype(
            np.int64
        )
    return np.clip(((total + (1 << (shift - 1))) >> shift) + zero_point, lowest, 255)


def rescale(q, source, to):
    """The table of a concatenation: QuantizeLinear of DequantizeLinear, as ONNX says."""
    real = np.float32(np.arange(256) - source[1]) * np.float32(source[0])
    table = np.clip(np.rint(real / np.float32(to[0])) + to[1], 0, 255).astype(np.int64)
    return table[q]


def reference(q, weights):
    scales = [np.float64(s) for _, s in weights]
    x_scale, a_scale, c_scale = (np.float64(np.float32(p[0])) for p in (X, A, C))
    a = requantize(convolve(q, X[1], weights[0][0]), x_scale * scales[0], A, A[1])
    acc = convolve(a, A[1], weights[1][0])
    b = requantize(acc, a_scale * scales[1], B, B[1], residual=(a, A))
    c = np.concatenate([rescale(b, B, C), rescale(a, A, C)])
    return requantize(convolve(c, C[1], weights[2][0]), c_scale * scales[2], Y, 0)


def test_residual_and_concat_equal_int64_on_a_thousand_inputs(tmp_path):
    rng = np.random.default_rng(0)
    weights = [stored(rng, 6, 4, 3, 3), stored(rng, 6, 6, 3, 3), stored(rng, 5, 12, 1, 1)]
    onnx.save(network(weights), tmp_path / "m.onnx")
    compile_model(tmp_path / "m.onnx", "host", tmp_path / "out", integer_only=True)
    inputs = rng.integers(0, 256, (NUM_INPUTS, *SHAPE), np.uint8)
    varied = set()
    with load(tmp_path / "out") as session:
        for x in inputs:
            ours = session.run({"x": x})["y"][0]
            np.testing.assert_array_equal(ours, reference(x[0], weights))
            varied.update(ours.reshape(-1).tolist())
    assert len(varied) > 200  # not everything saturates


def test_a_softmax_over_edges_is_refused(tmp_path):
    graphs = EXAMPLES / "graphs"
    with pytest.raises(LoweringError, match=r"layer1/ScatterElements_4\.attention.*float"):
        compile_model(
            graphs / "gat.onnx",
            "host",
            tmp_path / "out",
            samples=graphs / "calibration_loops.npz",
            integer_only=True,
        )


def test_message_passing_is_integer(tmp_path, monkeypatch):
    graphs = EXAMPLES / "graphs"
    (tmp_path / "m.onnx").write_bytes((graphs / "gcn.onnx").read_bytes())
    program = lowered(monkeypatch, tmp_path / "m.onnx", graphs / "calibration_loops.npz")
    assert float_steps_inside(program) == []
    assert sum("csr_rows" in step.variant for step in program.steps) == 2
