"""Artifacts of the programs under comparison: kernels that they share are compiled once."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octavo.compiler.artifact.kernel_cache import KernelCache, with_stable_symbols
from octavo.compiler.artifact.write import write_artifact
from octavo.compiler.lowering.program import Program
from octavo.targets.base import Target


@dataclass(frozen=True)
class ProgramFolder:
    """A folder of artifacts.

    Attributes:
        folder: Where they are.
        target: What they are for.
        cache: Objects of their kernels.
    """

    folder: Path
    target: Target
    cache: KernelCache

    def build(self, number: int, program: Program) -> tuple[Path, dict[str, Any]]:
        """Build a program.

        Args:
            number: Of the program; each has its own.
            program: Lowered.

        Returns:
            Its artifact folder and manifest.

        Raises:
            LoweringError, ToolchainError: It cannot be built.
        """
        artifact = self.folder / str(number)
        stable = with_stable_symbols(program)
        return artifact, write_artifact(
            stable, self.target, None, artifact, kernel_cache=self.cache)


@contextmanager
def program_folder(target: Target) -> Iterator[ProgramFolder]:
    """Make a folder that is gone when the context ends."""
    with tempfile.TemporaryDirectory(prefix="octavo-select-") as name:
        folder = Path(name)
        kernels = folder / "kernels"
        kernels.mkdir()
        yield ProgramFolder(folder, target, KernelCache(kernels))
