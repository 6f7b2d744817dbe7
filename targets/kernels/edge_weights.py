"""Emit the weights of a node's edges: one for each head, for its share of the channels."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from tvm import tirx

from octavo.targets import vector
from octavo.targets.isa import Expr
from octavo.targets.ops.aggregation import Aggregation
from octavo.targets.ops.edge_order import PLACES_BEHIND

CACHED_BYTES = 1 << 18  # in all that need no asking


class EdgeWeights:
    """Loads weights and adds them up, for the zero point of what they multiply.

    Args:
        op: The operation.
        operands: Buffers "weight", and "ids" where weights lie by edge.
        head: The head whose channels are computed; None for all heads at a time, whose first
            channels are known when the code is made then.
    """

    def __init__(
        self, op: Aggregation, operands: Mapping[str, Any], head: Expr | None
    ) -> None:
        self.op = op
        self.operands = operands
        self.head = head
        self.count = op.heads if head is None else 1
        self.wide = "float32" if op.dtype == "float32" else "int32"
        self.sums = None
        if op.dtype != "float32":
            self.sums = vector.local(self.count, "int32")
            zeros = vector.splat(tirx.const(0, "int32"), self.count)
            vector.store(self.sums, 0, zeros, self.count)

    def load(self, place: Expr) -> Expr:
        """Load the weights of the edge at a place, ``count`` lanes, and add them up."""
        at = place
        if "ids" in self.operands:
            at = vector.load(self.operands["ids"], place)
            self._ask(place)
        at = at * self.op.heads + (0 if self.head is None else self.head)
        found = vector.load(self.operands["weight"], at, self.count)
        found = vector.bind(vector.cast(found, self.wide, self.count))
        if self.sums is not None:
            total = vector.load(self.sums, 0, self.count) + found
            vector.store(self.sums, 0, total, self.count)
        return found

    def _ask(self, place: Expr) -> None:
        """Fetch the weights of a later edge, which may be anywhere."""
        op = self.op
        if op.edges * op.heads * np.dtype(op.weight_dtype).itemsize <= CACHED_BYTES:
            return
        later = vector.load(self.operands["ids"], place + PLACES_BEHIND)
        vector.prefetch(self.operands["weight"], later * op.heads)

    def spread(self, weights: Expr, channel: Expr, lanes: int) -> Expr:
        """Give every channel the one of its head.

        Args:
            weights: ``count`` lanes.
            channel: First of ``lanes`` channels, an int if there are several weights; channels
                behind the last one have any.
            lanes: Lanes of the result.
        """
        if self.count == 1:
            return vector.splat(weights, lanes)
        width = self.op.channels // self.op.heads
        heads = [min((channel + lane) // width, self.op.heads - 1) for lane in range(lanes)]
        return vector.take(weights, heads)

    def total(self) -> Expr:
        """Sums of the integer weights that were loaded, ``count`` lanes."""
        return vector.load(self.sums, 0, self.count)
