"""The emulator against the manual: addresses, products, and every fault ends the process.

On a CPU with tiles the same program asks the CPU, which must agree.
"""

import re
import signal
import subprocess
from pathlib import Path

import pytest
from tests.targets.amx.conftest import EMULATOR, FLAGS, has_tiles

from octavo.compiler.artifact.toolchain import zig
from octavo.targets.host import CPUINFO, cpu_flags

PROBE = Path(__file__).with_name("amx_probe.c")
ILLEGAL, NOT_ALLOWED = -signal.SIGILL, -signal.SIGSEGV
FAULTS = {
    "no_configuration": (ILLEGAL, "before the shapes are set"),
    "no_shape": (ILLEGAL, "has no shape"),
    "after_release": (ILLEGAL, "before the shapes are set"),
    "unknown_palette": (NOT_ALLOWED, "unknown palette"),
    "reserved_byte": (NOT_ALLOWED, "reserved"),
    "ninth_tile": (NOT_ALLOWED, "does not exist"),
    "too_many_rows": (NOT_ALLOWED, "too large"),
    "too_many_bytes": (NOT_ALLOWED, "too large"),
    "rows_of_no_bytes": (NOT_ALLOWED, "rows of no bytes"),
    "other_rows": (ILLEGAL, "do not fit"),
    "other_columns": (ILLEGAL, "do not fit"),
    "other_depth": (ILLEGAL, "do not fit"),
    "partial_groups": (ILLEGAL, "groups of four"),
    "same_tile_twice": (ILLEGAL, "same tile twice"),
}
RESULTS = ("addresses", "configurations", "tdpbssd", "tdpbsud", "tdpbusd", "tdpbuud")


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """Function: arguments to the finished process of the probe."""
    if "sse4_2" not in cpu_flags(CPUINFO):
        pytest.skip("the probe is a program for x86-64 on Linux")
    folder = tmp_path_factory.mktemp("probe")
    flags = ["-mamx-tile", "-mamx-int8", *(() if has_tiles() else ("-DEMULATED",))]
    sources = [str(PROBE), *(() if has_tiles() else (str(EMULATOR),))]
    zig(["cc", *FLAGS, *flags, *sources, "-o", "probe"], folder)

    def run(*arguments):
        return subprocess.run(
            [folder / "probe", *arguments], capture_output=True, text=True, check=False)

    return run


def test_every_probe_is_in_the_tables():
    names = re.findall(r"ENTRY\((\w+)\)[,\n]", PROBE.read_text())
    assert set(names) == {*RESULTS, *FAULTS, "other_instruction"}


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_those_of_the_manual(probe, name):
    process = probe(name)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("name", FAULTS)
def test_faults_end_the_process(probe, name):
    process = probe(name)
    status, reason = FAULTS[name]
    assert process.returncode == status
    if not has_tiles():
        assert reason in process.stderr


def test_tiles_need_a_permission(probe):
    process = probe("addresses", "without permission")
    assert process.returncode == ILLEGAL
    if not has_tiles():
        assert "without permission" in process.stderr


def test_other_illegal_instructions_stay_illegal(probe):
    process = probe("other_instruction")
    assert process.returncode == ILLEGAL
    assert process.stderr == ""
