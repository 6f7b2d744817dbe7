"""Tensor data: lengths, types and numbers."""

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto

from octavo.compiler.importer import Limits


def with_weight(weight: onnx.TensorProto, op: str = "Add") -> onnx.ModelProto:
    """Return x op w for a weight of shape (2, 3)."""
    model = onnx.parser.parse_model(
        f"""<ir_version: 10, opset_import: ["" : 21]>
        g (float[2,3] x) => (float[2,3] y) {{ y = {op}(x, w) }}"""
    )
    weight.name = "w"
    model.graph.initializer.append(weight)
    return model


def raw(dims: list[int], num_bytes: int, dtype: int = TensorProto.FLOAT) -> onnx.TensorProto:
    return TensorProto(data_type=dtype, dims=dims, raw_data=bytes(num_bytes))


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (raw([2, 3], 23), r"has 23 bytes; shape \[2, 3\] of float needs 24"),
        (raw([2, 3], 25), "has 25 bytes"),
        (raw([2, 3], 0), "has 0 bytes"),
        (raw([2, -3], 24), "negative dimension"),
        (raw([2**31], 4), "at most 2147483647 elements"),
        # wraps around to 4 elements in 64 bits
        (raw([2**62 + 1, 4], 16), "at most 2147483647 elements"),
        # a dimension of 0 must not hide the others
        (raw([0, 2**40, 2**40], 0), "at most 2147483647 elements"),
        (raw([1] * 9, 4), "rank 9; at most 8"),
        (raw([2, 3], 24, 0), "element type undefined"),
        (raw([2, 3], 24, 99), "element type type 99"),
        (raw([2, 3], 24, TensorProto.COMPLEX64), "element type complex64"),
        (TensorProto(data_type=8, dims=[2], string_data=[b"a", b"b"]), "element type string"),
        (TensorProto(data_type=1, dims=[2, 3], float_data=[1.0] * 5), "has 5 values"),
        (TensorProto(data_type=1, dims=[2, 3], int64_data=[1] * 6), "has 0 values"),
        (
            TensorProto(data_type=1, dims=[2, 3], raw_data=bytes(24), float_data=[1.0]),
            "no other data",
        ),
        (TensorProto(data_type=3, dims=[2], int32_data=[1, 300]), "outside its type"),
        (
            TensorProto(data_type=1, dims=[2, 3], segment=TensorProto.Segment(begin=0, end=4)),
            "segments",
        ),
    ],
)
def test_malformed_tensors_are_refused(refused, weight, message):
    assert "'w'" in refused(with_weight(weight), message)


def test_element_limit_is_inclusive(imported, refused):
    model = with_weight(raw([2, 3], 24))
    imported(model, limits=Limits(elements=6))
    refused(model, "at most 5 elements", limits=Limits(elements=5))


@pytest.mark.parametrize("dtype", [TensorProto.INT4, TensorProto.UINT4])
@pytest.mark.parametrize("use_raw", [True, False])
def test_four_bit_weights_are_unpacked(imported, run, dtype, use_raw):
    packed = bytes([0x21, 0x43, 0x05])
    data = {"raw_data": packed} if use_raw else {"int32_data": list(packed)}
    weight = TensorProto(name="w", data_type=dtype, dims=[5], **data)
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 21]>
        g (float[5] x) => (float[5] y) <float s = {2.0}> {
            d = DequantizeLinear(w, s)
            y = Add(x, d)
        }"""
    )
    model.graph.initializer.append(weight)
    result = run(imported(model), {"x": np.zeros(5, np.float32)})[0]
    np.testing.assert_array_equal(result, [2, 4, 6, 8, 10])


def test_bfloat16_and_float16_weights_keep_their_type(imported):
    for dtype in (ml_dtypes.bfloat16, np.float16):
        array = np.arange(6).reshape(2, 3).astype(dtype)
        weight = onnx.numpy_helper.from_array(array, "w")
        model = onnx.parser.parse_model(
            """<ir_version: 10, opset_import: ["" : 21]>
            g (float[2,3] x) => (float[2,3] y) { a = Cast<to=1>(w) y = Add(x, a) }"""
        )
        model.graph.initializer.append(weight)
        constant = next(iter(imported(model).graph.initializers.values()))
        np.testing.assert_array_equal(constant.const_value.numpy(), array.astype(np.float32))


@pytest.mark.parametrize("form", ["flat", "full"])
def test_sparse_weights_become_dense(imported, form):
    positions = np.array([1, 5]) if form == "flat" else np.array([[0, 1], [1, 2]])
    model = with_weight(raw([2, 3], 24))
    del model.graph.initializer[:]
    model.graph.sparse_initializer.append(
        onnx.SparseTensorProto(
            values=onnx.numpy_helper.from_array(np.float32([4, 7]), "w"),
            indices=onnx.numpy_helper.from_array(positions, "i"),
            dims=[2, 3],
        )
    )
    constant = imported(model).graph.initializers["w"].const_value.numpy()
    np.testing.assert_array_equal(constant, [[0, 4, 0], [0, 0, 7]])


@pytest.mark.parametrize(
    ("positions", "dims", "message"),
    [
        ([1, 6], [2, 3], "index outside"),
        ([-1, 1], [2, 3], "index outside"),
        ([[0, 3], [0, 0]], [2, 3], "index outside"),
        ([1, 2, 3], [2, 3], "do not fit"),
        ([[1], [2]], [2, 3], "do not fit"),
        ([1, 2], [2**30], "too large to be made dense"),
    ],
)
def test_malformed_sparse_weights_are_refused(refused, positions, dims, message):
    model = with_weight(raw([2, 3], 24))
    del model.graph.initializer[:]
    model.graph.sparse_initializer.append(
        onnx.SparseTensorProto(
            values=onnx.numpy_helper.from_array(np.float32([4, 7]), "w"),
            indices=onnx.numpy_helper.from_array(np.array(positions), "i"),
            dims=dims,
        )
    )
    refused(model, message)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, ml_dtypes.bfloat16])
def test_nan_weights_are_refused_with_node_and_tensor(refused, dtype):
    array = np.ones((2, 3), dtype)
    array[1, 2] = np.nan
    model = with_weight(onnx.numpy_helper.from_array(array, "w"))
    model.graph.input[0].type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(
        np.dtype(dtype)
    )
    model.graph.node[0].name = "the_add"
    message = refused(model, "NaN")
    assert "the_add" in message


@pytest.mark.parametrize(("op", "ok"), [("Add", True), ("Max", True), ("Mul", False)])
def test_infinity_is_for_masks_only(imported, refused, op, ok):
    array = np.full((2, 3), -np.inf, np.float32)
    model = with_weight(onnx.numpy_helper.from_array(array, "w"), op)
    if ok:
        imported(model)
    else:
        refused(model, "infinity")


@pytest.mark.parametrize("scale", ["0.0", "-1.0"])
def test_scales_must_be_positive(refused, scale):
    model = f"""<ir_version: 10, opset_import: ["" : 21]>
    g (float[2] x) => (uint8[2] y) <float s = {{{scale}}}, uint8 z = {{0}}>
    {{ y = QuantizeLinear(x, s, z) }}"""
    refused(model, "scale 's' must be above 0")
