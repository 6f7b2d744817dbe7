"""Emit a sum of float32 numbers in the order of ``octavo.targets.ops.float_sum``."""

from collections.abc import Callable

from tvm import tirx
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr, Isa
from octavo.targets.ops.float_sum import SUM_LANES

# Takes partial sums, the place of as many elements, and their number; returns the next ones.
Add = Callable[[Expr, Expr, int], Expr]


def float_sum(isa: Isa, extent: int, add: Add) -> Expr:
    """Sum over [0, extent).

    Args:
        isa: Whose registers hold the parts.
        extent: Number of elements.
        add: See ``Add``.

    Returns:
        float32, not yet bound to a name.
    """
    sums = vector.local(SUM_LANES, "float32")
    width = min(isa.of_reals.lanes, SUM_LANES)
    for lane in range(0, SUM_LANES, width):
        vector.store(sums, lane, vector.splat(tirx.const(0.0, "float32"), width), width)

    def step(place: Expr, lane: int, lanes: int) -> None:
        vector.store(sums, lane, add(vector.load(sums, lane, lanes), place, lanes), lanes)

    full, rest = divmod(extent, SUM_LANES)
    if full:
        with vector.loop(full) as index:
            for lane in range(0, SUM_LANES, width):
                step(index * SUM_LANES + lane, lane, width)
    for lane in range(rest):
        step(T.int32(full * SUM_LANES + lane), lane, 1)
    lanes = SUM_LANES
    while lanes > 1:
        lanes //= 2
        width = min(width, lanes)
        for lane in range(0, lanes, width):
            pair = [vector.load(sums, lane + half, width) for half in (0, lanes)]
            vector.store(sums, lane, pair[0] + pair[1], width)
    return vector.load(sums, 0)
