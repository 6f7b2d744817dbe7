"""Operator selection against every uniform choice: python -m benchmarks.selection [ROW ...].

A row is a network on a target. ``compile --device local`` measures and chooses; then its
artifact, the one without selection and the float one take turns, run by run, one thread.
Writes benchmarks/results/selection.json and selection.md.
"""

import tempfile
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import octavo
from benchmarks.interleave import measure_interleaved
from benchmarks.result_rows import rows_command
from benchmarks.unfriendly import write_network
from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path
from octavo.compiler.selection.options import SelectionOptions

ROWS = (
    "mobilenet_v2 host",
    "resnet50 host",
    "vit_tiny host",
    "lstm host",
    "unfriendly host",
    "unfriendly x86-64-avx2",
    "mobilenet_v2 x86-64-avx2",
)
UNFRIENDLY = "unfriendly"
NUM_CALIBRATION = 16
SECONDS = 6.0  # of each program in each comparison of the selection
BUDGET_S = 10.0
SELECTED, DEFAULT, FLOAT = "selected", "default", "float"


def measure(row: str) -> dict[str, Any]:
    """Compile one network with and without selection, and in float, and time all three.

    Args:
        row: Name of a zoo entry or "unfriendly", and a target that this machine runs.

    Returns:
        What the selection recorded, its seconds, and latencies of the three artifacts.
    """
    name, target = row.split()
    with tempfile.TemporaryDirectory() as folder:
        path, data = _network(name, Path(folder))
        build = partial(octavo.compile, path, target, use_tuned=False)
        start = time.perf_counter()
        options = SelectionOptions("local", seconds=SECONDS)
        result = build(Path(folder) / SELECTED, samples=data, select=options)
        took_s = time.perf_counter() - start
        build(Path(folder) / DEFAULT, samples=data)
        build(Path(folder) / FLOAT, float_only=True)
        inputs = {key: values[:1] for key, values in data.items()}
        kinds = (SELECTED, DEFAULT, FLOAT)
        sessions = {kind: octavo.load(Path(folder) / kind) for kind in kinds}
        inputs = {
            port.name: inputs[port.name].reshape(port.shape)
            for port in sessions[SELECTED].inputs
        }
        runs = {kind: partial(session.run, inputs) for kind, session in sessions.items()}
        times = measure_interleaved(runs, budget_s=BUDGET_S)
        for session in sessions.values():
            session.close()
    return {
        "selection": result.manifest["metadata"]["selection"],
        "took_s": took_s,
        "latency": {kind: asdict(latency) for kind, latency in times.items()},
    }


def _network(name: str, folder: Path) -> tuple[Path, dict[str, Any]]:
    if name == UNFRIENDLY:
        return write_network(folder)
    samples = find_entry(name).samples(NUM_CALIBRATION)
    return model_path(name), {k: np.concatenate([s[k] for s in samples]) for k in samples[0]}


def table(rows: dict[str, Any]) -> str:
    """Networks, then every program that was measured, as Markdown."""
    lines = [
        "One thread. A ratio is a program's median latency over that of the selection: above"
        " 1, the selection is faster.",
        "",
        "| network, target | selection, ms | without | float | layers in float"
        " | layers that left the default | took |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        selected_us = row["latency"][SELECTED]["median_us"]
        ratios = [row["latency"][k]["median_us"] / selected_us for k in (DEFAULT, FLOAT)]
        chosen = [layer["chosen"] for layer in row["selection"]["layers"] if layer["chosen"]]
        num_float = sum(option["placement"] != "int8" for option in chosen)
        num_other = sum(option["candidate"] != "int8" for option in chosen)
        lines.append(
            f"| {name} | {selected_us / 1e3:.3f} | {ratios[0]:.3f}x | {ratios[1]:.2f}x"
            f" | {num_float} of {len(chosen)} | {num_other} | {row['took_s']:.0f} s |"
        )
    lines += [
        "",
        "Every program of a selection: what all layers take alike, as measured first, and the"
        " finalists, measured side by side afterwards.",
        "",
        "| network, target | program | first, ms | afterwards, ms | over the chosen one |",
        "|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        lines.extend(_programs(name, row["selection"]))
    return "\n".join(lines)


def _programs(name: str, selection: dict[str, Any]) -> list[str]:
    first = {p["name"]: p["cost"] for p in selection["candidates"]}
    last = {p["name"]: p["cost"] for p in selection["programs"]}
    chosen_us = last[selection["chosen"]]
    names = sorted(first.keys() | last.keys(), key=lambda n: last.get(n) or first.get(n) or 0)
    return [
        f"| {name} | {n}{' (chosen)' if n == selection['chosen'] else ''}"
        f" | {_ms(first.get(n))} | {_ms(last.get(n))}"
        f" | {last[n] / chosen_us:.3f}x |"
        if last.get(n)
        else f"| {name} | {n} | {_ms(first.get(n))} | | |"
        for n in names
    ]


def _ms(latency_us: float | None) -> str:
    return "" if latency_us is None else f"{latency_us / 1e3:.3f}"


if __name__ == "__main__":
    rows_command("selection", ROWS, measure, table)()
