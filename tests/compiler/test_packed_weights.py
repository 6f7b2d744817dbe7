"""Networks with weights of few bits, from quantizing to running: sizes and results."""

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

import octavo
from octavo.compiler.artifact.bit_packing import stored_bytes
from octavo.compiler.artifact.weight_blob import pack_weights
from octavo.compiler.artifact.write import write_artifact
from octavo.compiler.importer import import_model
from octavo.compiler.lowering.lower import lower
from octavo.compiler.lowering.program import Storage
from octavo.compiler.lowering.qdq_graph import quantized_constant
from octavo.compiler.quantize import quantize_model
from octavo.compiler.recipes import get_recipe
from octavo.compiler.samples import open_samples
from octavo.compiler.session import load
from octavo.errors import ArtifactError
from octavo.passes.layer_format import LayerFormat
from octavo.targets import get_target
from octavo.targets.host import missing_flags

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "digits"
# Of the network's six layers; the others take 8 bits.
MIXED = {"residual1": 4, "residual2": 3, "pointwise": 2, "fc": 4}


@pytest.fixture(scope="module")
def digits() -> ir.Model:
    return import_model(DIGITS / "digits.onnx")


@pytest.fixture(scope="module")
def samples(digits):
    return list(open_samples(DIGITS / "calibration.npz", digits))[:16]


@pytest.fixture(scope="module")
def mixed(digits, samples) -> ir.Model:
    configuration = {layer: LayerFormat(num_bits, 8) for layer, num_bits in MIXED.items()}
    recipe = get_recipe("static_wi8_ai8")
    return quantize_model(
        digits, samples, recipe=recipe, configuration=configuration, measure=False
    ).model


def layer_weights(program) -> dict[str, int]:
    """By layer, int8 constants that its kernel reads, in bytes."""
    return {
        node: sum(
            o.buffer.num_bytes
            for o in step.operands
            if o.buffer.storage is Storage.WEIGHTS and o.buffer.data.dtype == np.int8
        )
        for step in program.steps
        for node in step.nodes
    }


@pytest.mark.parametrize("target", ["host", "arm64-neon", "hexagon-v66"])
def test_sizes_are_known_before_compiling(mixed, target, tmp_path):
    program = lower(mixed, get_target(target))
    blob = pack_weights(program)
    blob.write(tmp_path / "weights.bin")
    file_bytes = (tmp_path / "weights.bin").stat().st_size
    predicted = {}
    for node in mixed.graph:
        weight = quantized_constant(node.inputs[1]) if len(node.inputs) > 1 else None
        if node.op_type in ("Conv", "Gemm", "MatMul") and weight is not None:
            predicted[node.name] = stored_bytes(weight.values.size, MIXED.get(node.name, 8))
    assert set(MIXED) < set(predicted)
    read = layer_weights(program)
    of_kernels = {layer: stored_bytes(read[layer], MIXED.get(layer, 8)) for layer in predicted}
    # What kernels pad is all that is not known before.
    assert all(of_kernels[layer] >= predicted[layer] for layer in predicted)
    packed = sum(constant.bits.data.nbytes for constant in blob.packed)
    assert packed == sum(of_kernels[layer] for layer in MIXED)
    assert file_bytes == blob.plain_bytes + packed + 8
    # Biases, scales and tables of small layers are the rest.
    rest = file_bytes - sum(of_kernels.values())
    assert 0 < rest < 4096
    assert sum(predicted.values()) > 0.9 * sum(of_kernels.values())


def test_packing_changes_sizes_and_nothing_else(mixed, samples, tmp_path):
    target = get_target("host")
    program = lower(mixed, target)
    packed = write_artifact(program, target, None, tmp_path / "packed")
    plain = write_artifact(program, target, None, tmp_path / "plain", packed_weights=False)
    memory = packed["memory"]
    assert memory["num_packed_weights"] == len(MIXED)
    assert memory["weights_bytes"] == (tmp_path / "packed/weights.bin").stat().st_size
    assert memory["weights_bytes"] < 0.6 * memory["weights_memory_bytes"]
    same = plain["memory"]
    assert same["weights_bytes"] == same["weights_memory_bytes"]
    assert abs(same["weights_bytes"] - memory["weights_memory_bytes"]) <= 128
    name = mixed.graph.outputs[0].name
    with load(tmp_path / "packed") as a, load(tmp_path / "plain") as b:
        for sample in samples:
            assert (a.run(sample)[name] == b.run(sample)[name]).all()
    for data in (b"", b"\0" * (memory["weights_bytes"] - 1)):
        (tmp_path / "packed/weights.bin").write_bytes(data)
        with pytest.raises(ArtifactError, match="have not the size that this program expects"):
            load(tmp_path / "packed", verify=False)
    # Of the right size, whatever it says: numbers are wrong, nothing else happens.
    (tmp_path / "packed/weights.bin").write_bytes(b"\xff" * memory["weights_bytes"])
    with load(tmp_path / "packed", verify=False) as damaged:
        assert damaged.run(samples[0])[name].shape == tuple(mixed.graph.outputs[0].shape)


@pytest.mark.parametrize(
    ("widths", "share"),
    [
        # A scale of four bytes for each 16 weights of 4 bits.
        ({"weight_bits": 4, "block_size": 16}, 0.21),
        ({"weight_bits": 3, "activation_bits": 32}, 0.12),
        ({"weight_bits": 8, "activation_bits": 32}, 0.27),
        # Integer kernels that read weights as int16.
        ({"weight_bits": 8, "activation_bits": 16}, 0.53),
        ({"weight_bits": 4, "activation_bits": 16}, 0.29),
    ],
    ids=str,
)
def test_wide_weights_are_stored_as_the_integers_that_they_were(
    digits, samples, tmp_path, widths, share
):
    target = get_target("host")
    recipe = get_recipe("static_wi8_ai8", **widths)
    model = quantize_model(digits, samples, recipe=recipe, measure=False).model
    program = lower(model, target)
    memory = write_artifact(program, target, None, tmp_path / "packed")["memory"]
    write_artifact(program, target, None, tmp_path / "plain", packed_weights=False)
    assert memory["weights_bytes"] < share * memory["weights_memory_bytes"]
    name = model.graph.outputs[0].name
    with load(tmp_path / "packed") as a, load(tmp_path / "plain") as b:
        for sample in samples[:4]:
            assert (a.run(sample)[name] == b.run(sample)[name]).all()


@pytest.mark.parametrize("num_bits", [2, 3, 4])
def test_products_that_read_weights_of_four_bits_are_stored_in_the_bits_they_have(
    num_bits, tmp_path
):
    rng = np.random.default_rng(0)
    size = 512
    weight = rng.normal(size=(size, size)).astype(np.float32)
    x = ir.Value(name="x", shape=ir.Shape((1, size)), type=ir.TensorType(ir.DataType.FLOAT))
    w = ir.Value(name="w", const_value=ir.tensor(weight, name="w"))
    w.shape, w.type = ir.Shape((size, size)), ir.TensorType(ir.DataType.FLOAT)
    node = ir.node("MatMul", [x, w], name="product")
    (y,) = node.outputs
    y.name, y.shape, y.type = "y", ir.Shape((1, size)), ir.TensorType(ir.DataType.FLOAT)
    opsets = {"": 21}
    graph = ir.Graph([x], [y], nodes=[node], initializers=[w], opset_imports=opsets, name="g")
    file = tmp_path / "product.onnx"
    ir.save(ir.Model(graph, ir_version=10), file)
    samples = {"x": rng.normal(size=(4, size)).astype(np.float32)}
    outputs, blobs = {}, {}
    for packed in (True, False):
        folder = tmp_path / f"{packed}"
        built = octavo.compile(
            file, "x86-64-avx512vnni", folder, samples=samples, weight_bits=num_bits,
            packed_weights=packed,
        )  # fmt: skip
        blobs[packed] = built.manifest["memory"]["weights_bytes"]
        (step,) = (s for s in built.manifest["steps"] if "product" in s["nodes"])
        assert step["variant"].startswith("nibble_gemm")
    saved = size * size // 2 - stored_bytes(size * size, num_bits)
    assert abs(blobs[False] - blobs[True] - saved) <= 128
    if missing_flags(get_target("x86-64-avx512vnni")):
        return  # this CPU cannot run it
    for packed in (True, False):
        with load(tmp_path / f"{packed}") as session:
            outputs[packed] = session.run({"x": samples["x"][:1]})["y"]
    assert (outputs[True] == outputs[False]).all()
