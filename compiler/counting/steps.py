"""What each step of an artifact executes in one inference, counted under an emulator."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from octavo.compiler.counting.bench_program import build_bench_program
from octavo.compiler.counting.execute import Counts, count
from octavo.errors import DataError, DeviceError
from octavo.targets.base import Target

RUNS = (1, 2)  # inferences of the two runs


@dataclass(frozen=True)
class CountedRun:
    """One inference.

    Attributes:
        steps: One record per step, in the order of the run, with all that it calls.
        runtime: What calls the steps.
        emulator: What ran it, with its CPU.
        unit: What was counted as one instruction: "instructions", or "packets" of them.
    """

    steps: tuple[Counts, ...]
    runtime: Counts
    emulator: str
    unit: str

    @property
    def total(self) -> Counts:
        """Steps and runtime; copying the inputs is not in it."""
        return sum(self.steps, self.runtime)


def count_steps(
    artifact: Path,
    manifest: Mapping[str, Any],
    target: Target,
    inputs: Mapping[str, NDArray[Any]] | None = None,
    *,
    counts_memory: bool = True,
) -> CountedRun:
    """Count the steps of an artifact.

    The program runs twice, with different numbers of inferences: loading, and whatever else
    happens once, is the same in both and drops out of the difference.

    Args:
        artifact: The artifact's folder.
        manifest: Its manifest.
        target: What it was compiled for.
        inputs: By name, as the program takes them; zeros when None.
        counts_memory: Count loads and stores too, which is slower.

    Raises:
        DataError: An input is missing, unknown, or of another type or shape.
        DeviceError: The target has no emulator, it is missing, or the program failed.
        ToolchainError: The program does not link.
    """
    if target.emulator is None:
        raise DeviceError(f"no emulator counts for target {target.name}")
    num_steps = len(manifest["steps"])
    emulator = [target.emulator.program, "-cpu", target.emulator.cpu]
    with tempfile.TemporaryDirectory(prefix="octavo-count-") as name:
        folder = Path(name)
        program = build_bench_program(artifact, target, num_steps, folder)
        command = [str(program.path), "--weights", str((artifact / "weights.bin").resolve())]
        if inputs is not None:
            command += _input_options(manifest, inputs, folder)
        command += ["--warmup", "0", "--runs"]
        few, many = (
            count(
                emulator,
                [*command, str(runs)],
                marks=program.marks,
                counts_memory=counts_memory,
            )
            for runs in RUNS
        )
    none = Counts()

    def one_run(label: int) -> Counts:
        return many.get(label, none) - few.get(label, none)

    return CountedRun(
        steps=tuple(one_run(index + 1) for index in range(num_steps)),
        runtime=one_run(program.runtime_label),
        emulator=" ".join(emulator),
        unit=target.emulator.unit,
    )


def _input_options(
    manifest: Mapping[str, Any], inputs: Mapping[str, NDArray[Any]], folder: Path
) -> list[str]:
    """Write the inputs to files, and return what the program is told of them."""
    ports = {port["name"]: port for port in manifest["inputs"]}
    different = sorted(set(ports) ^ set(inputs))
    if different:
        raise DataError(f"input {different[0]!r}; the model takes: {', '.join(ports)}")
    options = []
    for index, (name, port) in enumerate(ports.items()):
        array, shape = inputs[name], tuple(port["shape"])
        if array.dtype != port["dtype"] or array.shape != shape:
            raise DataError(
                f"input {name!r} is {array.dtype} {array.shape};"
                f" the model takes {port['dtype']} {shape}"
            )
        array.tofile(folder / f"input{index}")
        options += ["--input", f"{name}={folder / f'input{index}'}"]
    return options
