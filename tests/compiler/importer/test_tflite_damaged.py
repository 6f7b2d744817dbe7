"""Damaged and malicious TFLite files are refused in one line."""

import random
import struct

import numpy as np
import pytest

from octavo.compiler.importer import Limits, import_model
from octavo.errors import ModelError, OctavoError

pytest.importorskip("ai_edge_litert")
from benchmarks.peers.tflite.files import TfliteFile, pack

LIMITS = Limits(nodes=2000, initializers=500, folded_bytes=2**24)
NUM_MUTANTS = 1500


def valid():
    """A file with a convolution of int8, and its inputs and outputs."""
    file = TfliteFile()
    x = file.tensor("x", (1, 4, 4, 2), "int8", scale=0.1, zero=1)
    y = file.tensor("y", (1, 4, 4, 3), "int8", scale=0.2, zero=-3)
    w = file.tensor("w", data=np.ones((3, 1, 1, 2), np.int8), scale=[0.1, 0.2, 0.3])
    b = file.tensor("b", data=np.ones(3, np.int32), scale=[0.01, 0.02, 0.03])
    strides = {"strideH": 1, "strideW": 1}
    file.operator("CONV_2D", [x, w, b], [y], "Conv2DOptions", **strides)
    file.pack([x], [y])
    return file


def _tensor(index, **fields):
    def damage(file):
        for name, value in fields.items():
            setattr(file.graph.tensors[index], name, value)

    return damage


def _quantization(index, **fields):
    def damage(file):
        for name, value in fields.items():
            setattr(file.graph.tensors[index].quantization, name, value)

    return damage


def _operator(**fields):
    def damage(file):
        for name, value in fields.items():
            setattr(file.graph.operators[0], name, value)

    return damage


def _graph(**fields):
    def damage(file):
        for name, value in fields.items():
            setattr(file.graph, name, value)

    return damage


def _custom(file):
    file.model.operatorCodes[0].builtinCode = 32
    file.model.operatorCodes[0].deprecatedBuiltinCode = 32
    file.model.operatorCodes[0].customCode = "detect"


def _float32(*values):
    return np.array(values, np.float32)


DAMAGES = {
    "buffer index": (_tensor(2, buffer=99), "'w' is in buffer 99"),
    "buffer size": (_tensor(2, shape=np.int32([3, 1, 1, 5])), "'w' has 6 bytes"),
    "negative size": (_tensor(0, shape=np.int32([1, -4, 4, 2])), "negative dimension"),
    "huge tensor": (_tensor(0, shape=np.int32([2**15] * 4)), "elements are allowed"),
    "element type": (_tensor(0, type=5), "element type 5"),
    "shape of a result": (_tensor(1, shape=np.int32([1, 9, 4, 3])), "computes"),
    "few scales": (_quantization(2, scale=_float32(1, 2)), "2 scales along axis 0"),
    "axis": (_quantization(2, quantizedDimension=9), "3 scales along axis 9"),
    "zero points": (_quantization(2, zeroPoint=np.int64([0, 0])), "2 zero points"),
    "zero scale": (_quantization(0, scale=_float32(0)), "not above 0"),
    "scale NaN": (_quantization(0, scale=_float32(np.nan)), "not above 0"),
    "zero point range": (_quantization(0, zeroPoint=np.int64([200])), "outside int8"),
    "operand index": (_operator(inputs=np.int32([0, 77, 3])), "names tensor 77 of 4"),
    "operator code": (_operator(opcodeIndex=9), "has code 9"),
    "missing operand": (_operator(inputs=np.int32([0])), "lacks input 1"),
    "no outputs": (_graph(outputs=np.int32([])), "no outputs"),
    "output index": (_graph(outputs=np.int32([-1])), "names tensor -1"),
    "unknown output": (_graph(operators=[]), "nothing computes it"),
    "custom": (_custom, "CUSTOM 'detect' 'y' is not supported"),
    "computed weight": (_tensor(2, buffer=0), "a scale for each channel but is computed"),
}


def assert_refused(content, tmp_path, match):
    path = tmp_path / "net.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=match) as error:
        import_model(path)
    assert "\n" not in str(error.value)
    assert error.value.exit_code == 2


@pytest.mark.parametrize("name", DAMAGES)
def test_wrong_contents_are_refused(name, tmp_path):
    damage, match = DAMAGES[name]
    file = valid()
    damage(file)
    assert_refused(pack(file.model), tmp_path, match)


def test_operands_of_a_wrong_length_are_refused(tmp_path):
    file = TfliteFile()
    x, y = (file.tensor(name, (1, 4)) for name in "xy")
    file.operator("PAD", [x, file.tensor("amounts", data=np.int32([0, 1, 2]))], [y])
    assert_refused(file.pack([x], [y]), tmp_path, "PAD 'y': its operands or options are wrong")


def test_the_valid_file_is_not_refused(tmp_path):
    (tmp_path / "net.tflite").write_bytes(pack(valid().model))
    assert len(import_model(tmp_path / "net.tflite").graph.outputs) == 1


@pytest.mark.parametrize("length", [8, 12, 40, 200, -8])
def test_truncated_files_are_refused(length, tmp_path):
    assert_refused(pack(valid().model)[:length], tmp_path, "damaged|lies outside|more than")


def test_a_table_that_is_its_own_field_is_refused(tmp_path):
    content = bytearray(pack(valid().model))
    struct.pack_into("<I", content, 0, 0)
    assert_refused(bytes(content), tmp_path, "refers to itself")


def test_mutants_are_imported_or_refused(tmp_path):
    original = pack(valid().model)
    rng = random.Random(3)
    path = tmp_path / "net.tflite"
    messages = []
    for _ in range(NUM_MUTANTS):
        content = bytearray(original)
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(8, len(content) - 4)
            if rng.random() < 0.5:
                content[place] = rng.randrange(256)
            else:
                value = rng.choice([0, 1, 2**31, 2**32 - 1, len(content), rng.getrandbits(32)])
                struct.pack_into("<I", content, place & ~3, value)
        path.write_bytes(content)
        try:
            import_model(path, limits=LIMITS)
        except OctavoError as error:
            messages.append(str(error))
    assert not [message for message in messages if "\n" in message]
    assert NUM_MUTANTS // 4 < len(messages) < NUM_MUTANTS
