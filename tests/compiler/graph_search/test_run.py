"""The whole command: networks that were found are measured and can be compiled again."""

import json
from pathlib import Path

import pytest
from tests.compiler.graph_search.block_data import NUM_NODES, write_graph

from octavo.compiler.cli.main import main
from octavo.compiler.cli.search_graph_lines import search_graph_lines
from octavo.compiler.graph_search.exported import overrides_text
from octavo.compiler.graph_search.options import GraphSearchOptions
from octavo.compiler.graph_search.run import search_graph
from octavo.compiler.recipes import read_overrides
from octavo.errors import ArtifactError, RecipeError
from octavo.passes.layer_format import LayerFormat

QUICK = ["--layers", "gcn,sage_mean", "--hidden", "8", "--heads", "2", "--steps", "20"]
QUICK += ["--tuning-steps", "20", "--size-weights", "0,10", "--target", "host"]


def test_formats_are_overrides_of_nodes(tmp_path: Path) -> None:
    path = tmp_path / "formats.toml"
    path.write_text(overrides_text({"layer1.lin/Gemm_1": LayerFormat(4, 8)}))
    (override,) = read_overrides(path)
    assert (override.match, override.weight_bits) == ("layer1.lin/Gemm_1", 4)
    assert override.activation_bits == 8


def test_without_pytorch_it_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    import importlib.util as util

    monkeypatch.setattr(util, "find_spec", lambda name: None)
    graph = write_graph(tmp_path / "graph.npz")
    with pytest.raises(RecipeError, match=r"pip install 'octavo\[train\]'"):
        search_graph(graph, "host", tmp_path / "out", GraphSearchOptions())
    assert not (tmp_path / "out").exists()


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    graph = write_graph(tmp_path / "graph.npz")
    (tmp_path / "out").mkdir()
    with pytest.raises(ArtifactError, match="holds no search"):
        search_graph(graph, "host", tmp_path / "out", GraphSearchOptions(), force=True)
    (tmp_path / "out" / "search-graph.json").write_text("{}")
    with pytest.raises(ArtifactError, match="--force"):
        search_graph(graph, "host", tmp_path / "out", GraphSearchOptions())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layers", "gcn,cnn"], "layers gcn, cnn; allowed"),
        (["--weight-bits", "4,x"], "is no list of numbers"),
        (["--weight-bits", "4.5"], "is no list of whole numbers"),
        (["--activation-bits", "32"], "activation bits 32"),
        (["--size-weights", "-1"], "size weights -1"),
        (["--hidden", "7"], "7 channels with 4 heads"),
    ],
)
def test_wrong_choices_are_one_line(options, message, tmp_path: Path, capsys) -> None:
    graph = write_graph(tmp_path / "graph.npz")
    words = ["search-graph", str(graph), "--target", "host", "-o", str(tmp_path / "out")]
    assert main([*words, *options]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown


def test_every_network_is_shown_against_itself_in_other_widths() -> None:
    measured = {
        "accuracy": 90.0,
        "weight_bytes": 100.0,
        "buffer_bytes": 2048.0,
        "latency": None,
        "arena_bytes": None,
    }
    layer = {"kind": "gcn", "activation": "none", "shortcut": True, "bits": {"messages": 4}}
    point = {
        "id": 1, "size_weight": 0.5, "on_front": True, "layers": [layer],
        "measured": {
            "found": {**measured, "latency": 0.01, "arena_bytes": 4096},
            "w8a8": measured,
            "float32": measured,
        },
    }  # fmt: skip
    record = {
        "graph": "g", "target": "host", "device": "local", "nodes": 5, "edges": 9,
        "test_nodes": 2, "points": [point],
    }  # fmt: skip
    lines = list(search_graph_lines(record, Path("out"), "ms"))
    assert " *#1 size weight 0.5" in lines
    assert "      layer 1: gcn with a shortcut; bits: messages 4" in lines
    found = next(line for line in lines if "in these widths" in line)
    assert "90.0% right, latency 10.0 us, weights 100 B, live buffers 2.00 KiB" in found
    assert found.endswith(", arena 4.00 KiB")


def test_a_search_leaves_networks_that_compile_again(tmp_path: Path, capsys) -> None:
    pytest.importorskip("torch")
    graph, out = write_graph(tmp_path / "graph.npz"), tmp_path / "out"
    words = ["search-graph", str(graph), "-o", str(out), "--device", "none", "--json", *QUICK]
    assert main(words) == 0
    record = json.loads(capsys.readouterr().out)
    assert record == json.loads((out / "search-graph.json").read_text())
    assert record["nodes"] == NUM_NODES
    large, small = (point["measured"]["found"] for point in record["points"])
    assert small["weight_bytes"] <= large["weight_bytes"]
    assert any(point["on_front"] for point in record["points"])
    for point in record["points"]:
        folder = out / point["model"]
        assert (out / point["artifact"] / "manifest.json").is_file()
        manifest = json.loads((out / point["artifact"] / "manifest.json").read_text())
        arena_bytes = point["measured"]["found"]["arena_bytes"]
        assert arena_bytes == manifest["memory"]["arena_bytes"]
        chosen = manifest["metadata"]["search"]["formats"]
        assert chosen == {name: point["formats"].get(name, "w8a8") for name in chosen}
    words = ["quantize", str(folder / "network.onnx"), "--data", str(folder / "graph.npz")]
    words += ["--overrides", str(folder / "formats.toml"), "-o", str(tmp_path / "q.onnx")]
    assert main(words) == 0
    again = [*QUICK, "--device", "none", "--json", "-o", str(out), "--force"]
    assert main(["search-graph", str(graph), *again]) == 0
    assert json.loads((out / "search-graph.json").read_text())["points"] == record["points"]
