"""Tiles for every machine with AVX-512: the CPU's own, or those of the emulator."""

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from octavo.compiler.artifact.toolchain import zig
from octavo.targets.host import CPUINFO, cpu_flags
from octavo.targets.x86.amx import AmxInt8

EMULATOR = Path(__file__).with_name("amx_emulator.c")
FLAGS = ("-target", "x86_64-linux-gnu.2.28", "-std=c11", "-O3", "-fPIC", "-fno-sanitize=all",
         "-Wall", "-Wextra", "-Werror", "-Wshadow", "-fvisibility=hidden")
VECTOR_FLAGS = {"avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512_vnni", "avx512vbmi"}
SYS_ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, TILE_DATA = 158, 0x1023, 18
COUNTED = ("load_config", "store_config", "load", "store", "zero", "release", "multiply")


@dataclass
class Tiles:
    """What runs the tile instructions of this process.

    Attributes:
        emulator: The loaded emulator, or None where the CPU has tiles.
    """

    emulator: Any

    def take_counts(self) -> dict[str, int]:
        """Instructions since the last call, by kind; only the emulator counts."""
        if self.emulator is None:
            pytest.skip("this CPU has tiles, and does not count their instructions")
        counts = (ctypes.c_uint64 * len(COUNTED))()
        self.emulator.amx_emulator_take_counts(counts)
        return dict(zip(COUNTED, counts, strict=True))

    def num_unreleased(self) -> int:
        """Threads that have not released their tiles; 0 where nobody can tell."""
        return 0 if self.emulator is None else self.emulator.amx_emulator_num_unreleased()


def has_tiles() -> bool:
    """Whether the CPU runs tile instructions itself."""
    return {"amx_tile", "amx_int8"} <= cpu_flags(CPUINFO)


@pytest.fixture(scope="session")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Tiles:
    """Ask for the CPU's tiles, or install the emulator."""
    missing = VECTOR_FLAGS - cpu_flags(CPUINFO)
    if missing:
        pytest.skip(f"this CPU lacks {', '.join(sorted(missing))}; kernels need them too")
    if has_tiles():
        libc = ctypes.CDLL(None, use_errno=True)
        refused = libc.syscall(SYS_ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, TILE_DATA)
        if refused:
            pytest.skip("the system refuses this process the tiles of the CPU")
        return Tiles(None)
    folder = tmp_path_factory.mktemp("amx")
    zig(["cc", *FLAGS, "-shared", str(EMULATOR), "-o", "amx_emulator.so"], folder)
    emulator = ctypes.CDLL(str(folder / "amx_emulator.so"))
    emulator.amx_emulator_permit()
    return Tiles(emulator)


@pytest.fixture
def run_tiles(run_kernel: Any, tiles: Tiles) -> Any:
    """Function: kernel, operation, inputs, arrays, output to the result on tiles."""
    isa = AmxInt8()

    def run(kernel: Any, op: Any, inputs: Any, arrays: Any, y: Any) -> np.ndarray:
        result = run_kernel(kernel, op, isa, inputs, arrays, y)
        assert tiles.num_unreleased() == 0
        return result

    return run
