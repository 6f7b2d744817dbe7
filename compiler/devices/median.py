"""How well a median is known, without any guess about how times are distributed."""

import math
from collections.abc import Sequence

CONFIDENCE = 0.95
MIN_VALUES = 6  # between the smallest and the largest of five, the median is in 94% only


def median_interval(
    values: Sequence[float], confidence: float = CONFIDENCE
) -> tuple[float, float] | None:
    """The narrowest pair of order statistics that holds the median this often.

    The number of values below the median of a continuous distribution is binomial with
    probability one half, whatever the distribution: the interval between the k-th smallest and
    the k-th largest of n independent values covers the median with probability
    1 - 2 P[Binomial(n, 1/2) < k].

    Args:
        values: Independent, in any order.
        confidence: Least probability that the median is inside, 0..1.

    Returns:
        The ends, or None where even the smallest and the largest value are not enough.

    Source: H. A. David, H. N. Nagaraja, Order Statistics, 3rd edition, section 7.1;
    J.-Y. Le Boudec, Performance Evaluation of Computer and Communication Systems, theorem 2.1.
    """
    ordered = sorted(values)
    size = len(ordered)
    below, rank = 0, 0  # 2**size times P[Binomial < rank]
    while rank < size // 2:
        following = below + math.comb(size, rank)
        if 1.0 - 2.0 * following / 2**size < confidence:
            break
        below, rank = following, rank + 1
    return (ordered[rank - 1], ordered[size - rank]) if rank else None
