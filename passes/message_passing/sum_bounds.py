"""How many bits the factors of messages may have for sums at a node to stay in int32.

A stored graph says how many edges its largest node has. Where edges are given at run time,
they are counted then, and more of them at one node than fit are an error of the run.
"""

import numpy as np

from octavo.passes.message_passing.forms import Form, Kind
from octavo.passes.message_passing.regions import INT32_MAX
from octavo.passes.quant_math import MAX_ACTIVATION_DISTANCE, MAX_BYTE_BITS

MIN_FACTOR_BITS = 2


def widest_factor(form: Form) -> int:
    """The most bits of factors whose sums fit into int32, 2 to 8.

    Args:
        form: With factors. Those of attention add up to 1 at a node, which always fits.
    """
    degree = _largest_degree(form)
    if degree is None or form.scores is not None:
        return MAX_BYTE_BITS
    num_bits = MAX_BYTE_BITS
    sums = MAX_ACTIVATION_DISTANCE * degree
    while num_bits > MIN_FACTOR_BITS and sums * (2**num_bits - 1) > INT32_MAX:
        num_bits -= 1
    return num_bits


def why_sums_overflow(form: Form) -> str:
    """Why sums do not fit into int32 whatever factors are narrowed to, or ""."""
    degree = _largest_degree(form)
    if degree is None or form.scores is not None:
        return ""
    largest = MAX_ACTIVATION_DISTANCE * (2 if form.kind is Kind.PAIRS else 1)
    if form.coefficients is not None:
        largest *= 2**MIN_FACTOR_BITS - 1
    if degree * largest <= INT32_MAX:
        return ""
    return f"sums over the {degree} edges of one node do not fit into int32"


def _largest_degree(form: Form) -> int | None:
    """The most edges of one node of a stored graph, else None."""
    numbers = form.targets.numbers() if form.targets is not None else None
    if numbers is None or numbers.size == 0:
        return None
    return int(np.bincount(numbers % form.num_nodes).max())
