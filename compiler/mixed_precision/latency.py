"""How long a configuration takes on the device: its program, built and measured.

Programs of one code take one time: they are measured once. Each is measured in turns with the
program of 8 bits, so that what changes on the machine meets both, and its latency is that of
8 bits times the ratio of the two.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from octavo.compiler.artifact.kernel_cache import with_stable_symbols
from octavo.compiler.devices.measurement import Measurement
from octavo.compiler.lowering.program import Program
from octavo.compiler.mixed_precision.network import Formats, MixedNetwork
from octavo.compiler.report.units import MICROSECONDS
from octavo.compiler.selection.options import SelectionOptions
from octavo.compiler.selection.stage import open_bench
from octavo.errors import DeviceError
from octavo.passes.layer_format import EIGHT_BITS
from octavo.targets.base import Target

MS_PER_US = 1e-3

LowerFormats = Callable[[Formats], Program]


@dataclass
class LatencyMeter:
    """Measures configurations on a device, one after the other; a context manager.

    Attributes:
        network: Whose configurations.
        target: What programs are for.
        options: Where and how.
        lower: Makes the program of a configuration.
        notes: For the user.
    """

    network: MixedNetwork
    target: Target
    options: SelectionOptions
    lower: LowerFormats
    notes: list[str] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)
    _number_of: dict[tuple[str, ...], int] = field(default_factory=dict)
    _known: dict[tuple[str, ...], float] = field(default_factory=dict)
    _nodes_of: dict[tuple[str, ...], list[tuple[str, ...]]] = field(default_factory=dict)
    _reference: tuple[str, ...] | None = None

    def __enter__(self) -> Self:
        self._stack.__enter__()
        self._bench = open_bench(self.target, self.options, self._stack, self.notes)
        self._stack.enter_context(self._bench)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def measure(self, formats: Formats) -> float:
        """The latency of a configuration, milliseconds or what an emulator counts.

        Raises:
            DeviceError: The device does not answer, or the program failed on it.
            LoweringError, ToolchainError: The program cannot be built.
        """
        if self._reference is None:
            eight = dict.fromkeys(self.network.layers, EIGHT_BITS)
            self._reference = self._add(eight)
            (measured,) = self._rounds([self._reference])
            self._known[self._reference] = measured.latency_us
        code = self._add(formats)
        if code not in self._known:
            base, measured = self._rounds([self._reference, code])
            self._known[code] = self._known[self._reference] * _ratio(measured, base)
        return self._in_unit(self._known[code])

    def layer_costs(self, formats: Formats) -> Mapping[str, float]:
        """What each layer costs within the program of a configuration, as ``measure`` does."""
        code = self._add(formats)
        (measured,) = self._rounds([code], with_steps=True)
        costs = dict.fromkeys(self.network.layers, 0.0)
        for nodes, runs_us in zip(self._nodes_of[code], measured.steps_us, strict=True):
            owners = [name for name in nodes if name in costs]
            for owner in owners:
                costs[owner] += statistics.median(runs_us) / len(owners)
        return {name: self._in_unit(cost) for name, cost in costs.items()}

    def in_turns(self, chosen: Sequence[Formats]) -> Mapping[str, float]:
        """Measure configurations side by side.

        Returns:
            For the n-th of them ``latency n`` as ``measure`` has it, and ``spread n``, half of
            the 95% interval as a part of it. A program that several share is measured once.
        """
        codes = [self._add(formats) for formats in chosen]
        distinct = list(dict.fromkeys(codes))
        measured = dict(zip(distinct, self._rounds(distinct), strict=True))
        values: dict[str, float] = {}
        for number, code in enumerate(codes):
            latency_us = measured[code].latency_us
            low, high = measured[code].interval_us or (latency_us, latency_us)
            values[f"latency {number}"] = self._in_unit(latency_us)
            values[f"spread {number}"] = (high - low) / 2 / latency_us
        return values

    @property
    def _is_time(self) -> bool:
        return self._bench.unit == MICROSECONDS

    def _in_unit(self, value: float) -> float:
        return value * MS_PER_US if self._is_time else value

    def _add(self, formats: Formats) -> tuple[str, ...]:
        """Build the program of a configuration unless the same code is there."""
        program = self.lower(formats)
        code = tuple(step.kernel for step in with_stable_symbols(program).steps)
        if code not in self._number_of:
            self._number_of[code] = self._bench.add(program)
            self._nodes_of[code] = [step.nodes for step in program.steps]
        return code

    def _rounds(
        self, codes: Sequence[tuple[str, ...]], *, with_steps: bool = False
    ) -> list[Measurement]:
        numbers = [self._number_of[code] for code in codes]
        measured = self._bench.measure(numbers, with_steps=with_steps)
        for record in measured:
            if record.failure:
                raise DeviceError(record.failure)
        return measured


def _ratio(measured: Measurement, base: Measurement) -> float:
    """The median ratio of two programs over the rounds that were measured in turns."""
    pairs = zip(measured.medians_us, base.medians_us, strict=False)
    return statistics.median(own / other for own, other in pairs)
