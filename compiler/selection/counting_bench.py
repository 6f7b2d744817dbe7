"""Programs of emulated targets: counted instructions stand for time, and are called so."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np

from octavo.compiler.counting.steps import count_steps
from octavo.compiler.devices.latency import DeviceTimes
from octavo.compiler.devices.measurement import Measurement, Round
from octavo.compiler.devices.median import MIN_VALUES
from octavo.compiler.lowering.program import Program
from octavo.compiler.selection.forecast import Forecast
from octavo.compiler.selection.program_folder import program_folder
from octavo.errors import DeviceError
from octavo.targets.base import Target


@dataclass
class CountingBench:
    """Counts programs under the emulator of their target; inputs are zeros.

    Attributes:
        target: What the programs are for.
    """

    target: Target
    _stack: ExitStack = field(default_factory=ExitStack)
    _counted: list[Measurement] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._programs = self._stack.enter_context(program_folder(self.target))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def unit(self) -> str:
        """Of what is counted."""
        return self.target.emulator.unit if self.target.emulator else ""

    def forecast(self) -> Forecast | None:
        """None: predictors know times."""
        return None

    def add(self, program: Program) -> int:
        """Build a program and count it.

        Returns:
            Its number.

        Raises:
            LoweringError, ToolchainError: It cannot be built.
            TargetError: Nothing emulates the target.
        """
        folder, manifest = self._programs.build(len(self._counted), program)
        try:
            counted = count_steps(folder, manifest, self.target, counts_memory=False)
        except DeviceError as error:
            self._counted.append(Measurement(failure=str(error)))
        else:
            steps = np.array([[step.instructions] for step in counted.steps], np.float64)
            runs = np.array([counted.total.instructions], np.float64)
            # Counts are exact: however often one counts, the rounds are the same.
            once = Round(DeviceTimes(runs, steps))
            self._counted.append(Measurement((once,) * MIN_VALUES))
        return len(self._counted) - 1

    def measure(
        self, numbers: Sequence[int], *, with_steps: bool = True
    ) -> list[Measurement]:
        """What was counted: instructions where other benches have microseconds."""
        del with_steps
        return [self._counted[number] for number in numbers]
