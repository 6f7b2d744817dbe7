"""A small network on every target, and the committed table of all of them.

The table is written by ``python -m tests.conformance.grid``, ``make conformance``.
"""

import json
import re
import shutil

import numpy as np
import onnx
import pytest
from benchmarks.zoo.builder import GraphBuilder
from benchmarks.zoo.transformer import add_mlp, dense, layer_norm
from tests.compiler.lowering.test_integer_masks import attention as masked_attention
from tests.compiler.lowering.test_integer_masks import samples_of
from tests.conformance.agreement import compare, measure
from tests.conformance.grid import (
    BEGIN,
    DOCUMENT,
    FAMILIES,
    LEVELS,
    NETWORKS,
    RESULTS,
    ROOT,
    families,
    sources_digest,
    table,
    with_table,
)

from octavo.targets import get_target
from octavo.targets.host import missing_flags

# Code for Android, and for a newer signal processor, runs under the emulators of the levels.
PRODUCTS = ("pixel-8", "galaxy-s24-dsp")
TABLE = json.loads(RESULTS.read_text())
EQUAL = {"num_outputs": 10, "num_different": 0, "max_difference": 0.0, "steps": 3}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("agreement")


@pytest.fixture(scope="module")
def transformer(folder):
    """Products between float32 sums, as in MiniLM: the last normalization is an output."""
    shape = (1, 20, 72)
    g = GraphBuilder("transformer", 0)
    x = g.input("tokens", shape)
    for layer in range(2):
        mixed = dense(g, x, shape[-1], label=f"mix{layer}")
        x = layer_norm(g, g.node("Add", x, mixed), 1e-6, label=f"mixed{layer}")
        x = g.node("Add", x, add_mlp(g, x, 2 * shape[-1]))
        x = layer_norm(g, x, 1e-6, label=f"norm{layer}")
    onnx.save(g.finish(tokens_out=x), folder / "transformer.onnx")
    rng = np.random.default_rng(0)
    samples = [{"tokens": rng.normal(0, 1, shape).astype(np.float32)} for _ in range(4)]
    return folder / "transformer.onnx", samples, samples[:1]


def skip_what_does_not_run_here(target):
    if target.emulator is not None and shutil.which(target.emulator.program) is None:
        pytest.skip(f"needs {target.emulator.program}, of {target.emulator.package}")
    if target.accelerator is not None and target.accelerator.needs_gpu:
        pytest.skip("its GPU is not emulated")
    if target.emulator is None and missing_flags(target):
        pytest.skip(f"this CPU lacks {', '.join(sorted(missing_flags(target)))}")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*LEVELS, *PRODUCTS])
def test_a_small_network_gives_the_bits_of_the_host(name, folder):
    skip_what_does_not_run_here(get_target(name))
    found = measure("digits", name, folder, counts=False)
    assert found["num_outputs"] == 10
    assert found["num_different"] == 0
    assert found["float_steps"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", LEVELS)
def test_float_sums_between_integers_have_the_bits_of_the_host(name, folder, transformer):
    skip_what_does_not_run_here(get_target(name))
    found = measure("transformer", name, folder, counts=False, data=transformer)
    assert found["num_outputs"] == 20 * 72
    assert found["num_different"] == 0
    assert found["float_steps"] >= 4  # the normalizations at least


@pytest.mark.slow
@pytest.mark.parametrize("name", ["arm64-neon", "armv7-neon", "opencl"])
def test_masks_of_integers_have_the_bits_of_the_host(name, folder):
    skip_what_does_not_run_here(get_target(name))
    onnx.save(masked_attention("expanded"), folder / "masked.onnx")
    arrays = samples_of("expanded", 8)
    samples = [{key: rows[i : i + 1] for key, rows in arrays.items()} for i in range(8)]
    data = folder / "masked.onnx", samples, samples[:2]
    found = measure("masked", name, folder, counts=False, data=data)
    assert found["num_outputs"] == 128
    assert found["num_different"] == 0
    assert found["float_steps"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("network", ["gat", "sir_gcn"])
@pytest.mark.parametrize("name", ["arm64-neon", "hexagon-v68", "opencl"])
def test_graph_networks_have_the_bits_of_the_host(name, network, folder):
    skip_what_does_not_run_here(get_target(name))
    found = measure(network, name, folder, counts=False)
    assert found["num_outputs"] == 300 * 4
    assert found["num_different"] == 0
    assert found["float_steps"] == 0


def test_one_bit_is_a_difference():
    array = np.array([1.0, 2.0, 3.0], np.float32)
    other = array.copy()
    other[1] = np.nextafter(other[1], np.float32(3))
    assert compare({"y": array}, {"y": array.copy()})["num_different"] == 0
    found = compare({"y": array}, {"y": other})
    assert (found["num_outputs"], found["num_different"]) == (3, 1)
    assert 0 < found["max_difference"] < 1e-6
    # Zeros of both signs compare equal as numbers, not as bits.
    assert compare({"y": np.float32([0.0])}, {"y": np.float32([-0.0])})["num_different"] == 1


def test_the_table_says_what_differs_and_why():
    results = {
        "digits": {
            "arm64-neon": EQUAL | {"instructions": 1_500_000, "unit": "instructions"},
            "hexagon-v68": EQUAL | {"instructions": 2_000_000, "unit": "packets"},
            "armv7-neon": EQUAL | {"num_different": 2, "max_difference": 0.5},
            "riscv64-rvv": {"error": "ToolchainError: a|b"},
            "x86-64-amx": {"skipped": "this CPU lacks amx_tile"},
        },
        "ds_cnn": {"x86-64-amx": {"skipped": "this CPU lacks amx_tile"}},
    }
    text = table(results)
    assert "| arm64-neon | equal, 1.5 M | not run |" in text
    assert "| hexagon-v68 | equal, 2 Mp |" in text
    assert "| x86-64-amx | not here | not here | not run |" in text
    assert "- digits, ds_cnn on x86-64-amx: this CPU lacks amx_tile" in text
    assert "- digits on armv7-neon: 2 of 10 outputs differ, by 0.5 at most" in text
    assert "- digits on riscv64-rvv: ToolchainError: a\\|b" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + len(LEVELS)


def test_a_cell_depends_on_the_sources_of_its_own_target(monkeypatch, tmp_path):
    folders = {family for target in LEVELS for family in families(target)}
    assert folders == {*FAMILIES, "x86"}

    def digests():
        sources_digest.cache_clear()
        return {target: sources_digest(families(target)) for target in LEVELS}

    names = ("targets/hexagon/a.py", "targets/isa.py", "targets/devices/b.py")
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    monkeypatch.setattr("tests.conformance.grid.ROOT", tmp_path)
    before = digests()
    changed = {}
    for name in names:
        (tmp_path / name).write_text("pass")
        now = digests()
        changed[name] = {target for target in LEVELS if now[target] != before[target]}
        (tmp_path / name).write_text("")
    sources_digest.cache_clear()
    assert changed["targets/hexagon/a.py"] == {t for t in LEVELS if t.startswith("hexagon")}
    assert changed["targets/isa.py"] == set(LEVELS)
    assert changed["targets/devices/b.py"] == set()


@pytest.mark.parametrize("family", [*FAMILIES, "x86"])
def test_families_of_targets_know_nothing_of_each_other(family):
    """Else a cell would depend on more sources; GPUs name the records of CPUs beside them."""
    others = "|".join({*FAMILIES, "x86"} - {family})
    pattern = rf"octavo\.targets\.(?:{others})(?!\.levels)\b"
    for path in (ROOT / "targets" / family).glob("*.py"):
        assert not re.search(pattern, path.read_text()), path


def test_the_document_has_the_committed_table():
    text = DOCUMENT.read_text()
    assert text.count(BEGIN) == 1
    assert with_table(text, TABLE) == text


def test_the_table_has_every_network():
    assert set(TABLE) <= set(NETWORKS)
    assert set(TABLE["digits"]) == set(LEVELS)
    assert {target for row in TABLE.values() for target in row} <= set(LEVELS)
