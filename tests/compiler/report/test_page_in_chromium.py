"""Report pages as Chromium draws them, on a desk and on a phone, light and dark."""

from dataclasses import replace

import numpy as np
import pytest
from tests.chromium import assert_is_fine

from octavo.compiler.counting.counts import CountedRun, Counts
from octavo.compiler.report.comparison import compare_profiles
from octavo.compiler.report.manifest import report_from_manifest
from octavo.compiler.report.origin import Origin
from octavo.compiler.report.page import render_comparison, render_page
from octavo.compiler.report.profile_document import profile_of

ORIGIN = Origin("local", "a CPU", 1, "given", "2026-01-01T00:00:00+00:00", ("a busy machine",))
NUM_STEPS = 170
SIZES = [(1280, "light"), (1280, "dark"), (390, "light"), (820, "dark")]
# Chart colours of both schemes, as in style.css.
INT8 = {"light": (0x1F, 0x6F, 0xEB), "dark": (0x44, 0x93, 0xF8)}


def large_manifest(placement):
    """A network with so many layers, and names as long as exporters make them."""
    name = "/model/backbone/encoder/stage{}/block{}/attention/self/projection/Conv_quantized"
    rng = np.random.default_rng(0)
    steps = [
        {
            "name": name.format(i // 40, i), "kernel": f"k{i % 7}", "op_types": ["Conv"],
            "nodes": [name.format(i // 40, i)],
            "placement": placement if i % 5 else "float32",
            "variant": f"conv_gemm.avx512_vbmi_{placement}.{i % 7}x96", "macs": int(macs),
            "reason": "" if i % 5 else "no integer kernel for axis 1 of this operator",
            "read_bytes": 40_000, "weight_bytes": 9_000, "written_bytes": 50_000,
        }
        for i, macs in enumerate(rng.lognormal(14, 1.2, NUM_STEPS))
    ]  # fmt: skip
    buffers = [
        {
            "name": f"{name.format(0, i)}_output_0", "offset_bytes": (i % 4) << 18,
            "num_bytes": int(size), "first_step": i - 1, "last_step": i + 1,
        }
        for i, size in enumerate(rng.integers(1 << 16, 1 << 18, NUM_STEPS))
    ]  # fmt: skip
    return {
        "name": "a_network_with_a_rather_long_name_" * 3,
        "target": "host",
        "steps": steps,
        "memory": {
            "arena_bytes": 1 << 20, "lower_bound_bytes": 900_000, "weights_bytes": 4 << 20,
            "buffers": buffers,
        },
        "files": {"weights.bin": "ab" * 32},
        "versions": {"octavo": "0.1.0"},
    }  # fmt: skip


def large_report(make_peaks, placement="int8", slowness=1.0):
    rng = np.random.default_rng(1)
    manifest = large_manifest(placement)
    medians = [slowness * (step["macs"] / 3e5 + 1) for step in manifest["steps"]]
    samples = [median * rng.lognormal(0, 0.02, 12) for median in medians]
    errors = [
        {
            "layer": step["name"], "op_type": "Conv",
            "sqnr_isolated_db": float(rng.normal(35, 5)), "sqnr_cumulative_db": 20.0,
        }
        for step in manifest["steps"]
    ]  # fmt: skip
    return report_from_manifest(
        manifest, errors=errors, samples_us=samples, round_sizes=[2] * 6, peaks=[make_peaks()]
    )


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A folder for pages and their pictures; pytest keeps those of the last runs."""
    return tmp_path_factory.mktemp("pages")


def colour_share(image, colour):
    """Part of the pixels that have a colour, almost."""
    return (np.abs(image.astype(int) - colour).max(axis=2) <= 2).mean()


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_a_profile_of_many_layers(browser, pages, make_peaks, width, scheme):
    report = large_report(make_peaks)
    before = large_report(make_peaks, "float32", slowness=1.5)
    comparison = compare_profiles(profile_of(before, ORIGIN), profile_of(report, ORIGIN))
    page = pages / "profile.html"
    page.write_text(render_page(report, comparison))
    assert page.stat().st_size < 1_500_000
    look = browser.look(page, width, scheme)
    # Before and after twice, accuracy, latency, cumulative, roofline, memory.
    assert_is_fine(look, 7)
    marks = {chart["label"]: chart["marks"] for chart in look.charts}
    assert marks[f"Time of {NUM_STEPS} layers before and after"] == 2 * NUM_STEPS
    assert marks[f"Time of {NUM_STEPS} steps"] == NUM_STEPS
    assert marks[f"Roofline of {NUM_STEPS} steps"] == NUM_STEPS
    assert marks[f"Signal to noise of {NUM_STEPS} layers"] == NUM_STEPS + 1  # and the line
    assert marks[f"Place and life time of {NUM_STEPS} buffers"] == NUM_STEPS + 1
    assert colour_share(look.image, INT8[scheme]) > 0.002


@pytest.mark.parametrize(("width", "scheme"), SIZES)
def test_a_comparison_of_two_files(browser, pages, make_peaks, width, scheme):
    before, after = (
        profile_of(large_report(make_peaks, placement, slowness), ORIGIN)
        for placement, slowness in (("float32", 1.5), ("int8", 1.0))
    )
    page = pages / "comparison.html"
    page.write_text(render_comparison(compare_profiles(before, after)))
    look = browser.look(page, width, scheme)
    assert_is_fine(look, 2)
    assert colour_share(look.image, INT8[scheme]) > 0.002


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_what_compile_writes_has_no_empty_chart(browser, pages, manifest, width, scheme):
    page = pages / "compiled.html"
    page.write_text(render_page(report_from_manifest(manifest)))
    assert_is_fine(browser.look(page, width, scheme), 1)  # memory; the rest says how to get it


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_counted_instructions(browser, pages, manifest, width, scheme):
    counts = Counts(instructions=5000, loads=900, stores=100, loaded_bytes=1, stored_bytes=1)
    counted = CountedRun((counts, counts), counts, "qemu-aarch64", "instructions")
    page = pages / "counted.html"
    page.write_text(render_page(replace(report_from_manifest(manifest), counted=counted)))
    assert_is_fine(browser.look(page, width, scheme), 1)


def test_a_step_without_time_and_a_model_of_one_step(browser, pages, manifest):
    del manifest["steps"][1]
    manifest["memory"]["buffers"] = []
    page = pages / "one.html"
    page.write_text(render_page(report_from_manifest(manifest, samples_us=[[0.0, 0.0]])))
    assert_is_fine(browser.look(page, 1280), 2)


def test_a_broken_page_is_seen(browser, pages):
    """The checks above can fail: a script, a request, an empty chart."""
    page = pages / "broken.html"
    page.write_text("<img src='missing.png'><script>console.error('x')</script>"
                    "<figure><svg viewBox='0 0 9 9'><text x='8' y='5'>label</text></svg>")
    look = browser.look(page, 390)
    assert any(text.startswith("request: ") for text in look.complaints)
    assert any(text.startswith("failed: ") for text in look.complaints)
    assert "console: x" in look.complaints
    assert look.charts[0]["marks"] == 0
    assert look.charts[0]["cut"] == ["label"]
