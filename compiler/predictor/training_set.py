"""From measurements in the database to what the models learn from."""

import hashlib
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.measurements.key import Context
from octavo.compiler.measurements.latencies import KernelLatency
from octavo.compiler.predictor.call import Call, call_from_record
from octavo.compiler.predictor.cost_model import FASTEST_US
from octavo.compiler.predictor.features import ProgramSize, program_size
from octavo.compiler.predictor.program_calls import Identity, row_identity

# Another version of the kernels computes the same with other loops: it says something, less.
OLDER_WEIGHT = 0.3
SAME_NETWORK = 0.5  # of the smaller network's shapes are the other's as well


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Measured calls; calls of one network that are equal are one.

    Attributes:
        calls: What was measured.
        latencies_us: (calls,) medians, > 0.
        counts: (calls,) how often the network makes this call.
        networks: (calls,) number of its network; networks that resemble each other, such as
            the same one in INT8 and in float, have one number.
        programs: (calls,) number of its program: whose sum is a whole inference.
        sizes: (calls,) of its program.
        weights: (calls,) how much it counts in a fit.
    """

    calls: tuple[Call, ...]
    latencies_us: NDArray[np.float64]
    counts: NDArray[np.int64]
    networks: NDArray[np.int64]
    programs: NDArray[np.int64]
    sizes: tuple[ProgramSize, ...]
    weights: NDArray[np.float64]

    @property
    def num_networks(self) -> int:
        """Networks that do not resemble each other."""
        return len(set(self.networks.tolist()))

    def rows(self, places: NDArray[np.int64]) -> "TrainingSet":
        """Some of the calls."""
        return TrainingSet(
            tuple(self.calls[i] for i in places), self.latencies_us[places],
            self.counts[places], self.networks[places], self.programs[places],
            tuple(self.sizes[i] for i in places), self.weights[places])

    def digest(self) -> str:
        """Equal for equal sets."""
        arrays = self.latencies_us, self.counts, self.networks, self.programs, self.weights
        content = [repr((self.calls, self.sizes)).encode(), *(a.tobytes() for a in arrays)]
        return hashlib.sha256(b"".join(content)).hexdigest()[:32]


@dataclass(frozen=True)
class MeasuredCall:
    """One call of one program.

    Attributes:
        call: The call.
        latency_us: Its median.
        count: Equal calls of the program.
        weight: How much it counts.
    """

    call: Call
    latency_us: float
    count: int = 1
    weight: float = 1.0


def training_set(programs: Sequence[Sequence[MeasuredCall]]) -> TrainingSet:
    """Put measured programs together.

    Args:
        programs: Calls of each; none is empty.
    """
    networks = _networks([_shapes(program) for program in programs])
    rows: list[tuple[Any, ...]] = []
    for number, program in enumerate(programs):
        size = program_size([(m.call, m.count) for m in program])
        rows += [
            (m.call, max(m.latency_us, FASTEST_US), m.count, networks[number], number, size,
             m.weight)
            for m in program]
    calls, latencies, counts, numbers, places, sizes, weights = (
        zip(*rows, strict=True) if rows else ((),) * 7)
    return TrainingSet(
        tuple(calls), np.array(latencies, np.float64), np.array(counts, np.int64),
        np.array(numbers, np.int64), np.array(places, np.int64), tuple(sizes),
        np.array(weights, np.float64))


def _shapes(program: Sequence[MeasuredCall]) -> frozenset[tuple[object, ...]]:
    """Sizes of the operations, whatever their element types."""
    works = (measured.call.work for measured in program)
    return frozenset(
        (w.rows, w.columns, w.depth, w.repeats, w.window, w.stride) for w in works if w.macs)


def _networks(shapes: Sequence[frozenset[tuple[object, ...]]]) -> list[int]:
    """Number of the network of each program; the number of its first one."""
    found: list[int] = []
    for number, mine in enumerate(shapes):
        alike = (
            found[other]
            for other, theirs in enumerate(shapes[:number])
            if len(mine & theirs) > SAME_NETWORK * min(len(mine), len(theirs)))
        found.append(next(alike, number))
    return found


def measured_programs(
    latencies: Iterable[KernelLatency], context: Context
) -> list[list[MeasuredCall]]:
    """Sort measurements into programs.

    Rows of one profile have the same id but for the number of the step, and profiles of the
    same calls are one program. Of a kernel with the same schedule, only what the newest
    toolchain measured counts.

    Args:
        latencies: Of any device.
        context: Device, code and threads to learn of; rows of other toolchains count less.
    """
    mine = (context.code, context.device, context.num_threads)
    profiles: dict[str, list[KernelLatency]] = defaultdict(list)
    for row in latencies:
        key = row.key.context
        if (key.code, key.device, key.num_threads) == mine:
            profiles[_profile(row)].append(row)
    in_time = sorted(profiles.values(), key=lambda rows: (rows[0].measured_at, rows[0].id))
    programs: dict[frozenset[Identity], list[list[KernelLatency]]] = {}
    newest: dict[Identity, str] = {}
    for rows in in_time:
        calls = frozenset(map(row_identity, rows))
        programs.setdefault(calls, []).append(rows)
        newest |= dict.fromkeys(calls, rows[0].key.context.toolchain)
    found = (_program(rows, newest, context.toolchain) for rows in programs.values())
    return [program for program in found if program]


def _profile(row: KernelLatency) -> str:
    """Id of the profile; older rows have one of their own, and the time in common."""
    profile, dash, _ = row.id.rpartition("-")
    return profile if dash else f"{row.measured_at} {row.key.context.toolchain}"


def _program(
    profiles: Sequence[Sequence[KernelLatency]],
    newest: dict[Identity, str],
    toolchain: str,
) -> list[MeasuredCall]:
    newest_toolchain = profiles[-1][0].key.context.toolchain
    current = [p for p in profiles if p[0].key.context.toolchain == newest_toolchain]
    rows: dict[Identity, list[KernelLatency]] = defaultdict(list)
    for profile in current:
        for row in profile:
            rows[row_identity(row)].append(row)
    weight = 1.0 if newest_toolchain == toolchain else OLDER_WEIGHT
    program = []
    for identity, same in rows.items():
        if newest[identity] != newest_toolchain:
            continue
        call = call_from_record(same[0].key.kernel, json.loads(identity[1]), same[0].schedule)
        if call is not None:
            latency_us = statistics.median(row.latency_us for row in same)
            count = round(len(same) / len(current)) or 1
            program.append(MeasuredCall(call, latency_us, count, weight))
    return program
