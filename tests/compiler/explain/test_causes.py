"""Causes of a step's time, against numbers that were worked out by hand."""

import pytest

from octavo.compiler.explain.causes import step_causes

CONV = {"type": "Conv", "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1,
        "requantize": {"dtype": "uint8"}}  # fmt: skip
# 40,000 products at 400 in a nanosecond take 0.1 us.
STEP = {
    "placement": "int8", "reason": "", "operation": CONV, "variant": "conv_gemm.isa.4x16",
    "macs": 40_000, "read_bytes": 100, "weight_bytes": 100, "written_bytes": 100,
    "scratch_bytes": 0, "padding": [],
}  # fmt: skip


def causes(latency_us, peaks=(), **changes):
    return {c.kind: c for c in step_causes(STEP | changes, latency_us, 1000, peaks)}


@pytest.fixture
def peaks(make_peaks):
    return (make_peaks(),)


def test_a_step_at_its_roof_has_one_cause(peaks):
    roof = causes(0.0, peaks)["compute"].cost_us
    assert roof == pytest.approx(0.1 + peaks[0].call_us)
    assert list(causes(roof, peaks)) == ["compute"]


def test_padding_costs_its_part_of_the_products(peaks):
    padding = [
        {"axis": "output channels", "wanted": 24, "computed": 32},
        {"axis": "pixels", "wanted": 100, "computed": 100}]
    found = causes(1.0, peaks, padding=padding)
    assert found["padding"].cost_us == pytest.approx(0.1 / 3)
    assert "1.33x" in found["padding"].text
    assert "24 of 32 output channels" in found["padding"].text
    assert "pixels" not in found["padding"].text
    total = sum(c.cost_us or 0.0 for c in found.values())
    assert total == pytest.approx(1.0)  # with the rest


def test_a_little_padding_is_not_mentioned(peaks):
    padding = [{"axis": "pixels", "wanted": 99, "computed": 100}]
    assert "padding" not in causes(1.0, peaks, padding=padding)


def test_bytes_that_take_longer_than_products(peaks):
    found = causes(3.0, peaks, macs=400, read_bytes=19_900, weight_bytes=0)
    # From main memory: ten bytes in a nanosecond.
    assert found["memory"].cost_us == pytest.approx(peaks[0].call_us + 2.0)
    assert "bound by memory: 19.53 KiB" in found["memory"].text
    assert "compute" not in found


def test_scratch_is_written_and_read(peaks):
    found = causes(10.0, peaks, scratch_bytes=2000)
    rate = peaks[0].level(2300).rate.best
    assert found["scratch"].cost_us == pytest.approx(4000 / rate * 1e-3)
    assert "a copy of the input between its padding" in found["scratch"].text
    assert "scratch" not in causes(10.0, peaks, scratch_bytes=9)


def test_float_and_generic_code():
    found = causes(1.0, placement="float32", reason="its output is not quantized",
                   operation=None, variant="relax")  # fmt: skip
    assert found["float"].text == "computed in float32: its output is not quantized"
    assert "generic" in found
    assert "float" not in causes(1.0)


@pytest.mark.parametrize(
    ("changes", "kind", "part"),
    [
        ({"macs": 900}, "shallow", "only 9 products"),
        ({"operation": CONV | {"stride_w": 2}}, "strided", "1x2 input pixels"),
        ({"operation": CONV | {"dilation_h": 3}}, "strided", "3x1 pixels"),
    ],
)
def test_shapes(changes, kind, part):
    assert part in causes(1.0, **changes)[kind].text
    assert kind not in causes(1.0)


def test_results_in_float_have_four_bytes():
    stored = CONV | {"requantize": {"dtype": "float32"}}
    assert "shallow" in causes(1.0, macs=100 * 63)
    assert "shallow" not in causes(1.0, macs=100 * 63, operation=stored)


def test_small_layers(peaks):
    small = peaks[0].call_us * 400_000 / 10  # products of a tenth of a call
    assert "overhead" in causes(1.0, peaks, macs=int(small))
