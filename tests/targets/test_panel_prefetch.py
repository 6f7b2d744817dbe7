"""Tiles fetch the next panel of weights: every line of it, and nothing in front of it."""

import pytest

from octavo.targets.instructions import ISAS
from octavo.targets.kernels import panel_prefetch
from octavo.targets.kernels.conv_gemm import ConvGemm
from octavo.targets.kernels.panel_prefetch import PanelPrefetch
from octavo.targets.ops.conv import Conv

END = 10_000


def fetched_lines(monkeypatch, prefetch):
    """Lines behind END that the tiles of one panel fetch."""
    offsets = []
    monkeypatch.setattr(
        panel_prefetch.vector, "prefetch", lambda weights, offset: offsets.append(offset))
    for tile in range(prefetch.tiles):
        prefetch.emit_tile(None, END, tile)
        for step in range(prefetch.steps):
            prefetch.emit_step(None, END, tile, step)
    assert all((o - END) * prefetch.element_bytes % 64 == 0 for o in offsets)
    return {(o - END) * prefetch.element_bytes // 64 for o in offsets}


@pytest.mark.parametrize("prefetch", [
    PanelPrefetch(elements=64 * 64, element_bytes=1, tiles=262, steps=16),
    PanelPrefetch(elements=72 * 1024, element_bytes=1, tiles=14, steps=576),
    PanelPrefetch(elements=288 * 1024 + 5, element_bytes=1, tiles=2, steps=1152),
    PanelPrefetch(elements=1000, element_bytes=4, tiles=3, steps=250),
])  # fmt: skip
def test_the_whole_next_panel_is_fetched(monkeypatch, prefetch):
    lines = -(-prefetch.elements * prefetch.element_bytes // 64)
    found = fetched_lines(monkeypatch, prefetch)
    assert set(range(lines)) <= found
    assert min(found) == 0
    steps = prefetch.steps * -(-prefetch.tile_lines // prefetch.steps)
    assert max(found) < prefetch.tiles * prefetch.tile_lines + steps


def test_a_panel_of_one_tile_fetches_nothing(monkeypatch):
    prefetch = PanelPrefetch(elements=2048 * 96, element_bytes=1, tiles=1, steps=512)
    assert fetched_lines(monkeypatch, prefetch) == set()


def test_the_instruction_is_in_the_code():
    op = Conv(1, 14, 14, 256, 128)
    assert "llvm.prefetch" in str(ConvGemm().build(op, ISAS["avx2"]))
