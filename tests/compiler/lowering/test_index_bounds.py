"""Whatever picks elements by indices given at run time fails where one is out of bounds."""

import numpy as np
import onnx
import onnx.parser
import onnxruntime as ort
import pytest

import octavo
from octavo.errors import ArtifactError

HEADER = '<ir_version: 10, opset_import: ["" : 20]> g '
MODELS = {
    "gather_elements": "(float[8,4] x, int64[3,4] i) => (float[3,4] y)"
    " { y = GatherElements<axis=0>(x, i) }",
    "gather_nd": "(float[8,4] x, int64[3,2] i) => (float[3] y) { y = GatherND(x, i) }",
    "gather_nd_batch": "(float[2,8,4] x, int64[2,3,2] i) => (float[2,3] y)"
    " { y = GatherND<batch_dims=1>(x, i) }",
    "scatter_elements": "(float[8,4] x, int64[1,4] i, float[1,4] u) => (float[8,4] y)"
    " { y = ScatterElements<axis=0>(x, i, u) }",
    "scatter_mul": '(float[8,4] x, int64[3,4] i, float[3,4] u) => (float[8,4] y)'
    ' { y = ScatterElements<axis=0, reduction="mul">(x, i, u) }',
    "scatter_nd": "(float[8,4] x, int64[1,1] i, float[1,4] u) => (float[8,4] y)"
    " { y = ScatterND(x, i, u) }",
    "computed": "(float[8,4] x, int64[3,4] i) => (float[3,4] y) <int64 d = {0}>"
    " { j = Add(i, d) y = GatherElements<axis=0>(x, j) }",
    "roi_align": "(float[2,1,8,8] x, float[3,4] r, int64[3] i) => (float[3,1,2,2] y)"
    " { y = RoiAlign<output_height=2, output_width=2>(x, r, i) }",
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_an_index_out_of_bounds_fails_one_run(tmp_path, name):
    path, rng = tmp_path / "net.onnx", np.random.default_rng(0)
    onnx.save(onnx.parser.parse_model(HEADER + MODELS[name]), path)
    octavo.compile(path, "host", tmp_path / "out", float_only=True)
    reference = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    with octavo.load(tmp_path / "out") as session:
        inputs = {
            info.name: rng.random(info.shape, np.float32)
            for info in session.inputs
            if info.name != "i"
        }
        if "r" in inputs:
            inputs["r"][:, 2:] += 4  # boxes have corners in order
        shape = next(info.shape for info in session.inputs if info.name == "i")
        right = {**inputs, "i": np.ones(shape, np.int64)}
        for number in (100, -100, 2**40, -(2**40)):
            wrong = np.ones(shape, np.int64)
            wrong.reshape(-1)[-1] = number
            with pytest.raises(ArtifactError, match=r"a kernel reported a failure: \S"):
                session.run({**inputs, "i": wrong})
            np.testing.assert_allclose(
                session.run(right)["y"], reference.run(None, right)[0], rtol=1e-5)
