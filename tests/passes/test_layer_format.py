"""Formats of layers."""

import itertools

import pytest

from octavo.passes.layer_format import EIGHT_BITS, FLOAT, WIDTHS, LayerFormat


@pytest.mark.parametrize(("weight", "activation"), itertools.product(WIDTHS, WIDTHS))
def test_text_comes_back(weight: int, activation: int) -> None:
    layer = LayerFormat(weight, activation)
    assert LayerFormat.parse(str(layer)) == layer


def test_names() -> None:
    assert str(EIGHT_BITS) == "w8a8"
    assert str(FLOAT) == "float"
    assert LayerFormat.parse("w32a32").is_float
    assert not LayerFormat(4, 32).is_float


@pytest.mark.parametrize("text", ["", "w4", "a8w4", "w4a8 ", "w4a8x", "W4A8", "w-4a8"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not like 'w4a8'"):
        LayerFormat.parse(text)


@pytest.mark.parametrize("width", [0, 1, 5, 64])
def test_other_widths_are_refused(width: int) -> None:
    with pytest.raises(ValueError, match=r"weight_bits .* allowed: 2, 3, 4, 8, 16, 32"):
        LayerFormat(width, 8)
    with pytest.raises(ValueError, match="activation_bits"):
        LayerFormat.parse(f"w8a{width}")
