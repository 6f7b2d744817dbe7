"""TFLite files given to the command."""

import pytest

pytest.importorskip("ai_edge_litert")
from tests.compiler.importer.test_tflite import small_network


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


def test_a_damaged_file_is_one_line_and_exit_code_2(octavo, path):
    path.write_bytes(path.read_bytes()[:-100])
    outcome = octavo("compile", path, "--target", "host", "-o", path.parent / "out")
    assert outcome.code == 2
    assert len(outcome.err.strip().splitlines()) == 1
    assert not (path.parent / "out").exists()
