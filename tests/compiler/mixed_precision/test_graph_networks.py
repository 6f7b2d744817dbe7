"""Formats of a graph network's components: what is chosen, counted and reported."""

from pathlib import Path

import numpy as np
import pytest
from tests.compiler.mixed_precision.conftest import Searcher

from octavo.compiler.cli.ablation_lines import ablation_lines
from octavo.compiler.importer import import_model
from octavo.compiler.mixed_precision.ablation import Ablation, AblationRow, ablation_formats
from octavo.compiler.mixed_precision.accuracy import AccuracyMeter
from octavo.compiler.mixed_precision.choices import tied_layers, weight_bytes
from octavo.compiler.mixed_precision.network import MixedNetwork
from octavo.compiler.mixed_precision.options import SearchOptions
from octavo.compiler.mixed_precision.run import search_model
from octavo.compiler.recipes import get_recipe
from octavo.compiler.samples import open_samples
from octavo.errors import RecipeError
from octavo.passes.layer_format import EIGHT_BITS, LayerFormat
from octavo.passes.message_passing.components import Role

GRAPHS = Path(__file__).parents[3] / "examples" / "graphs"
LINEAR = ("layer1.lin/Gemm_1", "layer2.lin/Gemm_1")
SUMS = ("layer1/ScatterElements_1", "layer2/ScatterElements_1")
NODES, EDGES = 300, 3300


def graph_network(name: str, data: str) -> MixedNetwork:
    model = import_model(GRAPHS / f"{name}.onnx")
    samples = list(open_samples(GRAPHS / data, model))
    recipe = get_recipe("static_wi8_ai8")
    return MixedNetwork(model, samples, recipe=recipe, activation_dtype="uint8")


@pytest.fixture(scope="module")
def network() -> MixedNetwork:
    return graph_network("gcn", "calibration_loops.npz")


def test_what_aggregates_takes_a_format(network) -> None:
    assert set(network.layers) == {*LINEAR, *SUMS}
    assert network.weight(SUMS[0]).size == 0  # weights of edges are an input
    assert network.macs(SUMS[0]) == EDGES * 16
    assert weight_bytes(network, SUMS[0], EIGHT_BITS) == 0
    assert weight_bytes(network, LINEAR[0], LayerFormat(4, 8)) == 16 * 16 // 2 + 16 * 4


def test_a_stored_adjacency_has_bytes_of_its_own() -> None:
    club = graph_network("karate_gcn", "club.npz")
    (first, _) = (n for n in club.layers if club.weight(n).shape == (34, 34))
    assert weight_bytes(club, first, EIGHT_BITS) == 34 * 34 + 4 * 34
    assert weight_bytes(club, first, LayerFormat(4, 8)) < 34 * 34


def test_factors_of_messages_that_are_computed_in_float_have_no_width() -> None:
    sheaf = graph_network("sheaf", "calibration.npz")
    roles = {part.role for part in sheaf.components}
    assert Role.MESSAGES in roles
    assert Role.COEFFICIENTS not in roles


def test_components_choose_alike(network) -> None:
    # Both layers read different things: features, and what nodes have aggregated.
    assert set(tied_layers(network)) == {(LINEAR[0],), (LINEAR[1],), SUMS}


def test_buffers_are_those_of_the_formats(network) -> None:
    eight = dict.fromkeys(network.layers, EIGHT_BITS)
    assert network.live_bytes(eight) == EDGES + NODES * (16 + 16)
    narrow = {**eight, SUMS[0]: LayerFormat(2, 8)}
    assert network.live_bytes(narrow) == EDGES + NODES * (16 + 16)  # before they are rounded
    assert network.live_bytes({}) == 4 * NODES * (16 + 16)  # inputs in float are the caller's


def test_messages_of_two_bits_lose_most(network) -> None:
    data = np.load(GRAPHS / "test_loops.npz")
    names = ("x", "edge_index", "edge_weight")
    samples = [{n: data[n][i] for n in names} for i in range(2)]
    meter = AccuracyMeter(network, samples, data["label"][:2])
    drops = {
        role: meter.measure(formats)["drop"]
        for role, bits, formats in ablation_formats(network)
        if bits == 2
    }
    assert drops[Role.MESSAGES] > 5
    assert drops[Role.MESSAGES] == max(drops.values())


def test_a_search_by_component_finds_less_than_eight_bits_have(tmp_path) -> None:
    formats = tuple(map(LayerFormat.parse, ("w8a8", "w4a8", "w4a4")))
    options = SearchOptions(formats, budget=8, by_component=True)
    result = search_model(
        GRAPHS / "gcn.onnx", "host", tmp_path / "out", GRAPHS / "calibration_loops.npz",
        options, test_samples=GRAPHS / "test_loops.npz",
    )  # fmt: skip
    record = result.record
    assert [o["name"] for o in record["objectives"]] == ["drop", "bytes", "buffer"]
    assert record["num_judging"] == 4 * NODES
    for point in record["points"]:
        assert len({point["formats"][name] for name in SUMS}) == 1
    uniform = next(r for r in record["references"] if r["name"] == "w8a8")["objectives"]
    best = [
        p["objectives"]
        for p in record["front"]
        if p["objectives"]["drop"] <= uniform["drop"] + 1
    ]
    least = min(values["bytes"] + values["buffer"] for values in best)
    assert least < uniform["bytes"] + uniform["buffer"]
    assert {row["component"] for row in record["ablation"]["rows"]} == {
        "weights", "features", "messages", "coefficients", "aggregated",
    }  # fmt: skip


def test_other_networks_have_no_components(search: Searcher) -> None:
    with pytest.raises(RecipeError, match="no message passing"):
        search(by_component=True)


def test_bisection_moves_single_layers(tmp_path) -> None:
    options = SearchOptions(solver="bisection", limits={"noise": -20.0}, by_component=True)
    with pytest.raises(RecipeError, match="single layers"):
        search_model(
            GRAPHS / "gcn.onnx", "host", tmp_path / "out", GRAPHS / "calibration_loops.npz",
            options,
        )  # fmt: skip


def test_what_breaks_first_loses_most_where_one_loses_too_much() -> None:
    losses = {("messages", 4): 0.9, ("messages", 3): 3.0, ("weights", 4): 0.5,
              ("weights", 3): 1.5, ("weights", 2): 80.0, ("messages", 2): None}  # fmt: skip
    rows = tuple(AblationRow(name, bits, loss, 1.0) for (name, bits), loss in losses.items())
    ablation = Ablation("drop", 0.0, rows)
    assert ablation.breaks_first == "messages"
    assert Ablation("drop", 0.0, rows[:1]).breaks_first is None
    lines = list(ablation_lines({"ablation": ablation.record()}))
    assert lines[-1] == "  breaks first: messages"
    assert any(line.split()[0] == "messages" and line.endswith("-") for line in lines)
    assert not list(ablation_lines({}))
