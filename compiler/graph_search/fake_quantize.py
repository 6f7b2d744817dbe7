"""Rounding that gradients pass through, as the quantizer rounds.

Source: Bengio et al., arXiv:1308.3432 (straight-through estimator).
"""

import torch
from torch import Tensor

FLOAT_BITS = 16  # from here on rounding is left out: it is finer than what training moves
SEARCHED_BITS = 4  # up to here scales of weights are searched, as the quantizer does
SHARES = tuple(k / 16 for k in range(7, 17))  # of the largest magnitude


def fake_quantize(x: Tensor, num_bits: int) -> Tensor:
    """Round to one scale for all, zero exactly representable; the range is that of x.

    Args:
        x: Any shape; where it has nothing negative, its zero point is 0.
        num_bits: 2 to 16.
    """
    if num_bits >= FLOAT_BITS:
        return x
    with torch.no_grad():
        low, high = x.min().clamp(max=0), x.max().clamp(min=0)
        levels = 2**num_bits - 1
        scale = ((high - low) / levels).clamp(min=1e-12)
        zero_point = torch.round(-low / scale)
        rounded = torch.clamp(torch.round(x / scale) + zero_point, 0, levels) - zero_point
        error = rounded * scale - x
    return x + error


def fake_quantize_weight(weight: Tensor, num_bits: int) -> Tensor:
    """Round to a scale for each row, symmetric; narrow ones of least squared error.

    Args:
        weight: (C_out, C_in).
        num_bits: 2 to 16; 2 are -1, 0 and 1.
    """
    if num_bits >= FLOAT_BITS:
        return weight
    with torch.no_grad():
        largest = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-12)
        levels = 2 ** (num_bits - 1) - 1
        best = _rounded(weight, largest / levels, levels)
        if num_bits <= SEARCHED_BITS:
            least = ((best - weight) ** 2).sum(dim=1, keepdim=True)
            for share in SHARES:
                tried = _rounded(weight, share * largest / levels, levels)
                loss = ((tried - weight) ** 2).sum(dim=1, keepdim=True)
                best = torch.where(loss < least, tried, best)
                least = torch.minimum(loss, least)
        error = best - weight
    return weight + error


def _rounded(weight: Tensor, scale: Tensor, levels: int) -> Tensor:
    return torch.clamp(torch.round(weight / scale), -levels, levels) * scale
