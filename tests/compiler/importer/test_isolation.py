"""An import in a process of its own: the same model, and one line whatever happens there."""

import struct
import time
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.compiler.importer.test_fuzz import MODELS

from octavo.compiler.importer import Limits, import_model, inspect_model, pipeline
from octavo.compiler.importer.isolation import TRUSTED, parent
from octavo.compiler.importer.isolation.draft_file import read_draft
from octavo.errors import ModelError

MIB = 2**20
CONVOLUTION = """<ir_version: 8, opset_import: ["" : 13]>
    g (float[1,2,4,4] x) => (float[1,3] y)
    <float[3,2,1,1] w = {1,2,3,4,5,6}, float16[3] h = {1, 2, 3}, float scale = {0.5}> {
        c = Conv(x, w)
        p = GlobalAveragePool(c)
        f = Flatten(p)
        k = Cast<to=1>(h)
        m = Mul(f, k)
        y = Mul(m, scale)
    }"""
COUNTED = """<ir_version: 8, opset_import: ["" : 18]>
    g (float[nodes,4] x, int64[2,edges] e) => (float[nodes,4] y)
    <int64 zero = {0}, int64 one = {1}, int64[1] first = {0}> {
        source = Gather<axis=0>(e, zero)
        target = Gather<axis=0>(e, one)
        messages = Gather<axis=0>(x, source)
        shape = Shape(x)
        none = ConstantOfShape(shape)
        t = Unsqueeze(target, lasting)
        sum = ScatterND<reduction="add">(none, t, messages)
        y = Relu(sum)
    }""".replace("lasting", "axes").replace("int64[1] first = {0}", "int64[1] axes = {1}")


def serialized(model: ir.Model) -> bytes:
    return ir.to_proto(model).SerializeToString(deterministic=True)


@pytest.mark.parametrize(
    ("text", "options"),
    [(CONVOLUTION, {}), (COUNTED, {"maxima": {"nodes": 8, "edges": 16}})],
    ids=["convolution", "counted"],
)
def test_the_model_is_the_same_as_without_isolation(save, text, options):
    path = save(text)
    alone = import_model(path, isolated=True, **options)
    assert serialized(alone) == serialized(import_model(path, isolated=False, **options))
    assert inspect_model(path, isolated=True, **options) == inspect_model(
        path, isolated=False, **options
    )


def test_models_of_every_kind_come_back(save):
    for model in MODELS[:-1]:  # the last one has a file beside it
        path = save(model)
        options = {"shapes": {"x": (3, 4)}} if model.functions else {}
        alone = import_model(path, isolated=True, **options)
        assert serialized(alone) == serialized(import_model(path, isolated=False, **options))


@pytest.mark.parametrize(
    "values",
    [
        numpy_helper.from_array(np.float32(3.5).reshape(()), "w"),
        numpy_helper.from_array(np.zeros((0, 3), np.float32), "w"),
        helper.make_tensor("w", TensorProto.INT4, [3], [-8, 0, 7]),
        helper.make_tensor("w", TensorProto.BFLOAT16, [2], [1.5, -2.0]),
        numpy_helper.from_array(np.array([True, False]), "w"),
    ],
    ids=["scalar", "empty", "int4", "bfloat16", "bool"],
)
def test_constants_of_every_kind_come_back(save, values):
    node = helper.make_node("Identity", ["w"], ["y"])
    output = helper.make_tensor_value_info("y", values.data_type, list(values.dims))
    graph = helper.make_graph([node], "g", [], [output], [values])
    path = save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]))
    assert serialized(import_model(path, isolated=True)) == serialized(
        import_model(path, isolated=False)
    )


def test_external_data_raise_the_limit_on_memory(tmp_path):
    weight = np.arange(8 * MIB, dtype=np.float32)
    proto = helper.make_model(
        helper.make_graph(
            [helper.make_node("Add", ["x", "w"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [8 * MIB])],
            [numpy_helper.from_array(weight, "w")],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    onnx.save(proto, tmp_path / "m.onnx", save_as_external_data=True, location="data.bin")
    limits = Limits(memory_bytes=40 * MIB)
    model = import_model(
        tmp_path / "m.onnx", allow_external_data=True, limits=limits, isolated=True
    )
    np.testing.assert_array_equal(model.graph.initializers["w"].const_value.numpy(), weight)


def test_a_refused_model_is_the_same_line(save):
    path = save(CONVOLUTION.replace("Flatten", "Frobnicate"))
    messages = []
    for isolated in (True, False):
        with pytest.raises(ModelError) as error:
            import_model(path, isolated=isolated)
        messages.append(str(error.value))
    assert messages[0] == messages[1]
    assert "Frobnicate" in messages[0]


def small_messages(num_nodes: int) -> bytes:
    """A file of empty nodes: two bytes each, and a hundred in memory."""
    graph = b"\x0a\x00" * num_nodes
    length = b""
    rest = len(graph)
    while rest > 127:
        length += bytes([rest & 127 | 128])
        rest >>= 7
    return b"\x42\x02\x10\x11" + b"\x3a" + length + bytes([rest]) + graph


def sparse_tensors(count: int) -> onnx.ModelProto:
    model = onnx.parser.parse_model(CONVOLUTION)
    for index in range(count):
        model.graph.sparse_initializer.append(
            onnx.SparseTensorProto(
                values=numpy_helper.from_array(np.float32([1]), f"s{index}"),
                indices=numpy_helper.from_array(np.array([0]), f"i{index}"),
                dims=[2**24],
            )
        )
    return model


def test_a_file_that_grows_in_memory_is_one_line(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(small_messages(4_000_000))
    with pytest.raises(ModelError, match=r"model\.onnx': its import took more memory than"):
        import_model(path, limits=Limits(memory_bytes=100 * MIB), isolated=True)


def test_sparse_tensors_that_grow_are_one_line(save):
    path = save(sparse_tensors(20))
    with pytest.raises(ModelError, match="more memory than allowed, 200 MiB beside the file"):
        import_model(path, limits=Limits(memory_bytes=200 * MIB), isolated=True)


def test_folding_that_takes_too_long_is_one_line(save):
    square = numpy_helper.from_array(np.ones((2000, 2000), np.int64), "a")
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["a", "a"], ["m"]),
            helper.make_node("ReduceMax", ["m"], ["r"], keepdims=0),
            helper.make_node("Add", ["x", "r"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.INT64, [1])],
        [helper.make_tensor_value_info("y", TensorProto.INT64, [1])],
        [square],
    )
    path = save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))
    begin = time.monotonic()
    with pytest.raises(ModelError, match=r"more time or memory than allowed \(SIGXCPU\)"):
        import_model(path, limits=Limits(cpu_s=0), isolated=True)
    assert time.monotonic() - begin < 120


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", r"crashed \(SIGSEGV\)"),
        ("import os; os.abort()", r"crashed \(SIGABRT\)"),
        (
            "import os, sys; print('std::bad_alloc', file=sys.stderr); sys.stderr.flush();"
            "os.abort()",
            "more memory than allowed",
        ),
        ("import sys; sys.exit('no such library')", "code 1 no such library"),
        ("print('nonsense')", "code 0"),
        ('print(\'{"kind": "done"}\')', "left no model"),
    ],
)
def test_a_process_that_dies_is_one_line(save, monkeypatch, program, message):
    monkeypatch.setattr(parent, "_PROGRAM", program)
    with pytest.raises(ModelError, match=message) as error:
        import_model(save(CONVOLUTION), isolated=True)
    assert "\n" not in str(error.value)


def test_a_process_that_waits_for_ever_is_ended(save, monkeypatch):
    monkeypatch.setattr(parent, "_PROGRAM", "import time; time.sleep(3600)")
    monkeypatch.setattr(parent, "WAIT_FACTOR", 0.1)
    with pytest.raises(ModelError, match="did not end in"):
        import_model(save(CONVOLUTION), limits=Limits(cpu_s=1), isolated=True)


def test_modules_beside_the_model_are_not_loaded(save, monkeypatch):
    path: Path = save(CONVOLUTION)
    (path.parent / "numpy.py").write_text("raise SystemExit('a stranger\\'s numpy')")
    monkeypatch.chdir(path.parent)
    assert len(import_model(path.name, isolated=True).graph) == 5


def test_a_file_that_was_damaged_on_the_way_is_refused(tmp_path):
    path = tmp_path / "draft"
    for content in (b"x", struct.pack("<Q", 2**40) + b"abc", bytes(4096)):
        path.write_bytes(content)
        with path.open("rb") as file, pytest.raises(ModelError):
            read_draft(file, Limits())


def test_models_are_isolated_unless_they_are_trusted(save, monkeypatch):
    monkeypatch.setattr(parent, "_PROGRAM", "import os; os.abort()")
    path = save(CONVOLUTION)
    assert import_model(path) is not None  # the tests trust their models
    monkeypatch.delenv(TRUSTED)
    with pytest.raises(ModelError, match="crashed"):
        import_model(path)
    with pytest.raises(ModelError, match="crashed"):
        inspect_model(path)
    monkeypatch.setattr(pipeline, "IS_POSSIBLE", False)  # a system without such processes
    assert import_model(path) is not None
