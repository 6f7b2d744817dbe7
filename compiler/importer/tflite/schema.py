"""Numbers of the TFLite schema: operators, element types, options and their fields.

Source: https://github.com/google-ai-edge/LiteRT, tflite/converter/schema/schema.fbs. Tests
compare them with the schema that ``ai-edge-litert`` brings.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import onnx

OPERATORS = tuple(
    """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE
    EMBEDDING_LOOKUP FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D
    LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU
    RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH
    CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD
    UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN
    SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN
    EXP TOPK_V2 SPLIT LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM
    ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN
    TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT
    SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND
    LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD
    RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V
    UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG
    QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4
    NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL
    PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL
    COMPLEX_ABS HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL
    CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS
    RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE
    RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM ATAN2
    UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC
    STABLEHLO_ADD STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE
    STABLEHLO_CLAMP STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION
    STABLEHLO_SLICE STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS STABLEHLO_AND
    STABLEHLO_COSINE STABLEHLO_EXPONENTIAL STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM
    STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER STABLEHLO_REMAINDER STABLEHLO_RSQRT
    STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER STABLEHLO_COMPARE
    STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD
    STABLEHLO_IOTA STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT
    STABLEHLO_WHILE STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR
    REDUCE_WINDOW STABLEHLO_COMPOSITE STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
    """.split()  # noqa: SIM905 (a list of names is easier to read without the quotes)
)

_T = onnx.TensorProto


@dataclass(frozen=True)
class ElementType:
    """An element type of tensors.

    Attributes:
        name: As in the schema.
        dtype: How constants are handed on.
        onnx: The same type in ONNX.
        num_bits: How wide an element is stored.
    """

    name: str
    dtype: Any
    onnx: int
    num_bits: int


ELEMENT_TYPES = {
    0: ElementType("FLOAT32", np.float32, _T.FLOAT, 32),
    1: ElementType("FLOAT16", np.float16, _T.FLOAT16, 16),
    2: ElementType("INT32", np.int32, _T.INT32, 32),
    3: ElementType("UINT8", np.uint8, _T.UINT8, 8),
    4: ElementType("INT64", np.int64, _T.INT64, 64),
    6: ElementType("BOOL", np.bool_, _T.BOOL, 8),
    7: ElementType("INT16", np.int16, _T.INT16, 16),
    9: ElementType("INT8", np.int8, _T.INT8, 8),
    17: ElementType("INT4", np.int8, _T.INT8, 4),
}


class Activation(IntEnum):
    """What an operator applies to its result."""

    NONE = 0
    RELU = 1
    RELU_N1_TO_1 = 2
    RELU6 = 3
    TANH = 4
    SIGN_BIT = 5


class Padding(IntEnum):
    """How much is added around an input."""

    SAME = 0
    VALID = 1


@dataclass(frozen=True)
class Field:
    """A scalar field of an options table: its number, format and default."""

    slot: int
    kind: str  # format character of struct
    default: float = 0


def _fields(names: str, kind: str = "b", start: int = 0) -> dict[str, Field]:
    return {name: Field(start + i, kind) for i, name in enumerate(names.split())}


_ACTIVATION = _fields("fused_activation_function")
_STRIDES = _fields("padding") | _fields("stride_w stride_h", "i", 1)
_AXIS = _fields("axis", "i")

# By operator: number in the union of options, and the fields that are read.
OPTIONS: dict[str, tuple[int, dict[str, Field]]] = {
    "CONV_2D": (
        1,
        _STRIDES
        | _fields("fused_activation_function", start=3)
        | {"dilation_w_factor": Field(4, "i", 1), "dilation_h_factor": Field(5, "i", 1)},
    ),
    "DEPTHWISE_CONV_2D": (
        2,
        _STRIDES
        | _fields("depth_multiplier", "i", 3)
        | _fields("fused_activation_function", start=4)
        | {"dilation_w_factor": Field(5, "i", 1), "dilation_h_factor": Field(6, "i", 1)},
    ),
    "AVERAGE_POOL_2D": (
        5,
        _STRIDES
        | _fields("filter_width filter_height", "i", 3)
        | _fields("fused_activation_function", start=5),
    ),
    "FULLY_CONNECTED": (8, _fields("fused_activation_function weights_format keep_num_dims")),
    "SOFTMAX": (9, {"beta": Field(0, "f")}),
    "CONCATENATION": (10, _AXIS | _fields("fused_activation_function", start=1)),
    "ADD": (11, _ACTIVATION),
    "RESIZE_BILINEAR": (15, _fields("align_corners half_pixel_centers", start=2)),
    "MUL": (21, _ACTIVATION),
    "GATHER": (23, _fields("axis batch_dims", "i")),
    "MEAN": (27, _fields("keep_dims")),
    "SUB": (28, _ACTIVATION),
    "DIV": (29, _ACTIVATION),
    "STRIDED_SLICE": (
        32,
        _fields("begin_mask end_mask ellipsis_mask new_axis_mask shrink_axis_mask", "i")
        | _fields("offset", start=5),
    ),
    "SPLIT": (35, _fields("num_splits", "i")),
    "TRANSPOSE_CONV": (
        49,
        _STRIDES | _fields("fused_activation_function", start=3),
    ),
    "PACK": (59, _fields("values_count axis", "i")),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (
        71,
        _fields("fused_activation_function")
        | _fields("cell_clip proj_clip", "f", 1)
        | _fields("time_major asymmetric_quantize_inputs diagonal_recurrent_tensors", start=3),
    ),
    "RESIZE_NEAREST_NEIGHBOR": (74, _fields("align_corners half_pixel_centers")),
    "LEAKY_RELU": (75, {"alpha": Field(0, "f")}),
    "BATCH_MATMUL": (101, _fields("adj_x adj_y")),
    "GELU": (116, _fields("approximate")),
}
OPTIONS["MAX_POOL_2D"] = OPTIONS["AVERAGE_POOL_2D"]
for _name in ("SUM", "REDUCE_MAX", "REDUCE_MIN"):
    OPTIONS[_name] = OPTIONS["MEAN"]
