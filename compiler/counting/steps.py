"""What each step of an artifact executes in one inference, counted under an emulator."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from octavo.compiler.counting.bench_program import build_bench_program
from octavo.compiler.counting.counts import CountedRun, Counts
from octavo.compiler.counting.execute import count
from octavo.compiler.devices.inference import checked_inputs
from octavo.compiler.devices.qemu import emulator_command
from octavo.compiler.example_inputs import example_inputs
from octavo.targets.base import Target

RUNS = (1, 2)  # inferences of the two runs


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
        inputs: By name, as the program takes them; see ``example_inputs`` when None.
        counts_memory: Count loads and stores too, which is slower.

    Raises:
        DataError: An input is missing, unknown, or of another type or shape.
        DeviceError: The emulator is missing, or the program failed.
        TargetError: Nothing emulates the target.
        ToolchainError: The program does not link.
    """
    emulator = emulator_command(target)
    num_steps = len(manifest["steps"])
    with tempfile.TemporaryDirectory(prefix="octavo-count-") as name:
        folder = Path(name)
        program = build_bench_program(artifact, target, num_steps, folder)
        command = [str(program.path), "--weights", str((artifact / "weights.bin").resolve())]
        arrays = example_inputs(manifest)
        if inputs is not None:
            arrays = checked_inputs(artifact, inputs)
        for index, (port, array) in enumerate(arrays.items()):
            array.tofile(folder / f"input{index}")
            command += ["--input", f"{port}={folder / f'input{index}'}"]
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
        emulator=" ".join((Path(emulator[0]).name, *emulator[1:])),
        unit=target.emulator.unit if target.emulator else "",
    )
