"""Every operator with an integer kernel, alone, against onnxruntime's run of the QDQ model.

The contract: at most one quantization step apart, and at least 99% of the values equal. The
only difference is float32 rounding before a tie; onnxruntime computes in float, Octavo in
integers.
"""

import numpy as np
import pytest
from onnx import helper

IMAGE = (1, 8, 11, 9)
TOKENS = (1, 7, 32)
RNG = np.random.default_rng(0)


def w(*shape):
    fan_in = max(1, int(np.prod(shape[1:])))
    return (RNG.normal(size=shape) / np.sqrt(fan_in)).astype(np.float32)


def node(op_type, inputs, output="y", **attributes):
    return helper.make_node(
        op_type, inputs, [output], name=f"{op_type.lower()}_{output}", **attributes
    )


CONV = {"W": w(24, 8, 3, 3), "B": w(24)}
CASES = {
    "conv": ([node("Conv", ["x", "W", "B"], pads=[1, 1, 1, 1])], CONV, IMAGE),
    "conv_no_bias": ([node("Conv", ["x", "W"])], {"W": w(5, 8, 3, 3)}, IMAGE),
    "conv_strided": (
        [node("Conv", ["x", "W", "B"], pads=[0, 1, 1, 2], strides=[2, 3])],
        CONV,
        IMAGE,
    ),
    "conv_dilated": ([node("Conv", ["x", "W", "B"], dilations=[2, 2])], CONV, IMAGE),
    "conv_same": (
        [node("Conv", ["x", "W", "B"], auto_pad="SAME_UPPER", strides=[2, 2])],
        CONV,
        IMAGE,
    ),
    "conv_grouped": ([node("Conv", ["x", "W"], group=4)], {"W": w(12, 2, 3, 3)}, IMAGE),
    "conv_depthwise": (
        [node("Conv", ["x", "W"], group=8, pads=[1, 1, 1, 1])],
        {"W": w(8, 1, 3, 3)},
        IMAGE,
    ),
    "conv_depthwise_multiplier": (
        [node("Conv", ["x", "W"], group=8)],
        {"W": w(16, 1, 3, 3)},
        IMAGE,
    ),
    "conv_1d": (
        [node("Conv", ["x", "W"], pads=[2, 0], strides=[2])],
        {"W": w(20, 8, 5)},
        (2, 8, 33),
    ),
    "conv_relu": ([node("Conv", ["x", "W", "B"], "a"), node("Relu", ["a"])], CONV, IMAGE),
    "conv_relu6": (
        [node("Conv", ["x", "W", "B"], "a"), node("Clip", ["a", "low", "high"])],
        {**CONV, "low": np.float32(0), "high": np.float32(0.8)},
        IMAGE,
    ),
    "conv_residual_relu": (
        [
            node("Conv", ["x", "V"], "a", pads=[1, 1, 1, 1]),
            node("Add", ["a", "x"], "b"),
            node("Relu", ["b"]),
        ],
        {"V": w(8, 8, 3, 3)},
        IMAGE,
    ),
    "deconv": (
        [node("ConvTranspose", ["x", "W", "B"], strides=[2, 2])],
        {"W": w(8, 12, 2, 2), "B": w(12)},
        IMAGE,
    ),
    "deconv_padded": (
        [
            node(
                "ConvTranspose",
                ["x", "W"],
                strides=[2, 3],
                pads=[1, 1, 0, 1],
                output_padding=[1, 0],
            )
        ],
        {"W": w(8, 12, 3, 4)},
        IMAGE,
    ),
    "deconv_grouped": (
        [node("ConvTranspose", ["x", "W"], strides=[2, 2], group=2)],
        {"W": w(8, 3, 3, 3)},
        IMAGE,
    ),
    "deconv_1d": (
        [node("ConvTranspose", ["x", "W"], strides=[3])],
        {"W": w(8, 6, 4)},
        (1, 8, 13),
    ),
    "gemm": ([node("Gemm", ["x", "W", "B"], transB=1)], {"W": w(10, 70), "B": w(10)}, (5, 70)),
    "gemm_untransposed": ([node("Gemm", ["x", "W"])], {"W": w(70, 17).T.copy().T}, (5, 70)),
    "matmul_constant": ([node("MatMul", ["x", "W"])], {"W": w(32, 48)}, TOKENS),
    "matmul_bias_relu": (
        [node("MatMul", ["x", "W"], "a"), node("Add", ["a", "B"], "b"), node("Relu", ["b"])],
        {"W": w(32, 48), "B": w(48)},
        TOKENS,
    ),
    "matmul_dynamic": (
        [node("Transpose", ["x"], "t", perm=[0, 2, 1]), node("MatMul", ["x", "t"])],
        {},
        TOKENS,
    ),
    "add": ([node("Sigmoid", ["x"], "a"), node("Add", ["x", "a"])], {}, IMAGE),
    "sub": ([node("Sigmoid", ["x"], "a"), node("Sub", ["a", "x"])], {}, IMAGE),
    "mul": (
        [
            node("Tanh", ["x"], "a"),
            node("GlobalAveragePool", ["x"], "g"),
            node("Mul", ["a", "g"]),
        ],
        {},
        IMAGE,
    ),
    "add_constant": ([node("Add", ["x", "B"])], {"B": w(8, 1, 1)}, IMAGE),
    "add_relu": (
        [node("Sigmoid", ["x"], "a"), node("Sub", ["a", "x"], "b"), node("Relu", ["b"])],
        {},
        IMAGE,
    ),
    "sigmoid": ([node("Sigmoid", ["x"])], {}, IMAGE),
    "tanh": ([node("Tanh", ["x"])], {}, TOKENS),
    "gelu": ([node("Gelu", ["x"])], {}, TOKENS),
    "hard_swish": ([node("HardSwish", ["x"])], {}, IMAGE),
    "silu": ([node("Sigmoid", ["x"], "a"), node("Mul", ["x", "a"])], {}, IMAGE),
    "elu": ([node("Elu", ["x"], alpha=0.7)], {}, IMAGE),
    "leaky_relu": ([node("LeakyRelu", ["x"])], {}, IMAGE),
    "max_pool": (
        [
            node("Sigmoid", ["x"], "a"),
            node("MaxPool", ["a"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        ],
        {},
        IMAGE,
    ),
    "max_pool_ceil": (
        [
            node("Sigmoid", ["x"], "a"),
            node("MaxPool", ["a"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        ],
        {},
        IMAGE,
    ),
    "average_pool": (
        [node("AveragePool", ["x"], kernel_shape=[3, 2], strides=[2, 1], pads=[1, 1, 1, 0])],
        {},
        IMAGE,
    ),
    "average_pool_with_pad": (
        [
            node(
                "AveragePool",
                ["x"],
                kernel_shape=[3, 3],
                pads=[1, 1, 1, 1],
                count_include_pad=1,
            )
        ],
        {},
        IMAGE,
    ),
    "global_average_pool": ([node("GlobalAveragePool", ["x"])], {}, IMAGE),
    "reduce_mean_last": (
        [node("ReduceMean", ["x", "axes"])],
        {"axes": np.array([-1])},
        TOKENS,
    ),
    "reduce_mean_spatial": (
        [node("ReduceMean", ["x", "axes"], keepdims=0)],
        {"axes": np.array([2, 3])},
        IMAGE,
    ),
    "concat": ([node("Sigmoid", ["x"], "a"), node("Concat", ["x", "a"], axis=1)], {}, IMAGE),
    "pad": (
        [node("Sigmoid", ["x"], "a"), node("Pad", ["a", "pads"])],
        {"pads": np.array([0, 0, 1, 2, 0, 0, 0, 1])},
        IMAGE,
    ),
    "slice": (
        [node("Sigmoid", ["x"], "a"), node("Slice", ["a", "s", "e", "ax", "st"])],
        {
            "s": np.array([1, -1]),
            "e": np.array([9, -100]),
            "ax": np.array([2, 3]),
            "st": np.array([2, -1]),
        },
        IMAGE,
    ),
    "transpose": (
        [node("Sigmoid", ["x"], "a"), node("Transpose", ["a"], perm=[0, 2, 3, 1])],
        {},
        IMAGE,
    ),
    "flatten": ([node("Sigmoid", ["x"], "a"), node("Flatten", ["a"])], {}, IMAGE),
    "depth_to_space": (
        [node("Sigmoid", ["x"], "a"), node("DepthToSpace", ["a"], blocksize=2)],
        {},
        IMAGE,
    ),
    "space_to_depth": (
        [node("Sigmoid", ["x"], "a"), node("SpaceToDepth", ["a"], blocksize=2)],
        {},
        (1, 8, 6, 4),
    ),
    "gather": (
        [node("Sigmoid", ["x"], "a"), node("Gather", ["a", "i"], axis=1)],
        {"i": np.array([5, 0, -1, 5])},
        TOKENS,
    ),
    "resize_nearest": (
        [
            node("Sigmoid", ["x"], "a"),
            node(
                "Resize",
                ["a", "", "scales"],
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            ),
        ],
        {"scales": np.array([1, 1, 2, 2], np.float32)},
        IMAGE,
    ),
    # Not twice the size: there one result in sixteen is an exact tie, which float arithmetic
    # resolves by its rounding noise.
    "resize_linear": (
        [node("Resize", ["x", "", "", "sizes"], mode="linear")],
        {"sizes": np.array([1, 8, 17, 20])},
        IMAGE,
    ),
    "resize_align_corners": (
        [
            node(
                "Resize",
                ["x", "", "", "sizes"],
                mode="linear",
                coordinate_transformation_mode="align_corners",
            )
        ],
        {"sizes": np.array([1, 8, 5, 14])},
        IMAGE,
    ),
    "softmax": ([node("Softmax", ["x"], axis=-1)], {}, TOKENS),
    "softmax_channels": ([node("Softmax", ["x"], axis=1)], {}, IMAGE),
    "layer_norm": (
        [node("LayerNormalization", ["x", "S", "B"])],
        {"S": 1 + w(32), "B": w(32)},
        TOKENS,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_region_matches_onnxruntime(differential, name):
    nodes, initializers, shape = CASES[name]
    found = differential(nodes, initializers, shape)
    assert found.worst_steps <= 1.001
    assert found.equal_share >= 0.99
    assert all(s["placement"] == "int8" for s in found.steps), found.steps


@pytest.mark.parametrize(
    "name",
    [
        "conv_residual_relu",
        "deconv",
        "gemm",
        "matmul_dynamic",
        "add",
        "mul",
        "average_pool",
        "global_average_pool",
        "softmax",
        "layer_norm",
    ],
)
def test_integer_only_matches_onnxruntime(differential, name):
    nodes, initializers, shape = CASES[name]
    found = differential(nodes, initializers, shape, integer_only=True)
    assert found.worst_steps <= 1.001
    assert found.equal_share >= 0.99


@pytest.mark.parametrize(
    "name",
    [
        "conv",
        "conv_depthwise",
        "conv_residual_relu",
        "conv_1d",
        "deconv_padded",
        "gemm",
        "matmul_bias_relu",
        "matmul_dynamic",
        "max_pool",
        "concat",
        "pad",
    ],
)
def test_float_matches_onnxruntime(differential, name):
    nodes, initializers, shape = CASES[name]
    found = differential(nodes, initializers, shape, float_only=True)
    assert all(s["placement"] == "float32" for s in found.steps)
    # Sums of at most 100 products in another order: 100 roundings of 2**-24 of the largest.
    largest = max(1.0, float(np.abs(found.float32).max()))
    np.testing.assert_allclose(found.ours, found.float32, rtol=0, atol=100 * 2**-24 * largest)
