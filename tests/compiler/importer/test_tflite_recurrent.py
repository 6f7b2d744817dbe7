"""UNIDIRECTIONAL_SEQUENCE_LSTM in float and in integers, against LiteRT."""

import numpy as np
import onnx_ir as ir
import pytest

from octavo.compiler.compile import compile_model
from octavo.compiler.importer import import_model
from octavo.compiler.session import load
from octavo.compiler.tflite_cell import METADATA_KEY
from octavo.errors import ModelError

pytest.importorskip("ai_edge_litert")
from ai_edge_litert.interpreter import OpResolverType
from benchmarks.peers.tflite.files import TfliteFile, litert_run

RNG = np.random.default_rng(3)
BATCH, STEPS, INPUTS, HIDDEN = 1, 12, 6, 20
X_SCALE, X_ZERO, H_SCALE, H_ZERO = 0.021, 5, 1 / 128, -3
GATES = ("input", "forget", "cell", "output")
TANH = 4
# the reference kernels alone have none for all of its forms
KERNELS = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES


def lstm(
    dtype, weight_dtype=None, steps_first=False, absent=(), cell_scale=2.0**-11, **fields
):
    """A file with one LSTM; ``dtype`` of what is computed, "float32" or "int8"."""
    file, is_integer = TfliteFile(), dtype == "int8"
    weight_dtype = weight_dtype or dtype
    order = (STEPS, BATCH) if steps_first else (BATCH, STEPS)

    def activation(name, shape, scale, zero):
        return file.tensor(name, shape, dtype, scale=scale if is_integer else None, zero=zero)

    def weight(name, columns, variance):
        values = RNG.standard_normal((HIDDEN, columns)) * variance
        if weight_dtype != "int8":
            return file.tensor(name, data=values.astype(weight_dtype))
        scale = np.float32(np.abs(values).max() / 127)
        return file.tensor(name, data=np.round(values / scale).astype(np.int8), scale=scale)

    x = activation("x", (*order, INPUTS), X_SCALE, X_ZERO)
    y = activation("y", (*order, HIDDEN), H_SCALE, H_ZERO)
    of_input = [weight(f"w_{gate}", INPUTS, 0.8) for gate in GATES]
    of_state = [weight(f"r_{gate}", HIDDEN, 0.4) for gate in GATES]
    biases = []
    for index, gate in enumerate(GATES):
        bias = RNG.standard_normal(HIDDEN) * 0.5
        if is_integer:
            record = file.graph.tensors[of_input[index]].quantization
            scale = np.float32(X_SCALE) * record.scale
            stored = np.round(bias / scale).astype(np.int32)
            biases.append(file.tensor(f"b_{gate}", data=stored, scale=scale))
        else:
            biases.append(file.tensor(f"b_{gate}", data=bias.astype(np.float32)))
    state = activation("state", (BATCH, HIDDEN), H_SCALE, H_ZERO)
    if is_integer:
        cell = file.tensor("cell", (BATCH, HIDDEN), "int16", scale=cell_scale)
    else:
        cell = file.tensor("cell", (BATCH, HIDDEN))
    for index in (state, cell):
        file.graph.tensors[index].isVariable = True
    operands = [x, *of_input, *of_state, -1, -1, -1, *biases, -1, -1, state, cell, *[-1] * 4]
    for place, index in absent:
        operands[place] = index if index < 0 else of_input[index]
    options = {"fusedActivationFunction": TANH, "timeMajor": steps_first, "cellClip": 10.0}
    kind = "UNIDIRECTIONAL_SEQUENCE_LSTM"
    file.operator(kind, operands, [y], "UnidirectionalSequenceLSTMOptions", **options | fields)
    if is_integer:
        between = [file.tensor(f"m{i}", (1,), "int16", scale=2.0**-12) for i in range(4)]
        between.append(file.tensor("m4", (1,), "int8", scale=H_SCALE, zero=H_ZERO))
        file.graph.operators[0].intermediates = np.array(between, np.int32)
    return file.pack([x], [y])


def shape(steps_first):
    return (STEPS, BATCH, INPUTS) if steps_first else (BATCH, STEPS, INPUTS)


@pytest.mark.parametrize("steps_first", [False, True])
def test_float(steps_first, tmp_path, run):
    content = lstm("float32", steps_first=steps_first)
    (tmp_path / "net.tflite").write_bytes(content)
    feeds = {"x": RNG.standard_normal(shape(steps_first)).astype(np.float32)}
    (expected,) = litert_run(content, feeds, KERNELS)
    (actual,) = run(import_model(tmp_path / "net.tflite"), feeds)
    np.testing.assert_allclose(actual, expected, atol=2e-6)


def test_integer_weights_alone(tmp_path, run):
    content = lstm("float32", weight_dtype="int8")
    (tmp_path / "net.tflite").write_bytes(content)
    feeds = {"x": RNG.standard_normal(shape(False)).astype(np.float32)}
    (expected,) = litert_run(content, feeds, KERNELS)
    (actual,) = run(import_model(tmp_path / "net.tflite"), feeds)
    # LiteRT quantizes x and the state of every step to 8 bits
    np.testing.assert_allclose(actual, expected, atol=0.05)


@pytest.mark.parametrize("steps_first", [False, True])
def test_integers(steps_first, tmp_path):
    content = lstm("int8", steps_first=steps_first)
    (tmp_path / "net.tflite").write_bytes(content)
    feeds = {"x": RNG.integers(-128, 128, shape(steps_first)).astype(np.int8)}
    (expected,) = litert_run(content, feeds, KERNELS)
    compile_model(tmp_path / "net.tflite", "host", tmp_path / "out")
    with load(tmp_path / "out") as session:
        actual = session.run(feeds)["y"]
    apart = np.abs(actual.astype(int) - expected)
    # gates of 16 bits there, of more here
    assert apart.max() <= 1
    assert (apart == 0).mean() > 0.9


@pytest.mark.parametrize("clip", [10.0, 0.0, 0.5])
@pytest.mark.parametrize("cell_scale", [2.0**-11, 2.0**-14])
def test_integers_of_the_mode_tflite_are_the_reference_s(clip, cell_scale, tmp_path):
    content = lstm("int8", cellClip=clip, cell_scale=cell_scale)
    (tmp_path / "net.tflite").write_bytes(content)
    feeds = {"x": RNG.integers(-128, 128, shape(False)).astype(np.int8)}
    (expected,) = litert_run(content, feeds)
    compile_model(tmp_path / "net.tflite", "host", tmp_path / "out", requantize="tflite")
    with load(tmp_path / "out") as session:
        actual = session.run(feeds)["y"]
    np.testing.assert_array_equal(actual, expected)
    assert len(np.unique(expected)) > 30


@pytest.mark.parametrize(
    "text", ["", "{}", '{"integer_bits": 9, "limit": 0}', '{"integer_bits": 4, "limit": -1}']
)
def test_what_describes_no_cell_is_one_line(text, tmp_path):
    (tmp_path / "net.tflite").write_bytes(lstm("int8"))
    model = import_model(tmp_path / "net.tflite")
    (node,) = (node for node in model.graph if node.op_type == "LSTM")
    assert node.metadata_props[METADATA_KEY] == '{"integer_bits": 4, "limit": 20480}'
    node.metadata_props[METADATA_KEY] = text
    ir.save(model, tmp_path / "net.onnx")
    with pytest.raises(ModelError, match="is no cell"):
        compile_model(tmp_path / "net.onnx", "host", tmp_path / "out", requantize="tflite")


@pytest.mark.parametrize(
    ("absent", "fields", "match"),
    [
        ([(10, 0)], {}, "has peepholes"),
        ([(16, 0)], {}, "has a projection"),
        ([(21, 0)], {}, "has norms"),
        ([(1, -1)], {}, "lacks input 1"),
        ([], {"fusedActivationFunction": 1}, "must be tanh"),
    ],
)
def test_other_forms_are_refused(absent, fields, match, tmp_path):
    (tmp_path / "net.tflite").write_bytes(lstm("float32", absent=absent, **fields))
    with pytest.raises(ModelError, match=match):
        import_model(tmp_path / "net.tflite")
