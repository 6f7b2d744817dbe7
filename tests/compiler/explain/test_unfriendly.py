"""Layers of unfriendly widths, from manifests."""

from dataclasses import asdict

from octavo.compiler.explain.unfriendly import (
    UnfriendlyLayer,
    conv_from_record,
    lost_share,
    unfriendly_layers,
)
from octavo.targets import get_target
from octavo.targets.instructions import isa_of
from octavo.targets.kernels.conv_gemm import ConvGemm
from octavo.targets.ops.conv import Conv, Placement
from octavo.targets.ops.requantize import Requantize
from octavo.targets.padding import padding_of

TARGET = get_target("x86-64-avx512vnni")


def entry(name, op):
    padding = padding_of(ConvGemm(), op, isa_of(TARGET))
    return {"name": name, "macs": op.macs, "operation": {"type": "Conv"} | asdict(op),
            "padding": [asdict(p) for p in padding]}  # fmt: skip


def test_those_that_waste_the_most_come_first():
    steps = [
        entry("friendly", Conv(batch=1, in_h=8, in_w=8, in_c=32, out_c=32)),
        entry("small", Conv(batch=1, in_h=2, in_w=2, in_c=32, out_c=17)),
        entry("large", Conv(batch=1, in_h=9, in_w=9, in_c=32, out_c=24)),
        # 31 of 32 is not worth a word.
        entry("near", Conv(batch=1, in_h=9, in_w=9, in_c=32, out_c=31)),
        {"name": "other", "macs": 9, "operation": {"type": "MatMul"}, "padding": []},
        {"name": "generic", "macs": 9, "operation": None, "padding": []},
    ]
    found = unfriendly_layers(steps, TARGET)
    assert [layer.name for layer in found] == ["large", "small"]
    assert found[0].waste == 0.25
    (width,) = found[0].widths
    assert (width.axis, width.width, width.smaller, width.larger) == (
        "output channels", 24, 16, 32)


def test_a_convolution_comes_back_from_its_record():
    op = Conv(batch=1, in_h=8, in_w=8, in_c=32, out_c=32, requantize=Requantize(mode="dyadic"),
              placement=Placement(height=3))  # fmt: skip
    assert conv_from_record({"type": "Conv"} | asdict(op)) == op


def test_a_manifest_of_an_older_version_has_none():
    op = Conv(batch=1, in_h=8, in_w=8, in_c=32, out_c=17)
    old = entry("old", op)
    del old["padding"]
    assert unfriendly_layers([old], TARGET) == []


def test_what_is_lost_is_a_part_of_what_is_computed():
    # 100 products are needed, of which 30 are of a layer that computes 40 in all.
    layer = UnfriendlyLayer("a", 0.25, 30, ())
    assert layer.lost_macs == 10
    assert lost_share([layer], 100) == 10 / 110
    assert lost_share([], 0) == 0
