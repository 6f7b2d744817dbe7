"""Counts of an artifact's steps."""

import dataclasses

import numpy as np
import pytest

from octavo.compiler.artifact import write_artifact
from octavo.compiler.artifact.manifest import read_manifest
from octavo.compiler.counting.steps import count_steps
from octavo.errors import DataError, TargetError

LENGTH = 1000  # of the program's tensors, bytes


@pytest.fixture(scope="module")
def artifact(target, make_add_program, tmp_path_factory):
    folder = tmp_path_factory.mktemp("artifact") / "tiny"
    write_artifact(make_add_program(), target, None, folder)
    return folder


@pytest.fixture(scope="module")
def counted(artifact, target):
    return count_steps(artifact, read_manifest(artifact), target)


def test_each_step_has_the_work_of_its_kernel(counted):
    first, second = counted.steps
    for step in counted.steps:
        # Two tensors are read and one is written, once, and little else.
        assert 2 * LENGTH <= step.loaded_bytes < 2 * LENGTH + 500
        assert LENGTH <= step.stored_bytes < LENGTH + 500
        assert 0 < step.instructions < 20 * LENGTH
    # The same function, called with other addresses, which take a few instructions to make.
    assert abs(first.instructions - second.instructions) < 8


def test_the_total_is_the_sum(counted):
    assert 0 < counted.runtime.instructions < 500
    assert counted.total == counted.steps[0] + counted.steps[1] + counted.runtime
    assert counted.total - counted.steps[0] - counted.runtime == counted.steps[1]


def test_without_memory_the_instructions_are_the_same(artifact, target, counted):
    less = count_steps(artifact, read_manifest(artifact), target, counts_memory=False)
    assert [s.instructions for s in less.steps] == [s.instructions for s in counted.steps]
    assert less.total.loads == less.total.stores == 0


def test_real_inputs_are_read_and_counts_repeat(artifact, target, counted):
    manifest = read_manifest(artifact)
    inputs = {"x:0": np.arange(LENGTH).astype(np.int8).reshape(10, 100)}
    again = count_steps(artifact, manifest, target, inputs)
    assert again.steps == counted.steps  # additions take no other way for other numbers
    wrong = {"x:0": np.zeros(3, np.int8)}
    with pytest.raises(DataError, match=r"'x:0' is int8 \(3,\); the model takes int8"):
        count_steps(artifact, manifest, target, wrong)
    with pytest.raises(DataError, match="unknown input 'other'; the model takes: x:0"):
        count_steps(artifact, manifest, target, inputs | {"other": wrong["x:0"]})


def test_a_target_without_emulator_is_refused(artifact, target):
    alone = dataclasses.replace(target, emulator=None)
    with pytest.raises(TargetError, match=f"nothing emulates {alone.name}"):
        count_steps(artifact, read_manifest(artifact), alone)
