"""The comparison on AArch64: what is emulated, and its table."""

import pytest
from benchmarks.aarch64.cores import CORES, find_core
from benchmarks.aarch64.table import best, table
from benchmarks.instructions import table as ratio_table

from octavo.targets import get_target

RECORD = {
    "versions": {"onnxruntime": "1.2"},
    "networks": {
        "tiny": {
            "cortex-a72": {
                "Octavo, int8": {"instructions": 1_000_000},
                "ONNX Runtime, unsigned": {"instructions": 3_000_000, "cosine": 1.0},
                "ONNX Runtime, signed": {"instructions": 2_000_000, "cosine": 0.99},
                "LiteRT, signed": {"instructions": 2_500_000, "cosine": 1.0},
            },
            "i8mm": {"LiteRT, signed": {"instructions": 1_234_567, "cosine": 1.0}},
        }
    },
}


def test_the_best_variant_of_each_program_counts():
    cells = RECORD["networks"]["tiny"]["cortex-a72"]
    assert best(cells, "ONNX Runtime") == 2_000_000
    assert best(cells, "OpenVINO") is None
    lines = table(RECORD).splitlines()
    assert "| tiny | Cortex-A72 (NEON) | 1 | 2 | 2.5 | 2.00 |" in lines
    assert "| tiny | matrix products, no SVE |  |  | 1.235 |  |" in lines
    assert "| tiny | Cortex-A72 (NEON) | ONNX Runtime, signed | 2 | 0.99 |" in lines


def test_every_core_has_a_target_that_is_emulated_as_it():
    for core in CORES:
        emulator = get_target(core.target).emulator
        assert (emulator.program, emulator.cpu) == ("qemu-aarch64", core.cpu)
    with pytest.raises(KeyError, match="cortex-a72, cortex-a76, i8mm"):
        find_core("cortex-z9")


def test_a_core_says_what_it_is_as_the_kernel_would():
    lines = find_core("cortex-a76").cpuinfo().splitlines()
    fields = dict(line.split("\t: ") for line in lines if line)
    assert fields["CPU part"] == "0xd0b"
    assert "asimddp" in fields["Features"].split()
    assert "asimddp" not in find_core("cortex-a72").features.split()
    assert "i8mm" in find_core("i8mm").features.split()


def test_ratios_to_float_are_those_of_the_counts():
    row = {"unit": "packets", "macs": 4_000_000, "int8": 1_000_000, "float32": 8_500_000}
    assert "| ds_cnn | hexagon-v66 | 1 | 0.250 | 8.5 | 8.50 |" in ratio_table(
        {"ds_cnn": {"hexagon-v66": row}}
    )
