"""The kernels of every emulated target equal their references, in a program of that target."""

import shutil

import numpy as np
import pytest
from tests.targets import (
    test_attention,
    test_binary,
    test_conv_gemm,
    test_depthwise,
    test_every_level,
    test_float_layer_norm,
    test_layer_norm,
    test_matmul,
    test_pool,
    test_recurrent,
    test_softmax,
    test_twice_rounded,
    test_word_lstm,
)
from tests.targets.emulation import Case, cases_of, emulated_targets, not_kept, run_cases

from octavo.targets.instructions import isa_of
from octavo.targets.isa import Isa
from octavo.targets.library import select
from octavo.targets.ops import move
from octavo.targets.ops.move import Move

TARGETS = emulated_targets()

MODES = ("float32", "dyadic", "tflite")

# Vectors of 32-bit Arm take float numbers below 2**-126 for 0 (Armv7-A manual, DDI 0406).
# Nothing that is rounded to integers changes, see ``reals_near_zero``; these results do.
FLUSHED = {"armv7": {test_binary.test_float_is_exact}}


def each_family(run_kernel, isa, random_array, name):
    """One of the operations that every level is tested with."""
    op, reference, operands, out_shape = test_every_level.CASES[name]
    arrays = test_every_level.make_arrays(random_array, op, out_shape)
    expected = reference(op, arrays)
    y = run_kernel(select_any(op, isa), op, isa, [arrays[n] for n in operands], arrays,
                   np.zeros(out_shape, expected.dtype))
    np.testing.assert_array_equal(y.reshape(-1), expected.reshape(-1))


def select_any(op, isa):
    """The kernel of an operation, whatever type of activations the instructions take."""
    from tests.targets.emulation import taken_as

    return select(taken_as(op, isa), isa)


each_family.pytestmark = [
    pytest.mark.parametrize("name", list(test_every_level.CASES)).mark]

# Test functions that take a variant, and every how many of their combinations are run.
CHOSEN = (
    (each_family, 1),
    (test_conv_gemm.test_shapes_match_the_reference, 1),
    (test_conv_gemm.test_epilogues_match_the_reference, 1),
    (test_conv_gemm.test_channels_around_the_vector_width, 3),
    (test_conv_gemm.test_extreme_scales_and_zero_points, 1),
    (test_conv_gemm.test_the_largest_accumulators_are_exact, 1),
    (test_conv_gemm.test_weights_below_the_narrow_range_are_exact, 1),
    (test_conv_gemm.test_results_of_known_range_are_rounded_alike, 1),
    (test_conv_gemm.test_float_convolution, 1),
    (test_depthwise.test_every_geometry_equals_the_reference, 3),
    (test_depthwise.test_every_epilogue_equals_the_reference, 3),
    (test_depthwise.test_an_output_can_stay_real, 1),
    (test_depthwise.test_extreme_multipliers_saturate, 1),
    (test_depthwise.test_float_is_close_and_an_infinity_stays_in_its_window, 3),
    (test_matmul.test_every_pair_of_types, 3),
    (test_matmul.test_sizes_around_the_vector_width, 3),
    (test_matmul.test_every_epilogue, 3),
    (test_matmul.test_extreme_multipliers, 3),
    (test_matmul.test_float_products, 1),
    (test_softmax.test_rows, 9),
    (test_softmax.test_columns, 5),
    (test_softmax.test_extremes, 1),
    (test_layer_norm.test_rows, 9),
    (test_layer_norm.test_extremes, 1),
    (test_float_layer_norm.test_rows, 7),
    (test_float_layer_norm.test_rounded_rows, 11),
    (test_pool.test_floats_are_reduced, 1),
    (test_recurrent.test_sizes_around_the_vector_width, 5),
    (test_recurrent.test_saturated_gates_and_extreme_scales, 3),
    (test_twice_rounded.test_convolutions, 1),
    (test_twice_rounded.test_the_largest_accumulators, 1),
    (test_twice_rounded.test_depthwise_convolutions, 3),
    (test_twice_rounded.test_two_operands, 4),
    (test_word_lstm.test_sizes_around_the_vector_width, 2),
    (test_word_lstm.test_saturated_gates_and_extreme_scales, 1),
    (test_word_lstm.test_every_width_of_the_cell, 1),
    (test_attention.test_columns_around_the_vector_width, 5),
    (test_attention.test_features_around_the_vector_width, 5),
    (test_attention.test_rows_around_the_tile, 1),
    (test_attention.test_signed_operands, 3),
    (test_attention.test_masks_for_every_row_and_for_each, 3),
    (test_attention.test_sums_of_the_largest_numbers_are_exact, 1),
    (test_binary.test_every_kind_in_both_modes, 3),
    (test_binary.test_extreme_scales_and_ties, 3),
    (test_binary.test_float_is_exact, 3),
)


def reals_near_zero(run_kernel, isa):
    """Quantize numbers that are too small to be normal: flushing them changes nothing."""
    op = Move(src_elements=64, dst_elements=64, shape=(64,), src_strides=(1,),
              dst_strides=(1,), dtype="float32", convert="quantize", out_dtype="uint8")
    tiny = np.array([1e-40, -1e-40, 1e-45, -1e-45, 1.1e-38, -1.1e-38, 0.0, -0.0], np.float32)
    arrays = {"x": np.tile(tiny, 8), "scale": np.array([0.02], np.float32),
              "zero_point": np.array([7], np.int32), "y": np.zeros(64, np.uint8)}
    y = run_kernel(select(op, isa), op, isa, [arrays["x"]], arrays, arrays["y"])
    np.testing.assert_array_equal(y, move.reference(op, arrays))
    assert (y == 7).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_kernels_equal_their_references(name, tmp_path):
    target = TARGETS[name]
    if shutil.which(target.emulator.program) is None:
        pytest.skip(f"needs {target.emulator.program} (Debian package qemu-user)")
    flushed = FLUSHED.get(target.family, set())
    cases = [case for test, step in CHOSEN if test not in flushed
             for case in cases_of(test, target, step)]
    cases += cases_of(reals_near_zero, target)
    assert run_cases(cases, target, tmp_path) == {}
    refused = {not_kept(mode) for mode in MODES if mode not in target.requantize_modes}
    assert {case.refusal for case in cases} <= {"", *refused}
    assert all(case.answers for case in cases if not case.refusal)


def test_every_emulated_variant_is_tested():
    from octavo.targets import TARGETS as ALL

    wanted = {
        t.isa for t in ALL.values() if t.emulator is not None and t.accelerator is None}
    assert {target.isa for target in TARGETS.values()} == wanted


def test_a_wrong_result_and_a_write_outside_are_found(tmp_path):
    """The harness itself: a kernel that is off by one, and one that writes too far."""
    name = next(iter(TARGETS))
    if shutil.which(TARGETS[name].emulator.program) is None:
        pytest.skip(f"needs {TARGETS[name].emulator.program} (Debian package qemu-user)")

    def case(extent, delta):
        def run(runner):
            shape = {"src_elements": 64, "dst_elements": extent, "shape": (extent,),
                     "src_strides": (1,), "dst_strides": (1,)}
            op = Move(**shape, dtype="uint8", out_dtype="uint8")
            isa: Isa = isa_of(TARGETS[name])
            x = np.arange(64, dtype=np.uint8)
            y = runner(select(op, isa), op, isa, [x], {}, np.zeros(16, np.uint8))
            np.testing.assert_array_equal(y, x[:16] + np.uint8(delta))
        return run

    cases = [
        Case("good", case(16, 0)), Case("wrong", case(16, 1)), Case("outside", case(24, 0))]
    failures = run_cases(cases, TARGETS[name], tmp_path)
    assert set(failures) == {"wrong", "outside"}
    assert "written outside" in failures["outside"]
