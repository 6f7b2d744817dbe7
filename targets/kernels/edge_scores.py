"""Emit the scores of edges that a softmax normalizes: given ones, or from both ends."""

from collections.abc import Mapping
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr
from octavo.targets.ops.edge_order import PLACES_BEHIND
from octavo.targets.ops.edge_softmax import EdgeSoftmax


def scores_of(op: EdgeSoftmax) -> list[tuple[str, int, str]]:
    """Inputs of the operation, in order."""
    if op.form == "ends":
        scores = [("source", op.sources * op.heads, op.dtype),
                  ("target", op.nodes * op.heads, op.dtype)]
    else:
        scores = [("score", op.edges * op.heads, op.dtype)]
    places = {"ends": "places", "edges": "ids"}.get(op.form)
    return [
        *scores, ("offsets", op.nodes + 1, "int32"),
        *([] if places is None else [(places, op.edges + PLACES_BEHIND, "int32")])]


class EdgeScores:
    """Emits scores as float32; integers that are no ends keep their steps.

    Args:
        op: The operation.
        operands: Buffers by name.
    """

    def __init__(self, op: EdgeSoftmax, operands: Mapping[str, Any]) -> None:
        self.op = op
        self.operands = operands

    def near(self, node: Expr, head: int, width: int) -> Expr:
        """What a node adds to the scores of its edges; 0 without ends."""
        if self.op.form != "ends":
            return T.float32(0)
        value = self._end("target", node * self.op.heads + head, width)
        if self.op.dtype != "float32":
            value = value * self._constant("target_scale", width)
        return vector.bind(value)

    def row(self, place: Expr) -> Expr:
        """First score of the edge at a place, or of its source."""
        if self.op.form == "ends":
            place = vector.load(self.operands["places"], place)
        elif self.op.form == "edges":
            place = vector.load(self.operands["ids"], place)
        return vector.bind(place * self.op.heads)

    def of(self, row: Expr, near: Expr, head: int, width: int) -> Expr:
        """Scores of some heads.

        Args:
            row: As of ``row``.
            near: As of ``near``.
            head: First head.
            width: Heads.
        """
        if self.op.form != "ends":
            found = vector.load(self.operands["score"], row + head, width)
            return vector.cast(found, "float32", width)
        far = self._end("source", row + head, width)
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

    def _end(self, name: str, at: Expr, width: int) -> Expr:
        found = vector.load(self.operands[name], at, width)
        if self.op.dtype == "float32":
            return found
        zero = vector.load(self.operands[f"{name}_zero_point"], 0)
        steps = vector.cast(found, "int32", width) - vector.splat(zero, width)
        return vector.cast(steps, "float32", width)

    def _constant(self, name: str, lanes: int) -> Expr:
        return vector.splat(vector.load(self.operands[name], 0), lanes)
