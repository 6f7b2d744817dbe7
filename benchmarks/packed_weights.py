"""What 4-bit weights could gain on x86: a matrix times one vector, packed in three ways.

    python -m benchmarks.packed_weights

Compares int8 weights as the kernels read them (AVX-512 VNNI), weights of two to a byte that
are unpacked in registers between load and product, and such weights unpacked to memory before
the int8 kernel runs. One thread, in turn; all three give the same integers. Writes
benchmarks/results/packed_weights.json and packed_weights.md.
"""

import ctypes
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.interleave import measure_interleaved

RESULTS = Path(__file__).parent / "results"
SOURCE = Path(__file__).with_suffix(".c")
ARCHITECTURE = "x86_64_v4+avx512vnni"
# Outputs, inputs, and how many such layers one pass reads, so that none is in a cache.
LAYERS = ((256, 256, 1), (512, 1024, 1), (1024, 2048, 1), (2048, 4096, 1), (1024, 4096, 16))
SECONDS = 5.0
TURN_SECONDS = 0.05  # others in between would empty the caches


def main() -> None:
    """Measure and write the results."""
    with tempfile.TemporaryDirectory() as folder:
        library = _build(Path(folder))
        rows = [_measure(library, *layer) for layer in LAYERS]
    (RESULTS / "packed_weights.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "packed_weights.md").write_text(_table(rows))


def _build(folder: Path) -> ctypes.CDLL:
    path = folder / "packed_weights.so"
    flags = ["-O3", f"-march={ARCHITECTURE}", "-shared", "-fPIC", "-o", str(path)]
    subprocess.run([sys.executable, "-m", "ziglang", "cc", *flags, str(SOURCE)], check=True)
    library = ctypes.CDLL(str(path))
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    library.gemv8.argtypes = library.gemv4.argtypes = [pointer, pointer, pointer, size, size]
    library.unpack.argtypes = [pointer, pointer, size]
    return library


def _measure(library: ctypes.CDLL, outputs: int, inputs: int, copies: int) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    shape = (outputs // 64, inputs // 4, 4, 16, 4)
    wide = [rng.integers(-7, 8, shape).astype(np.int8) for _ in range(copies)]
    packed = [_pack(w) for w in wide]
    x = rng.integers(0, 256, inputs).astype(np.uint8)
    room = np.zeros(wide[0].size, np.int8)
    results = {
        name: np.zeros(outputs, np.int32) for name in ("int8", "in registers", "in memory")
    }

    def int8() -> None:
        for w in wide:
            _call(library.gemv8, x, w, results["int8"], outputs, inputs)

    def in_registers() -> None:
        for w in packed:
            _call(library.gemv4, x, w, results["in registers"], outputs, inputs)

    def in_memory() -> None:
        for w in packed:
            _call(library.unpack, w, room, w.size)
            _call(library.gemv8, x, room, results["in memory"], outputs, inputs)

    programs: dict[str, Callable[[], object]] = {
        "int8": int8,
        "in registers": in_registers,
        "in memory": in_memory,
    }
    measured = measure_interleaved(programs, budget_s=SECONDS, turn_s=TURN_SECONDS)
    for result in results.values():
        np.testing.assert_array_equal(result, results["int8"])
    return {
        "outputs": outputs,
        "inputs": inputs,
        "layers": copies,
        "int8_bytes": outputs * inputs * copies,
        **{
            name: {"median_us": latency.median_us, "min_us": latency.min_us}
            for name, latency in measured.items()
        },
    }


def _pack(weight: np.ndarray) -> np.ndarray:
    """Two vectors of 64 codes in one: the first in the low halves of the bytes."""
    codes = (weight + 8).astype(np.uint8).reshape(-1, 2, 64)
    return np.ascontiguousarray(codes[:, 0] | (codes[:, 1] << 4))


def _call(function: Any, *arguments: Any) -> None:
    function(*(a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments))


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [
        "Weights of 4 bits in a matrix times one vector, AVX-512 VNNI, one thread: medians,",
        "minima in brackets, microseconds. `python -m benchmarks.packed_weights` writes it.",
        "",
        "| int8 weights | int8 | 4 bits, unpacked in registers | 4 bits, unpacked to memory |",
        "|---|---|---|---|",
    ]
    for row in rows:
        cells = [
            f"{row[name]['median_us']:.1f} ({row[name]['min_us']:.1f})"
            for name in ("int8", "in registers", "in memory")
        ]
        lines.append(f"| {row['int8_bytes'] // 1024:,} KiB | {' | '.join(cells)} |")
    lines += [
        "",
        "Unpacking to memory in each run never pays. Unpacking in registers pays where",
        "weights are read once and do not fit the caches: dense layers of one row.",
        "Convolutions read each weight for many pixels, so their time is in the products.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
