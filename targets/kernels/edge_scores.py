"""Emit the scores of edges that a softmax normalizes: given ones, or from both ends."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr
from octavo.targets.kernels.edge_weights import CACHED_BYTES
from octavo.targets.kernels.panel_prefetch import LINE_BYTES
from octavo.targets.ops.edge_order import PLACES_BEHIND
from octavo.targets.ops.edge_softmax import EdgeSoftmax

WHERE = {"ends": "places", "edges": "ids"}  # which rows the edge at a place has


def scores_of(op: EdgeSoftmax) -> list[tuple[str, int, str]]:
    """Inputs of the operation, in order."""
    if op.form == "ends":
        scores = [("source", op.sources * op.heads, op.dtype),
                  ("target", op.nodes * op.heads, op.dtype)]
    else:
        scores = [("score", op.edges * op.heads, op.dtype)]
    places = WHERE.get(op.form)
    return [
        *scores, ("offsets", op.nodes + 1, "int32"),
        *([] if places is None else [(places, op.edges + PLACES_BEHIND, "int32")])]


class EdgeScores:
    """Emits scores as float32; integers that are no ends keep their steps.

    Args:
        op: The operation.
        operands: Buffers by name.

    Attributes:
        read: The buffer that rows of edges are read from.
    """

    def __init__(self, op: EdgeSoftmax, operands: Mapping[str, Any]) -> None:
        self.op = op
        self.operands = operands
        self.read = "source" if op.form == "ends" else "score"

    def near(self, node: Expr, head: int, width: int) -> Expr:
        """What a node adds to the scores of its edges; 0 without ends."""
        if self.op.form != "ends":
            return T.float32(0)
        found = vector.load(self.operands["target"], node * self.op.heads + head, width)
        value = self._real("target", found, width)
        if self.op.dtype != "float32":
            value = value * self._constant("target_scale", width)
        return vector.bind(value)

    def row(self, place: Expr) -> Expr:
        """First score of the edge at a place, or of its source."""
        if self.op.form in WHERE:
            place = vector.load(self.operands[WHERE[self.op.form]], place)
        return vector.bind(place * self.op.heads)

    def ask(self, place: Expr) -> None:
        """Fetch the row of a later edge."""
        op, where = self.op, WHERE.get(self.op.form)
        rows = op.sources if op.form == "ends" else op.edges
        size = op.heads * np.dtype(op.dtype).itemsize
        if where is None or rows * size <= CACHED_BYTES:
            return
        later = vector.load(self.operands[where], place + PLACES_BEHIND)
        row = vector.bind(later * op.heads)
        for at in range(0, op.heads, LINE_BYTES * op.heads // size):
            vector.prefetch(self.operands[self.read], row + at)

    def of(self, row: Expr, near: Expr, head: int, width: int) -> Expr:
        """Scores of some heads.

        Args:
            row: As of ``row``.
            near: As of ``near``.
            head: First head.
            width: Heads.
        """
        found = vector.load(self.operands[self.read], row + head, width)
        return self.whole(self.far(found, width), near, width)

    def far(self, found: Expr, width: int) -> Expr:
        """What an edge or its source adds to scores, of what was read of it.

        Args:
            found: ``width`` elements of the buffer ``read``.
            width: Lanes.
        """
        if self.op.form != "ends":
            return vector.cast(found, "float32", width)
        return self._real("source", found, width)

    def whole(self, far: Expr, near: Expr, width: int) -> Expr:
        """Scores of both parts, ``width`` lanes of ``far`` and of ``near``."""
        if self.op.form != "ends":
            return far
        if self.op.dtype == "float32":
            total = far + near
        else:
            total = vector.fma(far, self._constant("source_scale", width), near, width)
        if self.op.slope == 1:
            return total
        total = vector.bind(total)
        return T.max(total, total * vector.splat(T.float32(self.op.slope), width))

    def real_distance(self, below: Expr, lanes: int) -> Expr:
        """Scale differences of scores that are still steps."""
        if self.op.form == "ends" or self.op.dtype == "float32":
            return below
        return below * self._constant("score_scale", lanes)

    def _real(self, name: str, found: Expr, width: int) -> Expr:
        if self.op.dtype == "float32":
            return found
        zero = vector.load(self.operands[f"{name}_zero_point"], 0)
        steps = vector.cast(found, "int32", width) - vector.splat(zero, width)
        return vector.cast(steps, "float32", width)

    def _constant(self, name: str, lanes: int) -> Expr:
        return vector.splat(vector.load(self.operands[name], 0), lanes)
