"""Kernels of 16-bit activations and of 4-bit weights on every emulated target."""

import shutil
from typing import Any

import numpy as np
import pytest
from tests.targets.emulation import cases_of, emulated_targets, run_cases
from tests.targets.test_nibble_gemm import narrow
from tests.targets.test_nibble_gemm import run as run_nibbles
from tests.targets.test_recurrent import layers
from tests.targets.test_recurrent import reference as expected_of
from tests.targets.test_recurrent_nibbles import kernel_of, narrow_case
from tests.targets.test_word_gemm import DEPTHWISE, EPILOGUES, SHAPES, make_arrays, run, words
from tests.targets.test_word_operations import (
    test_operations_equal_their_references as operations,
)

from octavo.targets.instructions import isa_of
from octavo.targets.kernel import Slower
from octavo.targets.kernels.nibble_gemm import NibbleGemm
from octavo.targets.kernels.word_depthwise import WordDepthwise
from octavo.targets.kernels.word_gemm import WordGemm
from octavo.targets.kernels.word_gemm_parts import WordGemmParts
from octavo.targets.ops import conv
from octavo.targets.ops.conv import Conv
from octavo.targets.ops.word_conv import reference, wide_sums
from octavo.targets.word_isa import slower_words

TARGETS = emulated_targets()
DYADIC = "dyadic"


class Anyway:
    """A kernel that serves what it expects others to compute faster."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel

    def __repr__(self) -> str:
        return repr(type(self.kernel).__name__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.kernel, name)

    def reject(self, op: Any, isa: Any) -> str:
        """Only what cannot be computed."""
        reason = self.kernel.reject(op, isa)
        return "" if isinstance(reason, Slower) else reason


@pytest.mark.parametrize("name", list(SHAPES))
def shapes(run_kernel, isa, name):
    op = SHAPES[name]
    arrays = make_arrays(op, np.random.default_rng(1))
    kernel = WordGemmParts() if wide_sums(op, arrays) else WordGemm()
    result = run(run_kernel, Anyway(kernel), op, isa, arrays)
    np.testing.assert_array_equal(result, reference(op, arrays))


@pytest.mark.parametrize("name", list(EPILOGUES))
def epilogues(run_kernel, isa, name):
    op = words(1, 3, 5, 16, 2 * isa.lanes + 5, requantize=EPILOGUES[name])
    arrays = make_arrays(op, np.random.default_rng(2))
    for kernel in (WordGemm(), WordGemmParts()):
        result = run(run_kernel, Anyway(kernel), op, isa, arrays)
        np.testing.assert_array_equal(result, reference(op, arrays))


@pytest.mark.parametrize("name", list(DEPTHWISE))
def depthwise(run_kernel, isa, name):
    op = DEPTHWISE[name]
    arrays = make_arrays(op, np.random.default_rng(3), zero_point=-32768)
    result = run(run_kernel, Anyway(WordDepthwise()), op, isa, arrays)
    np.testing.assert_array_equal(result, reference(op, arrays))


@pytest.mark.parametrize("mode", ["float32", DYADIC])
@pytest.mark.parametrize(
    ("rows", "depth", "columns"), [(1, 33, 70), (1, 130, 200), (3, 16, 48)]
)
def nibbles(run_kernel, isa, mode, rows, depth, columns):
    from tests.targets.test_conv_gemm import make_arrays as make

    op = Conv(1, 1, rows, depth, columns, requantize=conv.Requantize(mode=mode))
    rng = np.random.default_rng(depth)
    arrays = narrow(make(op, rng), rng)
    result = run_nibbles(run_kernel, op, isa, arrays, Anyway(NibbleGemm()))
    np.testing.assert_array_equal(result, conv.reference(op, arrays))


@pytest.mark.parametrize("kind", range(3))
@pytest.mark.parametrize("hidden", [16, 35])
def recurrent(run_kernel, isa, kind, hidden):
    op = layers(steps=2, batch=2, inputs=5, hidden=hidden, dtype=isa.activation_dtype)[kind]
    case = narrow_case(op, kind)
    expected = expected_of(op, case.arrays)
    outputs = [np.zeros_like(expected[name]) for name in ("y", "y_h")]
    kernel = Anyway(kernel_of(op))
    found = run_kernel.outputs(kernel, op, isa, [case.x], case.arrays, outputs)
    for name, result in zip(("y", "y_h"), found, strict=True):
        np.testing.assert_array_equal(result, expected[name])


@pytest.mark.parametrize("name", TARGETS)
def test_kernels_equal_their_references(name, tmp_path):
    target = TARGETS[name]
    if shutil.which(target.emulator.program) is None:
        pytest.skip(f"needs {target.emulator.program} (Debian package qemu-user)")
    tests = [(nibbles, 1), (recurrent, 1)]
    if "float32" in target.requantize_modes:
        # Where words are computed in float, a third of the cases is enough.
        step = 1 if slower_words(isa_of(target)) is None else 3
        tests += [(shapes, step), (epilogues, step), (depthwise, step)]
        tests.append((operations, 1))
    cases = [case for test, step in tests for case in cases_of(test, target, step)]
    assert run_cases(cases, target, tmp_path) == {}
    assert sum(bool(case.answers) for case in cases) >= 3
