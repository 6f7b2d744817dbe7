"""Programs on a device, built once and measured side by side as often as needed."""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from numpy.typing import NDArray

from octavo.compiler.artifact.kernel_cache import KernelCache, with_stable_symbols
from octavo.compiler.artifact.write import write_artifact
from octavo.compiler.devices.base import Deployment, Device
from octavo.compiler.devices.measurement import Measurement
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.devices.rounds import measure_rounds
from octavo.compiler.lowering.program import Program
from octavo.targets.base import Target


@dataclass
class DeviceBench:
    """A device with programs on it; they are gone when the context ends.

    Attributes:
        device: Where.
        target: What the programs are for.
        plan: How they are measured.
        inputs: One array per model input; None: zeros.
    """

    device: Device
    target: Target
    plan: RoundPlan
    inputs: Mapping[str, NDArray[Any]] | None = None
    _stack: ExitStack = field(default_factory=ExitStack)
    _deployments: list[Deployment] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._stack.__enter__()
        folder = tempfile.TemporaryDirectory(prefix="octavo-select-")
        self._folder = Path(self._stack.enter_context(folder))
        kernels = self._folder / "kernels"
        kernels.mkdir()
        self._cache = KernelCache(kernels)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(self, program: Program) -> int:
        """Build a program and bring it to the device.

        Returns:
            Its number.

        Raises:
            DeviceError: The device does not answer.
            LoweringError, ToolchainError: It cannot be built.
        """
        folder = self._folder / str(len(self._deployments))
        stable = with_stable_symbols(program)
        write_artifact(stable, self.target, None, folder, kernel_cache=self._cache)
        self._deployments.append(self._stack.enter_context(self.device.deploy(folder)))
        return len(self._deployments) - 1

    def measure(
        self, numbers: Sequence[int], *, with_steps: bool = True
    ) -> list[Measurement]:
        """Measure programs side by side; a failure is a value.

        Args:
            numbers: Of the programs.
            with_steps: Whether steps are timed too.
        """
        return measure_rounds(
            [self._deployments[number] for number in numbers],
            replace(self.plan, with_steps=with_steps),
            self.inputs,
        )
