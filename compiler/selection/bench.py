"""Programs on a device, built once and measured side by side as often as needed."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from octavo.compiler.devices.base import Deployment, Device
from octavo.compiler.devices.cores import ALL, find_cpus
from octavo.compiler.devices.measurement import Measurement, Round
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.devices.rounds import measure_rounds
from octavo.compiler.example_inputs import example_inputs
from octavo.compiler.lowering.program import Program
from octavo.compiler.measurements.kept_rounds import Keeper, KeptRounds, profile_key
from octavo.compiler.measurements.key import (
    Context,
    code_text,
    device_text,
    toolchain_text,
)
from octavo.compiler.predictor.trained import kept_predictor
from octavo.compiler.report.units import MICROSECONDS
from octavo.compiler.selection.forecast import Forecast, forecast_of
from octavo.compiler.selection.program_folder import program_folder
from octavo.targets.base import Target


@dataclass
class DeviceBench:
    """A device with programs on it; they are gone when the context ends.

    What is measured of their steps is kept: if the context ends by an error, or with its
    process, the next one goes on with the rounds of equal programs.

    Attributes:
        device: Where.
        target: What the programs are for.
        plan: How they are measured; with ``example_inputs``.
        cores: CPUs of the device, as ``find_cpus`` takes them.
        keeper: Keeps rounds; None: nothing is kept.
    """

    device: Device
    target: Target
    plan: RoundPlan
    cores: str = ALL
    keeper: Keeper | None = None
    _stack: ExitStack = field(default_factory=ExitStack)
    _deployments: list[Deployment] = field(default_factory=list)
    _kept: list[KeptRounds] = field(default_factory=list)
    _is_measured: set[int] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._stack.__enter__()
        self._programs = self._stack.enter_context(program_folder(self.target))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            for number in self._is_measured:
                self._kept[number].finish()
        self._stack.__exit__(kind, error, trace)

    def add(self, program: Program) -> int:
        """Build a program and bring it to the device.

        Returns:
            Its number.

        Raises:
            DeviceError: The device does not answer.
            LoweringError, ToolchainError: It cannot be built.
            TargetError: The device does not run code for the target, or has not these cores.
        """
        folder, manifest = self._programs.build(len(self._deployments), program)
        deployment = self._stack.enter_context(self.device.deploy(folder))
        if not self._deployments:
            self._inputs = example_inputs(manifest)
            self._machine = deployment.machine()
            cpus = find_cpus(self.cores, deployment, self.plan.num_threads)
            self.plan = replace(self.plan, cpus=cpus)
        key = profile_key(manifest, self.device.name, self._machine, self.plan, None)
        self._deployments.append(deployment)
        self._kept.append(
            KeptRounds(manifest, self._machine, self.plan, self.keeper, key))
        return len(self._deployments) - 1

    @property
    def unit(self) -> str:
        """Of what is measured."""
        return MICROSECONDS

    def forecast(self) -> Forecast | None:
        """What the predictor of the device says, once there is a program; None without one."""
        predictor = kept_predictor(
            Context(
                code_text(self.target),
                device_text(self._machine),
                toolchain_text(),
                self.plan.num_threads,
            )
        )
        return None if predictor is None else forecast_of(predictor)

    def measure(
        self, numbers: Sequence[int], *, with_steps: bool = True
    ) -> list[Measurement]:
        """Measure programs side by side; a failure is a value.

        Args:
            numbers: Of the programs.
            with_steps: Whether steps are timed too.
        """
        is_new = [with_steps and number not in self._is_measured for number in numbers]

        def keep(index: int, measured: Round) -> None:
            if is_new[index]:
                self._kept[numbers[index]].keep(measured)

        measured = measure_rounds(
            [self._deployments[number] for number in numbers],
            replace(
                self.plan,
                with_steps=with_steps,
                seconds=self.plan.seconds * len(numbers),
            ),
            self._inputs,
            earlier=[
                self._kept[number].earlier if new else Measurement()
                for number, new in zip(numbers, is_new, strict=True)
            ],
            on_round=keep,
        )
        self._is_measured.update(n for n, new in zip(numbers, is_new, strict=True) if new)
        return measured
