"""LSTM with gates of 16 bits: the kernel against the reference, and its functions."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from octavo.targets.isa import Isa
from octavo.targets.kernels.word_lstm import WordLstmGemm
from octavo.targets.ops.word_functions import (
    MAX_INTEGER_BITS,
    WORD_MAX,
    WORD_MIN,
    word_sigmoid,
    word_tanh,
)
from octavo.targets.ops.word_lstm import WordLstm, reference, word_lstm_arrays

WORDS = np.arange(WORD_MIN, WORD_MAX + 1, dtype=np.int32)
# they divide in steps of 2**-13; the quotient is that of a rounded exp, and rounded itself
LARGEST_ERROR = 4 * 2.0**-13


class Case:
    """A layer with random weights, steep enough that gates open and close."""

    def __init__(self, op: WordLstm, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.op, rows = op, op.gates * op.hidden
        low = np.iinfo(op.dtype).min
        self.x = rng.integers(low, low + 256, (op.steps, op.batch, op.inputs)).astype(op.dtype)
        self.weight = rng.integers(-127, 128, (1, rows, op.inputs)).astype(np.int8)
        self.recurrent = rng.integers(-127, 128, (1, rows, op.hidden)).astype(np.int8)
        self.weight_scale = rng.uniform(0.5, 2, (1, rows)) * 0.02 / op.inputs**0.5
        self.recurrent_scale = rng.uniform(0.5, 2, (1, rows)) * 0.02 / op.hidden**0.5
        self.bias = rng.normal(size=(1, 2 * rows))
        self.scale_x, self.scale_y, self.zeros = 0.03, 1 / 128, (low + 133, low + 125)

    @property
    def arrays(self) -> dict[str, Any]:
        constants = word_lstm_arrays(
            self.op, scale_x=self.scale_x, scale_y=self.scale_y, zero_points=self.zeros,
            weight_scale=self.weight_scale, recurrent_scale=self.recurrent_scale,
            bias=self.bias)
        return constants | {
            "x": self.x, "weight": self.weight, "recurrent": self.recurrent}

    def check(self, run_kernel: Any, isa: Isa) -> np.ndarray:
        """Compare the kernel with the reference; return y."""
        arrays = self.arrays
        expected = reference(self.op, arrays)
        outputs = [np.full_like(value, 77) for value in expected.values()]
        got = run_kernel.outputs(WordLstmGemm(), self.op, isa, [self.x], arrays, outputs)
        for name, value in zip(expected, got, strict=True):
            np.testing.assert_array_equal(value, expected[name], err_msg=name)
        return expected["y"]


def test_functions_follow_the_real_ones() -> None:
    assert np.abs(word_sigmoid(WORDS) / 2**15 - 1 / (1 + np.exp(-WORDS / 2**12))).max() < (
        LARGEST_ERROR)
    for bits in range(MAX_INTEGER_BITS + 1):
        real = np.tanh(WORDS / 2.0 ** (15 - bits))
        assert np.abs(word_tanh(WORDS, bits) / 2**15 - real).max() < LARGEST_ERROR


@pytest.mark.parametrize("hidden", [1, 15, 16, 33])
def test_sizes_around_the_vector_width(run_kernel: Any, isa: Isa, hidden: int) -> None:
    op = WordLstm(3, 1 + hidden % 3, hidden + 1, hidden, dtype=isa.activation_dtype)
    y = Case(op, hidden).check(run_kernel, isa)
    assert len(np.unique(y)) > 2


def test_batches_larger_than_a_tile(run_kernel: Any, isa: Isa) -> None:
    op = WordLstm(5, 13, 8, 16, dtype=isa.activation_dtype, cell_limit=1 << 13)
    Case(op, 2).check(run_kernel, isa)


@pytest.mark.parametrize("integer_bits", [0, MAX_INTEGER_BITS])
def test_every_width_of_the_cell(run_kernel: Any, isa: Isa, integer_bits: int) -> None:
    op = WordLstm(6, 2, 10, 18, dtype=isa.activation_dtype, cell_integer_bits=integer_bits)
    Case(op, integer_bits).check(run_kernel, isa)


def test_saturated_gates_and_extreme_scales(run_kernel: Any, isa: Isa) -> None:
    case = Case(WordLstm(3, 2, 12, 20, dtype=isa.activation_dtype), 1)
    case.weight_scale[:, ::3] = 1e2
    case.weight_scale[:, 1::3] = 1e-12
    case.recurrent_scale[:, ::2] = 300.0
    case.bias[:, ::5] = 1e6
    case.bias[:, 1::7] = -1e6
    low = np.iinfo(case.op.dtype).min
    case.zeros = (low + 255, low)
    for case.scale_y in (1e-5, 1 / 255, 40.0):
        case.check(run_kernel, isa)


def test_what_it_has_not_is_refused() -> None:
    op = WordLstm(2, 1, 3, 4)
    for fields, match in (
        ({"direction": "reverse"}, "one direction"), ({"cell_integer_bits": 7}, "0 to 6"),
        ({"cell_limit": 1 << 15}, "32767"), ({"has_initial_h": True}, "starts with 0"),
    ):
        with pytest.raises(ValueError, match=match):
            dataclasses.replace(op, **fields)
