"""Searches: fronts that were measured, limits, resumption."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.compiler.mixed_precision.conftest import FORMATS, Searcher

from octavo.compiler.mixed_precision.run import Executors, SearchResult
from octavo.compiler.mixed_precision.search import check_limits
from octavo.compiler.search.front import dominates
from octavo.compiler.selection.options import SelectionOptions
from octavo.compiler.session import load
from octavo.compiler.workers import processes
from octavo.errors import ArtifactError, DataError, GateError, RecipeError

BUDGET = 12


def _points(result: SearchResult) -> list[tuple[dict[str, str], dict[str, float]]]:
    return [(point["formats"], point["objectives"]) for point in result.record["points"]]


def test_the_front_is_what_nothing_measured_dominates(search: Searcher) -> None:
    record = search(budget=20).record
    names = [objective["name"] for objective in record["objectives"]]
    assert names == ["drop", "bytes"]
    points = np.array([[p["objectives"][n] for n in names] for p in record["points"]])
    front = {tuple(f["objectives"][n] for n in names) for f in record["front"]}
    dominated = dominates(points).any(axis=0)
    assert front == {tuple(point) for point in points[~dominated].tolist()}
    assert len(record["points"]) >= 20
    assert record["progress"][-1]["hypervolume"] == pytest.approx(1.0)


def test_an_artifact_is_the_configuration_that_was_measured(search: Searcher) -> None:
    result = search(budget=16)
    record, folder = result.record, result.directory
    assert json.loads((folder / "search.json").read_text()) == json.loads(json.dumps(record))
    sizes = {}
    for point in record["front"]:
        manifest = json.loads((folder / point["artifact"] / "manifest.json").read_text())
        assert manifest["metadata"]["search"]["formats"] == record["points"][point["id"]][
            "formats"]  # fmt: skip
        sizes[point["objectives"]["bytes"]] = (
            folder / point["artifact"] / "weights.bin").stat().st_size
    # What the search counts as bytes orders the files as they are.
    ordered = [sizes[key] for key in sorted(sizes)]
    assert ordered == sorted(ordered)
    with load(folder / record["best"]["artifact"]) as session:
        image = np.zeros((1, 1, 8, 8), np.float32)
        (outputs,) = session.run({"image": image}).values()
    assert outputs.shape == (1, 10)


def test_limits_are_kept_and_others_are_refused(search: Searcher) -> None:
    free = search("free", budget=20).record
    sizes = sorted(point["objectives"]["bytes"] for point in free["points"])
    limit = sizes[len(sizes) // 2]
    limited = search("limited", budget=20, limits={"bytes": limit})
    assert limited.record["best"]["objectives"]["bytes"] <= limit
    with pytest.raises(GateError, match=r"no configuration meets bytes <= 1 \(least: \d+\)"):
        search("small", limits={"bytes": 1.0})
    with pytest.raises(RecipeError, match="limit on latency"):
        search("untimed", limits={"latency": 1.0})


def test_a_limit_that_nothing_meets_is_refused_with_the_nearest(search: Searcher) -> None:
    result = search(limits={"drop": -50.0})
    assert result.record["best"] is None
    with pytest.raises(GateError, match=r"accuracy lost -50.00 points; the nearest has"):
        check_limits(result.found)


@pytest.mark.parametrize("solver", ["bisection", "integer-program", "reinforce", "random"])
def test_every_solver_searches(search: Searcher, solver: str) -> None:
    limits = {"bisection": {"drop": 1.0}, "random": {}}.get(solver, {"bytes": 30_000.0})
    record = search(solver=solver, limits=limits).record
    assert record["best"] is not None
    assert all(record["best"]["objectives"][name] <= v for name, v in limits.items())


def test_instructions_are_counted_under_an_emulator(search: Searcher) -> None:
    device = SelectionOptions("qemu")
    result = search(
        budget=2, device=device, target="arm64-dotprod", max_samples=8, formats=FORMATS[:2])
    unit = {o["name"]: o["unit"] for o in result.record["objectives"]}
    assert unit["latency"] == "instructions"
    by_id = {point["id"]: point for point in result.record["points"]}
    for point in result.record["front"]:
        again = by_id[point["id"]]["objectives"]["latency"]
        assert point["objectives"]["latency"] == pytest.approx(again)


def test_workers_change_nothing(search: Searcher) -> None:
    alone = search("alone")
    together = search("together", executors=Executors(workers=lambda make: processes(make, 2)))
    assert _points(alone) == _points(together)
    assert alone.record["front"] == together.record["front"]


def test_a_finished_search_is_resumed_without_measuring_anything(
    search: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = search()

    def refuse(*arguments: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr(
        "octavo.compiler.mixed_precision.accuracy.AccuracyMeter.measure", refuse)
    assert search(resume=True).record == first.record


def test_mistakes_leave_no_folder(search: Searcher, tmp_path: Path) -> None:
    np.savez(tmp_path / "unlabelled.npz", image=np.zeros((4, 1, 8, 8), np.float32))
    for error, match, options in (
        (DataError, "no array label", {"limits": {"drop": 1.0}, "test_samples": True}),
        (RecipeError, "bisection needs a limit", {"solver": "bisection"}),
        (RecipeError, "reinforce needs a limit", {"solver": "reinforce"}),
        (GateError, "no configuration meets bytes", {"limits": {"bytes": 1.0}}),
    ):
        if options.pop("test_samples", None):
            options["test_samples"] = tmp_path / "unlabelled.npz"
        with pytest.raises(error, match=match):
            search("none", **options)
        assert not (tmp_path / "none").exists()


def test_a_folder_is_never_overwritten_by_chance(search: Searcher, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no search"):
        search("missing", resume=True)
    search()
    with pytest.raises(ArtifactError, match="--resume goes on"):
        search()
    with pytest.raises(ArtifactError, match="had seed = 0, this one has 1"):
        search(resume=True, seed=1)
    search(force=True, seed=1)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("precious")
    with pytest.raises(ArtifactError, match="holds no search"):
        search("other", force=True)
