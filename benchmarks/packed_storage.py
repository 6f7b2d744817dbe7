"""What weights of few bits take in an artifact, and how long they take to load.

    python -m benchmarks.packed_storage [--keep FOLDER] [NAME ...]

Compiles four networks in six formats and times ``octavo_load`` and inferences of each, one
process after the other in turn. Also compares ways to store few bits, in C. Writes
benchmarks/results/packed_storage.json and packed_storage.md.
"""

import ctypes
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.interleave import measure_interleaved
from benchmarks.result_rows import RESULTS
from benchmarks.workloads import find_workload

NETWORKS = ("digits", "ds_cnn", "mobilenet_v2", "vit_tiny")
FORMATS: dict[str, dict[str, Any]] = {
    "float": {"float_only": True},
    "w8a8": {},
    "w4a8": {"weight_bits": 4},
    "w3a8": {"weight_bits": 3},
    "w2a8": {"weight_bits": 2},
    "w4, blocks of 16": {"weight_bits": 4, "block_size": 16},
}
UNPACKED = "w4a8 in bytes"
NUM_SAMPLES = 4  # ranges of activations move no size
NUM_LOADS = 15
NUM_VALUES = 3_400_000  # weights of MobileNetV2
LAYOUTS = {
    "words of eight values (what artifacts have)": ("words", (2, 3, 4)),
    "the same, one function for all widths": ("words_of_any_width", (2, 3, 4)),
    "value by value": ("stream", (2, 3, 4)),
    "whole values in a byte": ("nibbles", (2, 4)),
    "five of three values in a byte (1.6 bits)": ("ternary", (2,)),
}
FLAGS = ("-std=c11", "-O2", "-fno-sanitize=all", "-shared", "-fPIC")


@click.command()
@click.argument("names", nargs=-1)
@click.option("--keep", type=click.Path(path_type=Path), help="Where artifacts stay.")
def main(names: tuple[str, ...], keep: Path | None) -> None:
    """Measure the networks NAME, or all of them."""
    file = RESULTS / "packed_storage.json"
    results = json.loads(file.read_text()) if file.exists() else {"networks": {}}
    results["layouts"] = layouts()
    with tempfile.TemporaryDirectory() as temporary:
        for name in names or NETWORKS:
            folder = (keep or Path(temporary)) / name
            results["networks"][name] = measure(name, folder)
            click.echo(f"{name}: {results['networks'][name]}", err=True)
    file.write_text(json.dumps(results, indent=1) + "\n")
    (RESULTS / "packed_storage.md").write_text(table(results))


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Compile a network in every format, as far as that is not done, and load it often.

    Args:
        name: Of a workload.
        folder: For its artifacts.

    Returns:
        By format, bytes of the file and in memory, and milliseconds to load and to run.
    """
    formats = {**FORMATS, UNPACKED: {"weight_bits": 4, "packed_weights": False}}
    missing = {key: kind for key, kind in formats.items() if not (folder / key).exists()}
    if missing:
        _compile(name, folder, missing)
    loads_ms: dict[str, list[float]] = {key: [] for key in formats}
    runs_ms: dict[str, list[float]] = {key: [] for key in formats}
    for _ in range(NUM_LOADS):
        for key in formats:
            load_ms, run_ms = _times_ms(folder / key)
            loads_ms[key].append(load_ms)
            runs_ms[key].append(run_ms)
    rows = {}
    for key in formats:
        memory = json.loads((folder / key / "manifest.json").read_text())["memory"]
        rows[key] = {
            "stored_bytes": memory["weights_bytes"],
            "memory_bytes": memory["weights_memory_bytes"],
            "load_ms": _median_and_least(loads_ms[key]),
            "run_ms": _median_and_least(runs_ms[key]),
        }
    return rows


def _median_and_least(values: list[float]) -> tuple[float, float]:
    return round(float(np.median(values)), 4), round(min(values), 4)


def _compile(name: str, folder: Path, formats: dict[str, dict[str, Any]]) -> None:
    import octavo

    path, calibration, _ = find_workload(name).make()
    few = calibration[:NUM_SAMPLES]
    data = {key: np.concatenate([sample[key] for sample in few]) for key in few[0]}
    for key, options in formats.items():
        samples = None if "float_only" in options else data
        octavo.compile(path, "host", folder / key, samples=samples, **options)


def _times_ms(artifact: Path) -> tuple[float, float]:
    command = [str(artifact / "bench"), "--json", "--runs", "5", "--warmup", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    return float(said["load_us"]) / 1e3, float(said["latency_us"]["median"]) / 1e3


def layouts() -> list[dict[str, Any]]:
    """Milliseconds to expand as many weights as MobileNetV2 has, by layout and width."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "layouts.so"
        source = Path(__file__).with_suffix(".c")
        command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, str(source), "-o", str(path)]
        subprocess.run([*command, "-target", "x86_64-linux-gnu.2.34"], check=True)
        library = ctypes.CDLL(str(path))
    stored = np.random.default_rng(0).integers(0, 243, NUM_VALUES).astype(np.uint8)
    expanded = np.zeros(NUM_VALUES + 8, np.uint8)
    runs = {
        (layout, num_bits): partial(
            library[function],
            ctypes.c_void_p(stored.ctypes.data),
            ctypes.c_void_p(expanded.ctypes.data),
            ctypes.c_size_t(NUM_VALUES),
            num_bits,
            256 - (1 << num_bits - 1),
        )
        for layout, (function, widths) in LAYOUTS.items()
        for num_bits in widths
    }
    keys = {f"{layout}, {num_bits}": (layout, num_bits) for layout, num_bits in runs}
    found = measure_interleaved({text: runs[key] for text, key in keys.items()}, budget_s=3.0)
    return [
        {
            "layout": keys[text][0],
            "num_bits": keys[text][1],
            "ms": round(latency.median_us / 1e3, 3),
            "least_ms": round(latency.min_us / 1e3, 3),
        }
        for text, latency in found.items()
    ]


def table(results: dict[str, Any]) -> str:
    """Markdown of all tables."""
    networks = results["networks"]
    timed = [*FORMATS, UNPACKED]
    lines = [
        "Weights in artifacts for x86-64. `python -m benchmarks.packed_storage` writes this.",
        "",
        "KiB of `weights.bin`, and in brackets KiB in memory where that is another number:",
        "",
        *_table(networks, list(FORMATS), _size),
        "",
        "Milliseconds that `octavo_load` takes, the file in the system's cache, one thread",
        "(median; least); the last column is `--no-packed-weights`:",
        "",
        *_table(networks, timed, lambda row: _ms(row["load_ms"])),
        "",
        "Milliseconds of an inference (median; least):",
        "",
        *_table(networks, ["w8a8", "w4a8", UNPACKED], lambda row: _ms(row["run_ms"])),
        "",
        f"Ways to store few bits: milliseconds to expand {NUM_VALUES:,} values in memory that",
        "is there already (median; least), one thread, code for any x86-64 CPU:",
        "",
        "| layout | 2 bits | 3 bits | 4 bits |",
        "|---|---|---|---|",
        *_layouts(results["layouts"]),
        "",
        "Words of eight values have one layout and one function for every width and waste",
        "nothing with 3 bits. Neighbours in a byte are quicker for 4 bits, by less than what",
        "the system takes to hand out the memory, and do not exist for 3.",
    ]
    return "\n".join(lines) + "\n"


def _table(
    networks: dict[str, Any], formats: list[str], text: Callable[[dict[str, Any]], str]
) -> Iterable[str]:
    yield f"| network | {' | '.join(formats)} |"
    yield f"|---|{'---|' * len(formats)}"
    for name, rows in networks.items():
        yield f"| {name} | {' | '.join(text(rows[key]) for key in formats)} |"


def _size(row: dict[str, Any]) -> str:
    stored, memory = row["stored_bytes"], row["memory_bytes"]
    return _kib(stored) if stored == memory else f"{_kib(stored)} ({_kib(memory)})"


def _layouts(rows: list[dict[str, Any]]) -> Iterable[str]:
    by_layout: dict[str, dict[int, str]] = {}
    for row in rows:
        text = _ms((row["ms"], row["least_ms"]))
        by_layout.setdefault(row["layout"], {})[row["num_bits"]] = text
    for layout, cells in by_layout.items():
        yield f"| {layout} | {' | '.join(cells.get(n, '') for n in (2, 3, 4))} |"


def _kib(num_bytes: int) -> str:
    return f"{num_bytes / 1024:,.0f}"


def _ms(times: tuple[float, float]) -> str:
    return f"{times[0]:.3g}; {times[1]:.3g}"


if __name__ == "__main__":
    main()
