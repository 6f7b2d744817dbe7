"""Probes do the work that they count: sums of ones are the number of additions."""

import ctypes

import numpy as np
import pytest

from octavo.targets.bfloat16_isa import bfloat16_isa
from octavo.targets.float_isa import float_isa
from octavo.targets.host import CPUINFO, cpu_flags
from octavo.targets.instructions import ISAS
from octavo.targets.kernels import probes
from octavo.targets.ops.bfloat16_conv import round_bfloat16

PASSES = 3


def _letters(name):
    return "".join(filter(str.isalnum, name))


def _runs_here(isa):
    """LLVM and the system write the same features with other punctuation."""
    return {_letters(f) for f in isa.features} <= {_letters(f) for f in cpu_flags(CPUINFO)}


RUNNABLE = [isa for isa in ISAS.values() if _runs_here(isa)]
ARITHMETIC = [
    *RUNNABLE, *map(float_isa, RUNNABLE), *filter(None, map(bfloat16_isa, RUNNABLE))]
ONE = {"uint16": round_bfloat16(np.ones((), np.float32))}  # bits of a bfloat16


@pytest.fixture
def sums_of(run_kernel):
    """Run a probe; what it left in its last operand."""

    def run(function, isa, *arrays):
        call = run_kernel.compile(function, "x86-64-v2", isa.features)
        aligned = [_aligned(array) for array in arrays]
        assert call(*[ctypes.c_void_p(array.ctypes.data) for array in aligned]) == 0
        return aligned[-1]

    return run


def _aligned(array):
    memory = np.zeros(array.nbytes + 64, np.uint8)
    start = -memory.ctypes.data % 64
    view = memory[start : start + array.nbytes].view(array.dtype)
    view[:] = array
    return view


@pytest.mark.parametrize("isa", ARITHMETIC, ids=lambda isa: isa.name)
@pytest.mark.parametrize("tasks", [1, 3])
def test_the_dot_loop_does_the_products_that_it_counts(sums_of, isa, tasks):
    activations, weights, sums = probes.dot_sizes(isa, tasks)
    found = sums_of(
        probes.dot_loop(isa, tasks, PASSES), isa,
        *(np.full(count, ONE.get(dtype, 1), dtype) for count, dtype in (
            (activations, isa.activation_dtype), (weights, probes.weight_dtype(isa)))),
        np.zeros(sums, isa.acc_dtype),
    )  # fmt: skip
    assert found.sum() == probes.dot_macs(isa, tasks, PASSES)
    assert (found == found[0]).all()


@pytest.mark.parametrize("isa", ARITHMETIC, ids=lambda isa: isa.name)
def test_the_tile_fills_the_registers(isa):
    rows, vectors = probes.dot_tile(isa)
    used = rows * vectors + vectors + probes.SPARE_REGISTERS
    assert isa.num_registers - vectors < used <= isa.num_registers


@pytest.mark.parametrize("isa", RUNNABLE, ids=lambda isa: isa.name)
def test_the_stream_reads_every_byte(sums_of, isa):
    tasks = 2
    task_bytes = 3 * probes.stream_step(isa)
    memory = np.arange(tasks * task_bytes // 4, dtype=np.int32)
    sums = np.zeros(tasks * probes.stream_step(isa) // 4, np.int32)
    found = sums_of(
        probes.read_stream(isa, tasks, task_bytes, PASSES), isa, memory, sums
    ).reshape(tasks, -1)
    assert (found.sum(axis=1) == PASSES * memory.reshape(tasks, -1).sum(axis=1)).all()


def test_an_empty_call_reaches_every_task(sums_of):
    isa = ISAS["generic"]
    assert (sums_of(probes.empty_call(4), isa, np.ones(4, np.int32)) == 0).all()
