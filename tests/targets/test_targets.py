"""Target records: known to TVM, found by name, and the host is resolved without TVM."""

import subprocess
import sys
from dataclasses import replace

import pytest

from octavo.errors import TargetError
from octavo.targets import TARGETS, get_target
from octavo.targets.base import Target
from octavo.targets.host import LEVELS, best_level, cache_bytes, cpu_flags

# LLVM's name of the feature that brings a fused multiply-add of float32, by architecture.
FUSED_MULTIPLY_ADD = {"x86-64": "fma", "arm64": "fp-armv8", "armv7": "vfp4", "riscv64": "f",
                      "hexagon": "v60"}


@pytest.mark.parametrize("name", TARGETS)
def test_tvm_accepts_the_target(name):
    import tvm

    target = tvm.target.Target(TARGETS[name].tvm_target())
    assert target.kind.name == "llvm"
    assert target.attrs["mcpu"] == TARGETS[name].cpu


@pytest.mark.parametrize("name", TARGETS)
def test_llvm_has_the_features_that_the_instructions_use(name):
    import tvm
    from tvm.target.codegen import llvm_get_cpu_features

    from octavo.targets.instructions import isa_of

    record = TARGETS[name]
    enabled = {str(f) for f in llvm_get_cpu_features(tvm.target.Target(record.tvm_target()))}
    isa = isa_of(record)
    assert set(isa.features) <= enabled
    assert isa.has_fma == (FUSED_MULTIPLY_ADD[record.family] in enabled)
    if record.accelerator is None:  # else the dot product of the accelerator decides
        assert isa.activation_dtype == record.activation_dtype


@pytest.mark.parametrize("name", TARGETS)
def test_float_precisions_are_those_of_the_instructions(name):
    from octavo.targets.bfloat16_isa import bfloat16_isa
    from octavo.targets.instructions import isa_of

    can = "bf16" in TARGETS[name].float_precisions
    assert (bfloat16_isa(isa_of(TARGETS[name])) is not None) == can


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_cites_its_sources(name):
    assert TARGETS[name].sources


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [("x86-64-avx3", "x86-64-avx2"), ("hots", "host"), ("x86_64", "x86-64")],
)
def test_unknown_target_suggests_the_nearest(typed, nearest):
    with pytest.raises(TargetError, match=f"did you mean '{nearest}'"):
        get_target(typed)


def test_unknown_target_lists_the_known_ones():
    with pytest.raises(TargetError, match="x86-64-avx512vnni") as caught:
        get_target("quantum")
    assert "did you mean" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_listing_targets_does_not_import_tvm():
    code = "import sys, octavo.targets; sys.exit(bool({'tvm', 'tvm_ffi'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("target", "flags"), LEVELS, ids=lambda x: getattr(x, "name", ""))
def test_the_best_level_of_a_cpu_is_chosen(target, flags):
    assert best_level(flags | {"fpu", "rdseed"}) is target
    for needed in flags:  # one feature less gives a lower level
        assert best_level(flags - {needed}) is not target


def test_a_cpu_below_every_level_has_no_target():
    assert best_level(frozenset({"sse2"})) is None


def test_facts_of_the_machine_are_read_from_the_system(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nflags\t\t: fpu avx2 fma\nbugs : x\nflags : other\n")
    assert cpu_flags(cpuinfo) == {"fpu", "avx2", "fma"}
    assert cpu_flags(tmp_path / "missing") == frozenset()
    for index, (kind, level, size) in enumerate(
        [("Data", "1", "48K"), ("Instruction", "1", "32K"), ("Unified", "2", "2M"),
         ("Unified", "3", "32768K")]
    ):
        folder = tmp_path / f"index{index}"
        folder.mkdir()
        for name, value in (("type", kind), ("level", level), ("size", size)):
            (folder / name).write_text(value + "\n")
    assert cache_bytes(tmp_path) == (48 * 1024, 2 * 1024 * 1024)
    assert cache_bytes(tmp_path / "missing") == (0, 0)


@pytest.mark.parametrize(
    "wrong", [{"activation_dtype": "int4"}, {"requantize": "float64"}], ids=str
)
def test_a_wrong_record_is_refused(wrong):
    fields = {"name": "x", "description": "", "triple": "t", "cpu": "c", "zig_target": "z",
              "isa": "generic"}
    with pytest.raises(TargetError, match=next(iter(wrong.values()))):
        Target(**fields | wrong)


def test_a_rounding_that_the_target_cannot_keep_is_refused():
    TARGETS["arm64-neon"].check_requantize("dyadic")
    with pytest.raises(TargetError) as caught:
        TARGETS["hexagon-v66"].check_requantize("float32")
    assert str(caught.value) == (
        "target 'hexagon-v66' cannot requantize in float32; possible: dyadic"
    )
    with pytest.raises(TargetError, match="cannot requantize in float32"):
        replace(TARGETS["hexagon-v66"], requantize="float32")
