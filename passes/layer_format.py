"""How many bits one layer computes with: the width of its weights and of what it reads.

A *configuration* of a model is ``Mapping[str, LayerFormat]``, by the name of the layer's node.
"""

import re
from dataclasses import dataclass

WIDTHS = (2, 3, 4, 8, 16, 32)  # of weights and activations; 32 is float
FLOAT_BITS = 32

_TEXT = re.compile(r"w(\d+)a(\d+)")


@dataclass(frozen=True, order=True)
class LayerFormat:
    """The widths of one layer's operands.

    Attributes:
        weight_bits: Of the constant operand: 2, 3, 4, 8, 16, or 32 for float.
        activation_bits: Of the computed operands: the same choices.

    Raises:
        ValueError: A width is none of these.
    """

    weight_bits: int
    activation_bits: int

    def __post_init__(self) -> None:
        check_width("weight_bits", self.weight_bits)
        check_width("activation_bits", self.activation_bits)

    @classmethod
    def parse(cls, text: str) -> "LayerFormat":
        """Read "w4a8"; "float" is "w32a32".

        Raises:
            ValueError: The text is no format.
        """
        if text == "float":
            return FLOAT
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError(f"format {text!r} is not like 'w4a8' or 'float'")
        return cls(int(found[1]), int(found[2]))

    @property
    def is_float(self) -> bool:
        """Whether nothing is quantized."""
        return self.weight_bits == FLOAT_BITS and self.activation_bits == FLOAT_BITS

    def __str__(self) -> str:
        return "float" if self.is_float else f"w{self.weight_bits}a{self.activation_bits}"


def check_width(name: str, num_bits: int) -> None:
    """Raise ValueError when a width is not one of ``WIDTHS``."""
    if num_bits not in WIDTHS:
        allowed = ", ".join(str(width) for width in WIDTHS)
        raise ValueError(f"{name} {num_bits} is not supported; allowed: {allowed}")


FLOAT = LayerFormat(FLOAT_BITS, FLOAT_BITS)
EIGHT_BITS = LayerFormat(8, 8)
