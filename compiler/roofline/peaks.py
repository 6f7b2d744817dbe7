"""What a machine can do at most, as measured."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

MEMORY = "memory"  # name of the level behind the last cache
STEADY_WAITED = 0.05  # a quiet machine shows a few thousandths
STEADY_SPREAD = 0.25  # of a quiet machine; a thread that must share its core loses half


@dataclass(frozen=True)
class Rate:
    """A measured rate.

    Attributes:
        best: Of the fastest run, 10**9 units (multiply-accumulates or bytes) a second.
        median: Of the run in the middle; far below ``best`` when the machine was busy.
    """

    best: float
    median: float

    @property
    def spread(self) -> float:
        """How far the median is below the best, in [0, 1]."""
        return 1 - self.median / self.best if self.best > 0 else 0.0


@dataclass(frozen=True)
class MemoryLevel:
    """A cache, or main memory.

    Attributes:
        name: "L1", "L2", "L3" or "memory".
        capacity_bytes: What it holds, over all threads; None for main memory.
        rate: Bytes read.
    """

    name: str
    capacity_bytes: int | None
    rate: Rate


@dataclass(frozen=True)
class Peaks:
    """Roofs of a machine for one instruction variant and number of threads.

    Attributes:
        isa: The instruction variant.
        num_threads: Threads.
        int8: 8-bit multiply-accumulates.
        float32: The same in float32.
        levels: Fastest and smallest first; main memory last.
        call_us: What a kernel that does nothing takes, its start in all threads included.
        bfloat16: Products of bfloat16 numbers; None where there are no instructions for them.
        waited_share: How long the threads were ready and had no core, over the time of
            measuring.
    """

    isa: str
    num_threads: int
    int8: Rate
    float32: Rate
    levels: tuple[MemoryLevel, ...]
    call_us: float
    bfloat16: Rate | None = None
    waited_share: float = 0.0

    @property
    def is_steady(self) -> bool:
        """Whether no other work seems to have run on the same cores."""
        rates = (self.int8, self.float32, self.bfloat16, *(x.rate for x in self.levels))
        agree = all(rate is None or rate.spread <= STEADY_SPREAD for rate in rates)
        return agree and self.waited_share <= STEADY_WAITED

    def compute(self, placement: str) -> Rate:
        """Multiply-accumulates in one kind of arithmetic."""
        rates = {"int8": self.int8, "bfloat16": self.bfloat16}
        return rates.get(placement) or self.float32

    def level(self, num_bytes: int) -> MemoryLevel:
        """The fastest level that holds so many bytes."""
        fits = (
            x for x in self.levels if x.capacity_bytes is None or num_bytes <= x.capacity_bytes
        )
        return next(fits)


def peaks_entry(peaks: Peaks) -> dict[str, Any]:
    """Peaks as JSON values."""
    return asdict(peaks)


def peaks_from_entry(entry: Mapping[str, Any]) -> Peaks:
    """The inverse of ``peaks_entry``.

    Raises:
        KeyError, TypeError, ValueError: It is none.
    """
    levels = tuple(
        MemoryLevel(
            str(x["name"]),
            None if x["capacity_bytes"] is None else int(x["capacity_bytes"]),
            _rate(x["rate"]),
        )
        for x in entry["levels"]
    )
    if not levels or levels[-1].capacity_bytes is not None:
        raise ValueError("the last level must be main memory")
    return Peaks(
        isa=str(entry["isa"]),
        num_threads=int(entry["num_threads"]),
        int8=_rate(entry["int8"]),
        float32=_rate(entry["float32"]),
        levels=levels,
        call_us=float(entry["call_us"]),
        bfloat16=None if entry["bfloat16"] is None else _rate(entry["bfloat16"]),
        waited_share=float(entry["waited_share"]),
    )


def _rate(entry: Mapping[str, Any]) -> Rate:
    return Rate(float(entry["best"]), float(entry["median"]))
