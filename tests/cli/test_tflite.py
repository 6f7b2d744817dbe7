"""TFLite files given to the command."""

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")
from benchmarks.peers.tflite.files import litert_run, pack
from tests.compiler.importer.test_tflite import small_network
from tests.compiler.importer.test_tflite_damaged import DAMAGES, valid


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(small_network("int8"))
    return path


def test_a_tflite_file_is_inspected_like_any_model(octavo, path):
    payload = octavo("inspect", path, "--json").json
    assert [port["name"] for port in payload["inputs"]] == ["image"]
    assert payload["inputs"][0]["shape"] == [1, 12, 12, 3]
    assert payload["inputs"][0]["dtype"] == "int8"
    assert payload["macs"] == 6 * 6 * 8 * 27 + 6 * 6 * 8 * 9 + 72 * 5


def test_a_tflite_file_is_compiled_and_run_as_litert_does(octavo, path, tmp_path):
    image = np.random.default_rng(0).integers(-128, 128, (1, 12, 12, 3)).astype(np.int8)
    np.savez(tmp_path / "x.npz", image=image)
    out = tmp_path / "out"
    options = ("--target", "host", "--requantize", "tflite", "-o", out)
    assert octavo("compile", path, *options).code == 0
    outcome = octavo("run", out, "--input", tmp_path / "x.npz", "-o", tmp_path / "y.npz")
    assert outcome.code == 0
    (expected,) = litert_run(path.read_bytes(), {"image": image})
    with np.load(tmp_path / "y.npz") as found:
        (actual,) = found.values()
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("name", list(DAMAGES)[::2])
def test_ten_damaged_files_are_one_line_and_exit_code_2(octavo, path, name):
    damage, match = DAMAGES[name]
    file = valid()
    damage(file)
    path.write_bytes(pack(file.model))
    outcome = octavo("inspect", path)
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    assert match in outcome.err


def test_a_damaged_file_is_one_line_and_exit_code_2(octavo, path):
    path.write_bytes(path.read_bytes()[:-100])
    outcome = octavo("compile", path, "--target", "host", "-o", path.parent / "out")
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    assert not (path.parent / "out").exists()
