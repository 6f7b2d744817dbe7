"""Quantized operators of com.microsoft in NHWC: Transpose around the NCHW form."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from octavo.compiler.importer.draft import Emitter


@dataclass(frozen=True)
class ChannelsFirst:
    """Where the NCHW form of an operator reads and writes."""

    source: str
    target: str


@contextmanager
def channels_first(
    emit: Emitter, source: str, target: str, attributes: dict[str, Any]
) -> Iterator[ChannelsFirst]:
    """Surround what the block emits by transposes if ``channels_last`` is set, and remove it.

    The transposes work on integers, outside the float region, so that both are free to move.
    """
    if not attributes.pop("channels_last", 0):
        yield ChannelsFirst(source, target)
        return
    rank = emit.draft.rank(source)
    inner = emit.op("Transpose", [source], perm=[0, rank - 1, *range(1, rank - 1)])
    result = emit.draft.fresh(f"{target}/nchw")
    yield ChannelsFirst(inner, result)
    emit.op("Transpose", [result], target, perm=[0, *range(2, rank), 1])
