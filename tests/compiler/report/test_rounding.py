import json

import pytest

from octavo.compiler.calibration.output_agreement import Agreement
from octavo.compiler.calibration.retune_layers import Retuning
from octavo.compiler.calibration.round_model import RoundingResult
from octavo.compiler.calibration.rounding_layers import RoundedLayer
from octavo.compiler.recipes import DEFAULT_RECIPE, get_recipe
from octavo.compiler.report.manifest import report_from_manifest
from octavo.compiler.report.page import render_page
from octavo.compiler.report.rounding import rounding_entry, rounding_from_manifest
from octavo.errors import ArtifactError

RECIPE = get_recipe(DEFAULT_RECIPE, rounding="second_order")
LAYERS = (RoundedLayer("stem/conv", 0.5, 0.1, 30, 100), RoundedLayer("fc<b>", 0.5, 0.5, 0, 20))
RETUNING = Retuning("bias", Agreement(0.9, 10.0), Agreement(0.95, 11.0))


@pytest.fixture
def rounded(manifest):
    entry = rounding_entry(RECIPE, RoundingResult(LAYERS, {}, RETUNING))
    return {**manifest, "metadata": json.loads(json.dumps({"rounding": entry}))}


def test_what_was_done_survives_the_manifest(rounded):
    found = rounding_from_manifest(rounded["metadata"])
    assert (found.method, found.mode, found.retuned) == ("second_order", "sequential", "bias")
    assert found.num_better == 1
    assert found.changed_share == 0.25
    stem, head = found.layers
    assert (stem.layer, stem.error_left, stem.changed_share) == ("stem/conv", 0.2, 0.3)
    assert (head.error_left, head.changed_share) == (1.0, 0.0)


def test_nearest_integers_leave_no_trace(manifest):
    assert rounding_entry(get_recipe(DEFAULT_RECIPE), RoundingResult()) is None
    assert rounding_from_manifest({}) is None
    assert "Integers of weights" not in render_page(report_from_manifest(manifest))


def test_the_page_has_a_row_for_each_layer(rounded):
    html = render_page(report_from_manifest(rounded))
    assert "1 of 2 layers are nearer to float" in html
    assert "25% of the integers are others" in html
    assert '<th scope="row">stem/conv</th><td class="n">20%</td><td class="n">30%</td>' in html
    assert "fc&lt;b&gt;" in html
    assert "retuned (bias)" in html


def test_a_damaged_entry_is_refused(rounded):
    del rounded["metadata"]["rounding"]["layers"][0]["error_after"]
    with pytest.raises(ArtifactError):
        report_from_manifest(rounded)
