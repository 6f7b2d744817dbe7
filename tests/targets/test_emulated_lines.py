"""Line by line convolution on every emulated target whose instructions it takes."""

import shutil

import pytest
from tests.targets import test_conv_lines
from tests.targets.emulation import cases_of, emulated_targets, run_cases

from octavo.targets.instructions import isa_of

TARGETS = {n: t for n, t in emulated_targets().items() if t.requantize == "float32"}
TESTS = (
    test_conv_lines.test_every_shape_matches_the_reference,
    test_conv_lines.test_padding_counts_as_the_zero_point,
    test_conv_lines.test_outputs_may_interleave,
)
# Activations are moved by 128 where they are signed, and so is the zero point.
NO_ZERO_POINT = f"{TESTS[0].__module__.split('.')[-1]}.{TESTS[0].__name__}['zero point 0']"


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_lines_equal_their_references(name, tmp_path):
    target = TARGETS[name]
    if shutil.which(target.emulator.program) is None:
        pytest.skip(f"needs {target.emulator.program} (Debian package qemu-user)")
    cases = [case for test in TESTS for case in cases_of(test, target)]
    if target.activation_dtype == "int8":
        cases = [case for case in cases if case.name != NO_ZERO_POINT]
    assert run_cases(cases, target, tmp_path) == {}
    isa = isa_of(target)
    one_at_a_time = (isa.block_rows, isa.block_registers, isa.group_steps) == (1, 1, 1)
    assert any(case.answers for case in cases) == one_at_a_time


def test_some_target_takes_them():
    steps = {(i.block_rows, i.block_registers, i.group_steps)
             for i in map(isa_of, TARGETS.values())}
    assert (1, 1, 1) in steps
