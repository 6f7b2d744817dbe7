import platform

import pytest

from octavo.compiler.artifact.cpu_features import (
    AARCH64_FEATURES,
    ARM_FEATURES,
    X86_FEATURES,
    feature_mask,
    feature_table,
    required_features,
)
from octavo.compiler.native_library import NativeLibrary


def target(cpu, features=(), triple="x86_64-linux-gnu"):
    spec = {"kind": "llvm", "mtriple": triple, "mcpu": cpu}
    return spec | ({"mattr": list(features)} if features else {})


def test_the_runtime_knows_the_same_bits(add_artifact):
    table = feature_table(platform.machine())
    library = NativeLibrary(add_artifact / "libmodel.so")
    names = [library.feature_name(bit) for bit in range(64)]
    library.close()
    assert [name for name in names if name] == list(table)
    assert names[: len(table)] == list(table)


def test_what_llvm_may_use_is_required():
    assert required_features(target("x86-64")) == ()
    assert "avx2" in required_features(target("x86-64-v3"))
    assert "avx512vnni" not in required_features(target("x86-64-v4"))
    sapphire_rapids = required_features(target("sapphirerapids"))
    assert {"avx512vnni", "avx512fp16"} <= set(sapphire_rapids)
    assert "avx512vnni" in required_features(target("x86-64-v4", ["+avx512vnni"]))
    assert "avx512vnni" not in required_features(target("sapphirerapids", ["-avx512vnni"]))
    arm = target("generic", ["+v8.2a", "+dotprod", "+i8mm"], "aarch64-linux-gnu")
    assert required_features(arm) == ("dotprod", "i8mm")
    armv7 = target("generic", ["+neon", "+vfp4"], "armv7a-linux-gnueabihf")
    assert required_features(armv7) == ("neon", "vfp4")
    assert required_features(target("generic-rv64", (), "riscv64-linux-gnu")) == ()


def test_tiles_are_required_only_where_the_target_names_them():
    assert not any("amx" in name for name in required_features(target("sapphirerapids")))
    named = required_features(target("sapphirerapids", ["+amx-tile", "+amx-int8"]))
    assert named[-2:] == ("amx-tile", "amx-int8")


@pytest.mark.parametrize("table", [X86_FEATURES, AARCH64_FEATURES, ARM_FEATURES])
def test_names_are_distinct_and_fit_64_bits(table):
    assert len(set(table)) == len(table) <= 63


def test_masks_have_a_bit_per_feature():
    assert feature_mask("x86_64-linux-gnu", ("sse4.2", "avx")) == (1 << 0) | (1 << 7)
    assert feature_mask("riscv64-linux-gnu", ()) == 0
