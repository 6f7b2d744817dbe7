import io
import zipfile

import numpy as np
import pytest

from octavo.compiler.sensitivity.compare import compare_measures, kendall_tau, split
from octavo.compiler.sensitivity.labels import accuracy, read_labels
from octavo.compiler.sensitivity.measures import MEASURE_NAMES
from octavo.errors import DataError, ModelError
from octavo.passes.layer_format import LayerFormat

W3A8 = LayerFormat.parse("w3a8")


def test_layers_are_ranked_and_the_drop_is_measured(network, samples):
    found = compare_measures(
        network,
        samples,
        num_samples=len(samples),
        measure="propagated_error",
        layer_format=W3A8,
        labels=np.zeros(len(samples), np.int64),
    )
    (ranking,) = found.rankings
    assert sorted(ranking.order) == ["first", "second", "third"]
    losses = [ranking.scores[name].loss for name in ranking.order]
    assert losses == sorted(losses, reverse=True)
    assert (found.num_measuring, found.num_judging) == (6, 6)
    errors = [drop.output_error for drop in found.drops]
    graph_order = [ranking.scores[drop.layer].loss for drop in found.drops]
    assert ranking.tau_error == kendall_tau(graph_order, errors)
    assert all(drop.accuracy_points is not None for drop in found.drops)


def test_without_labels_only_errors_are_measured(network, samples):
    found = compare_measures(
        network, samples, num_samples=4, measure="kurtosis", layer_format=W3A8
    )
    assert {drop.accuracy_points for drop in found.drops} == {None}
    assert found.rankings[0].tau_accuracy is None


def test_no_samples_are_refused(network):
    with pytest.raises(DataError, match="no samples"):
        compare_measures(network, [], num_samples=0, layer_format=W3A8)


def test_a_quantized_model_is_refused(network, samples, trials):
    quantized = trials.variants.quantized({"first": W3A8})
    with pytest.raises(ModelError, match="quantized already"):
        compare_measures(quantized, samples, num_samples=2, layer_format=W3A8)


@pytest.mark.parametrize("count", [2, 3, 128, 450, 5000])
def test_drops_are_judged_on_other_samples(count):
    measuring, judging = split(count)
    assert not set(measuring) & set(judging)
    assert 1 <= len(measuring) <= 64
    assert 1 <= len(judging) <= 256
    assert max(measuring + judging) < count


def test_one_sample_serves_both():
    assert split(1) == ([0], [0])


def test_tau_counts_pairs_in_the_same_order():
    assert kendall_tau([1, 2, 3], [10, 20, 30]) == pytest.approx(1.0)
    assert kendall_tau([1, 2, 3], [30, 20, 10]) == pytest.approx(-1.0)
    assert kendall_tau([1, 2, 3], [10, 30, 20]) == pytest.approx(1 / 3)
    assert kendall_tau([1, 1, 1], [1, 2, 3]) is None


def test_labels_are_read_beside_the_samples(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=np.zeros((3, 2)), label=np.array([0, 2, 1], np.uint8))
    labels = read_labels(path, 3)
    assert labels is not None
    assert labels.tolist() == [0, 2, 1]
    assert read_labels(path, 3, inputs=["label"]) is None
    with pytest.raises(DataError, match=r"uint8\[3\]; one integer for each of 4"):
        read_labels(path, 4)


def test_labels_that_would_fill_the_memory_are_not_unpacked(tmp_path):
    path = tmp_path / "data.npz"
    np.savez_compressed(path, label=np.zeros(10**6, np.int64))
    with pytest.raises(DataError, match=r"int64\[1000000\]; one integer for each of 3"):
        read_labels(path, 3)
    header = io.BytesIO()
    shape = {"descr": "|u1", "fortran_order": False, "shape": (3, 2**40)}
    np.lib.format.write_array_header_1_0(header, shape)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("label.npy", header.getvalue())
    with pytest.raises(DataError, match="take 3298534883328 bytes"):
        read_labels(path, 3)


def test_labels_that_would_need_pickle_are_refused(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, label=np.array([{}], object))
    with pytest.raises(DataError, match="cannot be read"):
        read_labels(path, 1)


def test_rows_may_have_labels_of_their_own(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, label=np.array([[0, -1], [1, 1]], np.int8))
    labels = read_labels(path, 2)
    outputs = [{"y": np.array([[2.0, 1.0], [0.0, 1.0]])}, {"y": np.array([[0.0, 1], [1, 0]])}]
    assert labels is not None
    assert accuracy(outputs, labels) == pytest.approx(2 / 3)  # one of four does not count
    assert accuracy(outputs, np.full((2, 2), -1)) is None
    assert accuracy(outputs, np.zeros((2, 3), int)) is None  # of two rows each
    assert accuracy(outputs, np.array([1, 0])) is None


def test_accuracy_counts_the_largest_output():
    outputs = [{"y": np.array([[0.0, 1.0]])}, {"y": np.array([[2.0, 1.0]])}]
    assert accuracy(outputs, np.array([1, 1])) == 0.5
    assert accuracy(outputs, np.array([1, 2])) is None  # there is no class 2
    assert accuracy([{"y": np.zeros((2, 2))}], np.array([1])) is None  # a row for each pixel


def test_all_measures_leave_out_the_one_that_a_network_does_not_allow(network, samples):
    """Relevance needs a rule for every operator, the others run the network forward."""
    model = network.clone()
    relu = next(node for node in model.graph if node.name == "relu")
    relu.op_type = "Sin"
    found = compare_measures(model, samples, num_samples=12, layer_format=W3A8)
    assert list(found.left_out) == ["relevance"]
    assert "Sin 'relu'" in found.left_out["relevance"]
    assert [r.measure for r in found.rankings] == [
        n for n in MEASURE_NAMES if n != "relevance"
    ]
    with pytest.raises(ModelError, match="Sin 'relu'"):
        compare_measures(model, samples, num_samples=4, measure="relevance", layer_format=W3A8)
