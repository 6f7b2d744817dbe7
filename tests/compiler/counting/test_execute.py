"""Counts of programs whose work is known."""

import sys

import pytest

from octavo.compiler.counting.counts import Counts
from octavo.compiler.counting.elf_symbols import read_functions
from octavo.compiler.counting.execute import OTHERS, Mark, count, emulator_release
from octavo.errors import DeviceError, ToolchainError


def marks_of(program, **labels):
    found = [f for f in read_functions(program) if f.name in labels]
    assert sorted(f.name for f in found) == sorted(labels)
    return [Mark(f.address, f.address + f.num_bytes, labels[f.name]) for f in found]


def test_the_work_of_a_function_is_counted_exactly(program, emulator):
    marks = marks_of(program, callee=1, writer=2, caller=3, main=4)
    few, more, most = (
        count(emulator, [str(program), str(n)], marks=marks) for n in (100, 200, 300)
    )
    per_hundred = more[1] - few[1]
    assert per_hundred == most[1] - more[1]  # twice the same
    assert (per_hundred.loads, per_hundred.loaded_bytes) == (200, 200)  # called twice
    assert (per_hundred.stores, per_hundred.stored_bytes) == (0, 0)
    # A loop of one load and one addition: at least two, at most six instructions.
    assert 200 <= per_hundred.instructions <= 1200
    assert (more[2] - few[2]).stored_bytes == 50
    assert (more[2] - few[2]).loads == 0
    assert more[4].instructions == most[4].instructions  # main is no loop


def test_a_mark_owns_what_it_calls(program, emulator):
    entries = [Mark(m.begin, m.begin + 1, m.label) for m in marks_of(program, caller=1)]
    outside = marks_of(program, main=2, writer=2)
    few, more = (
        count(emulator, [str(program), str(n)], marks=[*entries, *outside])
        for n in (100, 200)
    )
    assert (more[1] - few[1]).loaded_bytes == 200
    assert (more[2] - few[2]).loaded_bytes == 0
    assert few[OTHERS].instructions > 0  # what is before main


def test_counts_repeat(program, emulator):
    marks = marks_of(program, callee=1, writer=2, caller=3, main=4)
    first, second = (count(emulator, [str(program), "70"], marks=marks) for _ in range(2))
    assert first == second


def test_without_memory_only_instructions_are_counted(program, emulator):
    marks = marks_of(program, callee=1, main=2)
    full = count(emulator, [str(program), "9"], marks=marks)
    less = count(emulator, [str(program), "9"], marks=marks, counts_memory=False)
    assert less == {label: Counts(counts.instructions) for label, counts in full.items()}


def test_a_program_that_crashes_is_an_error(program, emulator):
    with pytest.raises(DeviceError, match="failed under qemu-"):
        count(emulator, [str(program), "1", "crash"])


def test_a_missing_emulator_is_named_with_its_package():
    with pytest.raises(DeviceError, match=r"qemu-none is not installed .*qemu-user"):
        count(["qemu-none"], ["true"])


def test_a_program_that_is_no_emulator_is_an_error():
    with pytest.raises(DeviceError, match="does not say its version"):
        emulator_release(sys.executable)


def test_a_stripped_or_broken_file_has_no_functions(tmp_path):
    broken = tmp_path / "broken"
    for data in (b"", b"\x7fELF", b"\x7fELF\2\1" + bytes(10), b"#!/bin/sh" * 20):
        broken.write_bytes(data)
        with pytest.raises(ToolchainError, match="broken is no ELF file"):
            read_functions(broken)


def test_functions_have_their_names_and_sizes(program):
    found = {f.name: f for f in read_functions(program)}
    assert {"main", "caller", "callee", "writer"} <= set(found)
    assert 8 <= found["callee"].num_bytes <= 200
    addresses = [found[name].address for name in ("caller", "callee", "writer")]
    assert len(set(addresses)) == 3
    assert all(address % 2 == 0 for address in addresses)
