"""Model summaries: multiply-accumulates, parameters, and the time to the first answer."""

import resource
import subprocess
import sys

import pytest

from octavo.compiler.importer import inspect_model

HEADER = '<ir_version: 10, opset_import: ["" : 21]>'


def zeros(count: int) -> str:
    return ",".join("0" for _ in range(count))


CASES = {
    # 4 * 8 * 8 outputs, 3 / 1 * 3 * 3 products each
    "Conv": ("float[1,3,8,8] x", f"float[4,3,3,3] w = {{{zeros(108)}}}",
             "y = Conv<pads=[1,1,1,1]>(x, w)", 4 * 8 * 8 * 27),
    "depthwise": ("float[1,6,8,8] x", f"float[6,1,3,3] w = {{{zeros(54)}}}",
                  "y = Conv<pads=[1,1,1,1], strides=[2,2], group=6>(x, w)", 6 * 4 * 4 * 9),
    # every one of the 3 * 4 * 4 inputs goes to 5 channels of 2 * 2
    "ConvTranspose": ("float[1,3,4,4] x", f"float[3,5,2,2] w = {{{zeros(60)}}}",
                      "y = ConvTranspose<strides=[2,2]>(x, w)", 48 * 5 * 4),
    "Gemm": ("float[2,3] x", f"float[4,3] w = {{{zeros(12)}}}", "y = Gemm<transB=1>(x, w)",
             24),
    "Gemm transposed": ("float[3,2] x", f"float[4,3] w = {{{zeros(12)}}}",
                        "y = Gemm<transA=1, transB=1>(x, w)", 24),
    "MatMul": ("float[2,5,3] x", f"float[3,4] w = {{{zeros(12)}}}", "y = MatMul(x, w)",
               2 * 5 * 4 * 3),
    "vector": ("float[3] x", f"float[3] w = {{{zeros(3)}}}", "y = MatMul(x, w)", 3),
    # 7 steps, batch 2, 4 gates of 5 units over 3 inputs and 5 states
    "LSTM": ("float[7,2,3] x", f"float[1,20,3] w = {{{zeros(60)}}},"
             f"float[1,20,5] r = {{{zeros(100)}}}", "y = LSTM<hidden_size=5>(x, w, r)",
             7 * 2 * 20 * 8),
    "bidirectional": ("float[7,2,3] x", f"float[2,15,3] w = {{{zeros(90)}}},"
                      f"float[2,15,5] r = {{{zeros(150)}}}",
                      'y = GRU<hidden_size=5, direction="bidirectional">(x, w, r)',
                      7 * 2 * 2 * 15 * 8),
    "Relu": ("float[3] x", "", "y = Relu(x)", 0),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_macs(save, imported, case):
    inputs, constants, body, macs = CASES[case]
    text = f"{HEADER} g ({inputs}) => (float y) <{constants}> {{ {body} }}"
    summary = inspect_model(save(text))
    assert summary.macs == summary.nodes[0].macs == macs
    assert inspect_model(imported(text)) == summary


def test_parameters_count_once_in_the_total(save, imported):
    text = f"""{HEADER} g (float[1,8] x) => (float[1,8] y)
    <float[8] w = {{{zeros(8)}}}, int8[8] q = {{{zeros(8)}}}, float s = {{0.5}}>
    {{ a = Mul(x, w) b = Add(a, w) d = DequantizeLinear(q, s) [last] y = Add(b, d) }}"""
    summary = inspect_model(save(text))
    # w, q, s and the zero point that import makes explicit
    assert summary.parameter_bytes == 32 + 8 + 4 + 1
    assert summary.num_parameters == 18
    assert [node.parameter_bytes for node in summary.nodes] == [32, 32, 13, 0]
    assert summary.nodes[-1].name == "last"
    assert [(t.name, t.dtype, t.shape) for t in summary.inputs] == [("x", "float32", (1, 8))]
    assert summary.op_counts() == {"Add": 2, "DequantizeLinear": 1, "Mul": 1}
    assert inspect_model(imported(text)) == summary


def test_shapes_can_be_given(save):
    path = save(f"{HEADER} g (float[N,3] x) => (float[N,3] y) {{ y = Relu(x) }}")
    assert inspect_model(path, shapes={"x": (7, 3)}).outputs[0].shape == (7, 3)


def test_inspect_loads_neither_runtime_nor_compiler_and_answers_at_once(save):
    path = save(f"{HEADER} g (float[1,3] x) => (float[1,3] y) {{ y = Relu(x) }}")
    script = f"""
import sys
from octavo.compiler.importer import inspect_model
inspect_model({str(path)!r})
slow = {{"onnxruntime", "tvm", "scipy", "sklearn", "onnx_ir", "sympy", "onnx.reference"}}
print(sorted(slow & set(sys.modules)))
"""
    seconds = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        seconds.append(used)
        assert done.stdout.strip() == "[]"
    # the whole command may take half a second, its own imports included; processor time does
    # not count what the neighbours of this test use
    assert min(seconds) < 0.45
