"""Code for registers of 128 bits gives the same bits on RISC-V cores with longer ones."""

import shutil
from dataclasses import replace

import pytest
from tests.targets import test_conv_gemm, test_depthwise
from tests.targets.emulation import cases_of, run_cases

from octavo.targets import TARGETS

TARGET = TARGETS["riscv64-rvv"]
LENGTH = "vlen=128"


@pytest.mark.slow
@pytest.mark.parametrize("bits", [256, 512])
def test_longer_registers_change_nothing(bits, tmp_path):
    emulator = TARGET.emulator
    if shutil.which(emulator.program) is None:
        pytest.skip(f"needs {emulator.program} (Debian package qemu-user)")
    assert LENGTH in emulator.cpu
    longer = replace(emulator, cpu=emulator.cpu.replace(LENGTH, f"vlen={bits}"))
    target = replace(TARGET, emulator=longer)
    cases = cases_of(test_conv_gemm.test_shapes_match_the_reference, target)
    cases += cases_of(test_depthwise.test_every_geometry_equals_the_reference, target, 5)
    assert run_cases(cases, target, tmp_path) == {}
    assert all(case.answers for case in cases)
