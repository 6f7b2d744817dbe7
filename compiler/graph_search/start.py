"""The first weights of a network that is trained."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

# They multiply sums over neighbours, which are larger by their number.
_BEHIND_SUMS = (".nn.0.weight", ".r.weight")


def start_weights(
    shapes: Mapping[str, tuple[int, ...]], mean_degree: float, seed: int
) -> dict[str, Tensor]:
    """Random weights: outputs have variance 1 where inputs have; biases start at 0.

    Args:
        shapes: Of each weight, by name; vectors named "scale" start at 1.
        mean_degree: Edges over nodes.
        seed: Of all chance.
    """
    chance = torch.Generator().manual_seed(seed)
    started = {}
    for name, shape in shapes.items():
        tensor = torch.randn(shape, generator=chance) / math.sqrt(shape[-1])
        if name.endswith("bias"):
            tensor = torch.zeros(shape)
        elif name.endswith("scale"):
            tensor = torch.ones(shape)
        elif name.endswith(_BEHIND_SUMS):
            tensor = tensor / max(mean_degree, 1.0)
        started[name] = tensor.requires_grad_()
    return started
