"""Operands that do not fit each other, which onnx's shape inference lets pass."""

import pytest


def ones(count: int) -> str:
    return ",".join("1" for _ in range(count))


def text(inputs: str, body: str, constants: str) -> str:
    return f"""<ir_version: 8, opset_import: ["" : 21]>
    g ({inputs}) => (float y) <{constants}> {{ {body} }}"""


W4233 = f"float[4,2,3,3] w = {{{ones(72)}}}"
LSTM = f"float[1,20,3] w = {{{ones(60)}}}, float[1,20,5] r = {{{ones(100)}}}"

REFUSED = {
    "conv channels": ("float[1,3,8,8] x", "y = Conv(x, w)", W4233, "does not fit 3 input"),
    "conv groups": ("float[1,4,8,8] x", "y = Conv<group=3>(x, w)", W4233, "in 3 groups"),
    "conv no group": ("float[1,4,8,8] x", "y = Conv<group=0>(x, w)", W4233, "in 0 groups"),
    "conv outputs": ("float[1,4,8,8] x", "y = Conv<group=2>(x, w)",
                     f"float[3,2,3,3] w = {{{ones(54)}}}", "in 2 groups"),
    "conv bias": ("float[1,2,8,8] x", "y = Conv(x, w, b)",
                  W4233 + ", float[3] b = {1,1,1}", r"'b' has shape \[3\]; expected \[4\]"),
    "conv kernel": ("float[1,2,8,8] x", "y = Conv<kernel_shape=[5,5]>(x, w)", W4233,
                    "kernel_shape"),
    "conv window": ("float[1,2,2,2] x", "y = Conv(x, w)", W4233, "smaller than the window"),
    "transposed conv": ("float[1,3,8,8] x", "y = ConvTranspose(x, w)", W4233,
                        "does not fit 3 input"),
    "transposed bias": ("float[1,4,8,8] x", "y = ConvTranspose(x, w, b)",
                        W4233 + ", float[4] b = {1,1,1,1}", r"expected \[2\]"),
    "instance norm": ("float[1,3,8] x", "y = InstanceNormalization(x, s, s)",
                      "float[4] s = {1,1,1,1}", r"expected \[3\]"),
    "layer norm": ("float[1,3,8] x", "y = LayerNormalization(x, s)", "float[4] s = {1,1,1,1}",
                   "does not broadcast"),
    "gemm": ("float[2,3] x", "y = Gemm(x, w, c)",
             f"float[3,5] w = {{{ones(15)}}}, float[4] c = {{1,1,1,1}}", "does not broadcast"),
    "gemm enlarged": ("float[1,3] x", "y = Gemm(x, w, c)",
                      f"float[3,2] w = {{{ones(6)}}}, float[2,2] c = {{1,1,1,1}}",
                      "does not broadcast"),
    "lstm": ("float[7,2,4] x", "y = LSTM<hidden_size=5>(x, w, r)", LSTM,
             r"expected \[1, 20, 4\]"),
    "lstm hidden": ("float[7,2,3] x", "y = LSTM<hidden_size=6>(x, w, r)", LSTM,
                    r"expected \[1, 24, 3\]"),
    "lstm bias": ("float[7,2,3] x", "y = LSTM<hidden_size=5>(x, w, r, b)",
                  LSTM + ", float[1,20] b = {" + ones(20) + "}", r"expected \[1, 40\]"),
    "lstm directions": ("float[7,2,3] x",
                        'y = LSTM<hidden_size=5, direction="bidirectional">(x, w, r)', LSTM,
                        r"expected \[2, 20, 3\]"),
    "prelu": ("float[1,3,8] x", "y = PRelu(x, s)", "float[4] s = {1,1,1,1}",
              "does not broadcast"),
    "gather": ("float[3,8] x", "y = Gather(x, i)", "int64[2] i = {0, 3}",
               "index 3 is outside"),
    "gather below": ("float[3,8] x", "y = Gather(x, i)", "int64[2] i = {0, -4}", "index -4"),
    "gather elements": ("float[3] x", "y = GatherElements(x, i)", "int64[2] i = {0, 9}",
                        "index 9"),
    "gather nd batch": ("uint8[2,2] x", "y = GatherND<batch_dims=-2147483648>(x, i)",
                        "int64[2] i = {1, 1}", "batch_dims -2147483648"),
    "axis": ("float[3,8] x", "y = Gather<axis=9>(x, i)", "int64[2] i = {0, 1}", "axis 9"),
    "gather of constants": ("float[1] x", "y = GatherElements(c, i)",
                            "float[2] c = {1, 2}, int64[1] i = {4611686018427387904}",
                            "index 4611686018427387904"),
    "gather nd": ("float[3,8] x", "y = GatherND(x, i)", "int64[1,2] i = {1, 8}", "index 8"),
    "scatter": ("float[3] x", "y = ScatterElements(x, i, u)",
                "int64[1] i = {7}, float[1] u = {1}", "index 7"),
    "scatter nd": ("float[3,2] x", "y = ScatterND(x, i, u)",
                   "int64[1,2] i = {0, 5}, float[1] u = {1}", "index 5"),
    "dequantize": ("uint8[3,8] x", "y = DequantizeLinear<axis=0>(x, s)",
                   "float[4] s = {1,1,1,1}", r"expected \[\] or \[1\] or \[3\]"),
    "quantize": ("float[3,8] x", "y = QuantizeLinear<axis=0>(x, s, z)",
                 "float[3] s = {1,1,1}, uint8[2] z = {1,1}", r"'z' has shape \[2\]"),
    "reshape": ("float[3,8] x", "y = Reshape(x, s)", "int64[1] s = {25}", "as many elements"),
    "pool": ("float[1,1,8] x", "y = AveragePool<kernel_shape=[2], pads=[5,5]>(x)", "",
             "not smaller than the window"),
    "resize": ("float[1,1,4,4] x", "y = Resize(x, , s)", "float[4] s = {1, 1, 0.1, 2}",
               "smaller than the window"),
    "depth to space": ("float[1,3,4,4] x", "y = DepthToSpace<blocksize=2>(x)", "",
                       "blocksize 2 does not divide"),
    "integer matmul": ("uint8[2,3] x", "y = MatMulInteger(x, w, z, v)",
                       f"int8[3,4] w = {{{ones(12)}}}, uint8 z = {{1}}, int8[3] v = {{1,1,1}}",
                       r"expected \[\] or \[1\] or \[4\]"),
    "lrn": ("float[1,3,4] x", "y = LRN<size=0>(x)", "", "size must be at least 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_operands_that_do_not_fit_are_refused(refused, case):
    inputs, body, constants, message = REFUSED[case]
    refused(text(inputs, body, constants), f"'y': .*{message}")


ACCEPTED = {
    "grouped conv": ("float[1,4,8,8] x", "y = Conv<group=2>(x, w)", W4233),
    "transposed conv": ("float[1,4,8,8] x", "y = ConvTranspose<group=2>(x, w, b)",
                        W4233 + ", float[4] b = {1,1,1,1}"),
    "negative indices": ("float[3,8] x", "y = Gather<axis=-1>(x, i)", "int64[2] i = {-8, 7}"),
    "batched nd": ("float[2,3,8] x", "y = GatherND<batch_dims=1>(x, i)",
                   "int64[2,1] i = {0, -3}"),
    "scalar gemm bias": ("float[2,3] x", "y = Gemm(x, w, c)",
                         f"float[3,5] w = {{{ones(15)}}}, float c = {{1}}"),
    "column gemm bias": ("float[2,3] x", "y = Gemm(x, w, c)",
                         f"float[3,5] w = {{{ones(15)}}}, float[2,1] c = {{1, 1}}"),
    "layer norm over two axes": ("float[1,2,3] x", "y = LayerNormalization<axis=1>(x, s)",
                                 f"float[2,3] s = {{{ones(6)}}}"),
    "empty input": ("float[0,3,8] x", "y = MaxPool<kernel_shape=[2]>(x)", ""),
    "blocked weights": ("float[4] x",
                        "d = DequantizeLinear<axis=1, block_size=2>(q, s) y = Add(d, x)",
                        f"int8[3,4] q = {{{ones(12)}}}, float[3,2] s = {{{ones(6)}}}"),
}  # fmt: skip


@pytest.mark.parametrize("case", ACCEPTED)
def test_operands_that_fit_are_accepted(imported, case):
    inputs, body, constants = ACCEPTED[case]
    imported(text(inputs, body, constants))
