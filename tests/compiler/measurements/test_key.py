"""Texts that measurements are found by."""

from dataclasses import replace

from octavo.compiler.measurements.key import code_text, device_text, json_text, toolchain_text
from octavo.compiler.roofline.machine import Machine
from octavo.targets import get_target
from octavo.targets.x86.levels import X86_64_AVX512_VNNI, X86_64_V3

MACHINE = Machine("Some CPU 6 85 7", ("avx2", "fma"), ((1, 32768), (2, 1 << 20)))


def test_targets_of_the_same_code_share_measurements():
    renamed = replace(X86_64_V3, name="host", num_cores=64, l2_bytes=1 << 21)
    assert code_text(renamed) == code_text(X86_64_V3)
    assert code_text(X86_64_V3) != code_text(X86_64_AVX512_VNNI)


def test_the_host_s_code_is_that_of_a_level():
    host = get_target("host")
    assert host.isa in code_text(host)
    assert host.cpu in code_text(host)


def test_a_device_is_its_cpu_and_caches():
    text = device_text(MACHINE)
    assert text.startswith("Some CPU 6 85 7 L1:32768 L2:1048576 flags:")
    for change in (
        {"cpu": "Some CPU 6 85 8"},
        {"flags": ("avx2",)},
        {"caches": ((1, 49152), (2, 1 << 20))},
    ):
        assert device_text(replace(MACHINE, **change)) != text


def test_the_toolchain_names_versions_and_the_kernels():
    text = toolchain_text()
    assert text.startswith("octavo-")
    assert "apache-tvm-" in text
    assert len(text.split("kernels:")[1]) == 12


def test_json_has_one_form():
    assert json_text({"b": 1, "a": (True, "x")}) == '{"a":[true,"x"],"b":1}'
