"""Samples of graphs of any size: read, and quantized by as if each size had its own model."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from examples.graphs.networks import Sizes, node_classifier, random_weights, weight_shapes
from tests.graph_samples import graph_samples

from octavo.compiler.importer import import_model
from octavo.compiler.quantize import quantize_model
from octavo.compiler.samples import open_samples
from octavo.errors import DataError

NUM_NODES, NUM_EDGES, NUM_SAMPLES = 25, 70, 3
MAXIMA = {"nodes": 40, "edges": 150}
SIZES = Sizes(None, None, num_features=6, hidden=8)


def saved(name, folder):
    weights = random_weights(weight_shapes(name, SIZES), np.random.default_rng(0))
    onnx.save(node_classifier(name, weights, SIZES), folder / "net.onnx")
    return folder / "net.onnx"


def samples(num_nodes=NUM_NODES, num_edges=NUM_EDGES, num_samples=NUM_SAMPLES):
    return graph_samples(num_nodes, num_edges, num_samples, SIZES.num_features)


@pytest.mark.parametrize("name", ["gcn", "sage_mean", "gat", "sir_gcn", "gin", "sheaf"])
def test_ranges_are_those_of_a_model_of_the_samples_size(name, tmp_path):
    path, data = saved(name, tmp_path), samples()
    shapes = {key: array.shape[1:] for key, array in data.items()}
    taken = {key: shapes[key] for key in ("x", "edge_index", "edge_weight")}
    wanted = {v.name for v in onnx.load(path).graph.input}
    exact = import_model(path, shapes={k: v for k, v in taken.items() if k in wanted})
    counted = import_model(path, maxima=MAXIMA)
    results = [quantize_model(m, open_samples(data, m)) for m in (exact, counted)]
    first, second = (result.model.graph for result in results)
    scales = [key for key in first.initializers if "scale" in key or "zero_point" in key]
    assert len(scales) > 8
    for key in scales:
        arrays = [graph.initializers[key].const_value.numpy() for graph in (first, second)]
        np.testing.assert_array_equal(*arrays)
    assert results[0].output_sqnr_db == pytest.approx(results[1].output_sqnr_db, abs=1e-3)
    pairs = zip(results[0].errors, results[1].errors, strict=True)
    for one, other in pairs:
        assert one.layer == other.layer
        assert one.sqnr_isolated_db == pytest.approx(other.sqnr_isolated_db, abs=1e-3)


def test_files_of_different_sizes(tmp_path):
    model = import_model(saved("gcn", tmp_path), maxima=MAXIMA)
    folder = tmp_path / "graphs"
    folder.mkdir()
    for number, size in enumerate((3, 150, 31)):
        np.savez(folder / f"{number}.npz", **samples(number + 2, size, 2))
    found = list(open_samples(folder, model))
    assert [sample["edge_index"].shape for sample in found[::2]] == [(2, 3), (2, 150), (2, 31)]
    assert [sample["x"].shape[0] for sample in found[::2]] == [2, 3, 4]
    assert all(set(sample) == {"x", "edge_index", "edge_weight"} for sample in found)


def test_a_file_may_say_how_many_rows_are_in_use(tmp_path):
    model = import_model(saved("gcn", tmp_path), maxima=MAXIMA)
    data = samples()
    data["edges"] = np.array([[70], [0], [12]])
    data["nodes"] = np.array([5, 25, 2])
    found = list(open_samples(data, model))
    assert [s["edge_weight"].shape for s in found] == [(70,), (0,), (12,)]
    np.testing.assert_array_equal(found[2]["edge_index"], data["edge_index"][2][:, :12])
    assert [len(s["x"]) for s in found] == [5, 25, 2]
    data["edges"][1] = 71
    with pytest.raises(DataError, match=r"'edges' is 71; allowed: 0 to 70"):
        list(open_samples(data, model))


def test_samples_that_do_not_fit_are_one_line(tmp_path):
    model = import_model(saved("gcn", tmp_path), maxima=MAXIMA)
    with pytest.raises(DataError, match=r"'edge_index' has shape \(3, 2, 151\)"):
        open_samples(samples(num_edges=151), model)
    uneven = {**samples(), "edge_weight": samples(num_edges=69)["edge_weight"]}
    with pytest.raises(DataError, match="different numbers of rows of dimension 'edges'"):
        list(open_samples(uneven, model))


def test_quantized_models_keep_their_counts(tmp_path):
    model = import_model(saved("gcn", tmp_path), maxima=MAXIMA)
    quantized = quantize_model(model, open_samples(samples(), model), measure=False).model
    assert isinstance(quantized, ir.Model)
    assert quantized.graph.metadata_props == model.graph.metadata_props
