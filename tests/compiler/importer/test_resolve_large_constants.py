"""What large constants take: folding is capped, weights are copied once, bombs are refused."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from tests.compiler.importer.model_text import text

from octavo.compiler.importer import Limits


def test_constants_that_would_explode_are_computed_at_run_time(imported, op_types):
    original = text(
        "float[2] x",
        "float[2] y",
        "big = Expand(k, shape) s = ReduceSum<keepdims=0>(big) y = Add(x, s)",
        "float k = {0.5}, int64[2] shape = {5000, 5000}",
    )
    assert op_types(imported(original)) == ["Expand", "ReduceSum", "Add"]


def test_sum_of_folded_bytes_is_capped(imported, op_types):
    parts = " ".join(f"t{i} = Expand(k, shape)" for i in range(4))
    names = ", ".join(f"t{i}" for i in range(4))
    original = text(
        "float[1000] x", "float[1000] y", f"{parts} s = Sum({names}) y = Add(x, s)",
        "float k = {0.5}, int64[1] shape = {1000}",
    )  # fmt: skip
    assert op_types(imported(original)) == ["Add"]
    limited = imported(original, limits=Limits(folded_bytes=16_000))
    assert op_types(limited) == ["Expand", "Expand", "Sum", "Add"]


def test_large_weights_are_not_copied_again_and_again(tmp_path):
    """Importing 64 MB of weights allocates the file, the message and one array of each."""
    import subprocess
    import sys

    weight = np.zeros((4096, 4096), np.float32)
    proto = onnx.parser.parse_model(
        text("float[1,4096] x", "float[1,4096] y", "y = MatMul(x, w)")
    )
    proto.graph.initializer.append(numpy_helper.from_array(weight, "w"))
    path = tmp_path / "big.onnx"
    path.write_bytes(proto.SerializeToString())
    script = f"""
import resource
from octavo.compiler.importer import import_model
import_model({str(path.parent / "small.onnx")!r})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
import_model({str(path)!r})
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / {weight.nbytes})
"""
    del proto.graph.initializer[:]
    small = text("float[2] x", "float[2] y", "y = Neg(x)")
    (tmp_path / "small.onnx").write_bytes(onnx.parser.parse_model(small).SerializeToString())
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    # file bytes, message, array: 3 copies at the peak, and half a copy of slack
    assert float(done.stdout) < 3.5


@pytest.mark.parametrize(
    "nodes",
    [
        "c = ConstantOfShape(size)",
        "c = Expand(one, size)",
        "c = Tile(one, size)",
        "r = Reshape(one, four) big = Resize(r, , scales) c = Flatten<axis=0>(big)",
        "h = Expand(one, half) c = Concat<axis=0>(h, h)",
    ],
    ids=["ConstantOfShape", "Expand", "Tile", "Resize", "of_fixed_values"],
)
def test_a_huge_constant_of_a_few_bytes_is_refused(refused, nodes):
    model = f"""<ir_version: 8, opset_import: ["" : 18]>
        g (float[1] x) => (float[1] y)
        <int64[1] size = {{134217728}}, int64[1] half = {{67108864}}, float[1] one = {{1}},
         int64[4] four = {{1,1,1,1}}, float[4] scales = {{1,1,8192,16384}}> {{
            {nodes}
            m = ReduceMax<keepdims=0>(c)
            y = Add(x, m)
        }}"""
    refused(
        model, r"makes a constant of 536870912 bytes out of \d numbers; more than 268435456"
    )


def test_a_large_constant_of_as_many_numbers_is_left_to_the_program(imported, op_types):
    model = imported("""<ir_version: 8, opset_import: ["" : 13]>
        g (float[8] x) => (float[8] y)
        <int8[8] w = {1,2,3,4,5,6,7,8}, float scale = {0.5}> {
            d = DequantizeLinear(w, scale)
            two = Concat<axis=0>(d, d)
            m = ReduceMax<keepdims=0>(two)
            y = Add(x, m)
        }""", limits=Limits(folded_bytes=16))  # fmt: skip
    assert op_types(model) == ["DequantizeLinear", "Concat", "ReduceMax", "Add"]
