from dataclasses import replace

import pytest

from octavo.compiler.measurements.key import operation_record
from octavo.compiler.predictor.call import call_from_record
from octavo.compiler.predictor.features import geometry_of, tile_of
from octavo.compiler.predictor.operations import operation_from_record, operation_types
from octavo.compiler.predictor.work import work_of
from octavo.targets.library import kernel_table
from octavo.targets.ops.binary import Binary
from octavo.targets.ops.conv import Conv, Placement
from octavo.targets.ops.matmul import MatMul
from octavo.targets.ops.move import Move
from octavo.targets.ops.pool import MaxPool
from octavo.targets.ops.requantize import Requantize
from octavo.targets.ops.softmax import Softmax

CONV = Conv(
    1, 10, 12, 16, 40, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1,
    requantize=Requantize(residual="uint8"), placement=Placement(pixel_stride=64))
MATMUL = MatMul((2,), 5, 7, 8, (40, 8), (56, 7, 1), (35, 7), 80, 112, 70)
RECORDS = (
    CONV,
    MATMUL,
    Softmax(4, 10),
    Binary(kind="add", shape=(1, 4, 8), a_shape=(1, 4, 8), b_shape=(1, 1, 8)),
    Move(shape=(4, 6), src_strides=(1, 4), dst_strides=(6, 1), src_elements=24,
         dst_elements=24, dtype="uint8", out_dtype="uint8"),
    MaxPool(batch=1, in_h=8, in_w=8, channels=5, out_h=4, out_w=4, kernel_h=2, kernel_w=2,
            stride_h=2, stride_w=2),
)


@pytest.mark.parametrize("op", RECORDS, ids=lambda op: type(op).__name__)
def test_records_come_back_from_json(op):
    import json

    assert operation_from_record(json.loads(json.dumps(operation_record(op)))) == op


def test_every_operation_of_the_library_is_known():
    pytest.importorskip("tvm")
    for kind, _ in kernel_table():
        assert operation_types()[kind.__name__] is kind
        assert work_of.dispatch(kind) is not work_of.dispatch(object)


@pytest.mark.parametrize("change", [{"type": "Sum"}, {"unheard": 1}, {"kernel_h": None}])
def test_what_another_version_wrote_is_left_out(change):
    record = operation_record(CONV) | change
    op = operation_from_record(record)
    assert op is None or "kernel_h" in change  # a value is checked by whoever uses it
    if "kernel_h" not in change:
        assert call_from_record("conv_gemm.x.4x16", record, None) is None


def test_a_convolution_is_counted_as_rows_columns_and_depth():
    work = work_of(CONV)
    assert (work.rows, work.columns, work.depth) == (120, 40, 144)
    assert work.macs == 120 * 40 * 144 == CONV.macs
    assert work.read_bytes == 120 * 16 + 120 * 40  # the residual is read
    assert work.written_bytes == 120 * 40
    assert work.span_bytes == 120 * 16 + (119 * 64 + 40) + 120 * 40


def test_padding_of_a_tile_is_counted():
    call = call_from_record("conv_gemm.avx512_vnni.9x32", operation_record(CONV), None)
    assert call is not None
    geometry = geometry_of(call, tile_of(call))
    # 120 rows in tiles of 9 are 126; 40 columns in vectors of 16 are 48; 144 is whole
    assert geometry.padded_macs == 126 * 48 * 144
    assert geometry.tiles == 14 * 2


def test_depthwise_products_are_added_up_along_columns():
    op = replace(
        CONV, out_c=16, groups=16, requantize=Requantize(), placement=Placement())
    call = call_from_record("depthwise.avx512_vnni.4x16", operation_record(op), None)
    assert call is not None
    # three columns of three rows each, which one instruction of four products takes
    assert geometry_of(call, tile_of(call)).steps == 3


def test_generic_products_are_told_from_their_bytes():
    record = {"type": "Relax", "read_bytes": 4 * 5 * 8, "weight_bytes": 4 * 8 * 7,
              "written_bytes": 4 * 5 * 7}
    call = call_from_record("relax.fused_matmul1_add", record, None)
    assert call is not None
    assert call.work.macs == 5 * 7 * 8
    assert call.form == "relax.matmul/32/32"
