"""Sums of products of bytes of which the last product is still in 16 bits.

Two products of bytes are added in 16 bits before both are added to 32 bits at once, where that
is exact: activations are at least -128 and weights at most 127 in magnitude, so that two
products are at most 2 * 128 * 127 = 32,512.
"""

from dataclasses import dataclass
from typing import Any

from octavo.targets import vector
from octavo.targets.isa import Expr
from octavo.targets.kernels.spans import shuffle

Products = tuple[Expr, ...]


@dataclass(frozen=True)
class HalfSum:
    """A sum with a product that waits for another one.

    Attributes:
        total: int32 lanes.
        products: int16 lanes, in one vector or several.
    """

    total: Expr
    products: Products


def add_products(total: Any, products: Products, *, pairs: bool) -> Any:
    """Add products to a sum.

    Args:
        total: int32 lanes, or a result of this function.
        products: As of ``HalfSum``, not bound.
        pairs: Two products are exact in 16 bits.
    """
    if not pairs:
        return _widened(total, products)
    if not isinstance(total, HalfSum):
        return HalfSum(total, tuple(vector.bind(part) for part in products))
    sums = tuple(
        first + second for first, second in zip(total.products, products, strict=True))
    return _widened(total.total, sums)


def settle(total: Any) -> Expr:
    """Turn a result of ``add_products`` into int32 lanes."""
    return _widened(total.total, total.products) if isinstance(total, HalfSum) else total


def _widened(total: Expr, products: Products) -> Expr:
    lanes = vector.num_lanes(total)
    joined = products[0] if len(products) == 1 else shuffle(products, range(lanes))
    return vector.bind(total + vector.cast(joined, "int32", lanes))
