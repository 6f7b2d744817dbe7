"""``--float-precision``: what float layers may multiply, from the option to the result."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import octavo
from octavo.errors import TargetError
from octavo.targets import get_target

BF16_TARGET = "x86-64-avx512bf16"
needs_bfloat16 = pytest.mark.skipif(
    "bf16" not in get_target("host").float_precisions, reason="this CPU has no such products")


@pytest.fixture
def model(tmp_path):
    """Convolution, ReLU, convolution."""
    rng = np.random.default_rng(0)
    weights = {"v": rng.normal(size=(24, 6, 3, 3)), "w": rng.normal(size=(10, 24, 1, 1))}
    nodes = [helper.make_node("Conv", ["x", "v"], ["a"], "first", pads=[1] * 4),
             helper.make_node("Relu", ["a"], ["b"], "relu"),
             helper.make_node("Conv", ["b", "w"], ["y"], "second")]  # fmt: skip
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "g", [value("x", TensorProto.FLOAT, [1, 6, 12, 12])],
        [value("y", TensorProto.FLOAT, [1, 10, 12, 12])],
        [onnx.numpy_helper.from_array(w.astype(np.float32), name)
         for name, w in weights.items()])  # fmt: skip
    path = tmp_path / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]), path)
    return path


@pytest.fixture
def samples(tmp_path):
    path = tmp_path / "samples.npz"
    x = np.random.default_rng(2).normal(size=(8, 6, 12, 12)).astype(np.float32)
    np.savez(path, x=x)
    return path


def placements(manifest):
    """Placements of the layers with products."""
    return {s["name"]: s["placement"] for s in manifest["steps"] if s["macs"]}


def test_the_manifest_says_what_was_multiplied(model, samples, tmp_path):
    result = octavo.compile(model, BF16_TARGET, tmp_path / "out", float_only=True,
                            float_precision="bf16", samples=samples)  # fmt: skip
    assert set(placements(result.manifest).values()) == {"bfloat16"}
    assert result.manifest["metadata"]["float_precision"] == "bf16"
    # Eight significant bits of two operands, twice: some 2**-9 each, relative.
    assert 40 < result.manifest["metadata"]["output_sqnr_db"]["y"] < 60


def test_layers_of_a_quantized_model_that_stay_float_take_it_too(model, samples, tmp_path):
    result = octavo.compile(model, BF16_TARGET, tmp_path / "out", samples=samples,
                            keep_float=["second"], float_precision="bf16")  # fmt: skip
    assert placements(result.manifest) == {"first": "int8", "second": "bfloat16"}


def test_a_target_without_such_products_refuses(model, tmp_path):
    with pytest.raises(TargetError, match=r"'x86-64-avx2' does not multiply bf16 .* float32"):
        octavo.compile(model, "x86-64-avx2", tmp_path / "out", float_only=True,
                       float_precision="bf16")  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_float32_stays_the_default(model, tmp_path):
    result = octavo.compile(model, BF16_TARGET, tmp_path / "out", float_only=True)
    assert set(placements(result.manifest).values()) == {"float32"}


@needs_bfloat16
def test_results_are_as_close_as_was_measured(model, samples, tmp_path):
    x = np.random.default_rng(5).normal(size=(1, 6, 12, 12)).astype(np.float32)
    found = {}
    for precision in ("float32", "bf16"):
        folder = tmp_path / precision
        octavo.compile(model, "host", folder, float_only=True, float_precision=precision)
        with octavo.load(folder) as session:
            found[precision] = session.run({"x": x})["y"]
    error = found["bf16"] - found["float32"]
    assert error.any()
    power = 20 * np.log10(np.linalg.norm(found["float32"]) / np.linalg.norm(error))
    assert 40 < power < 60
