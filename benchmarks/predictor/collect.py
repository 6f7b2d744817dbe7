"""Compile networks, and measure every kernel where it stands in them."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from numpy.typing import NDArray

import octavo
from benchmarks.predictor.networks import FAMILIES
from benchmarks.zoo.registry import ZOO, find_entry
from benchmarks.zoo.store import model_path
from octavo.compiler.roofline.machine import this_machine
from octavo.errors import OctavoError

NUM_CALIBRATION = 4
WARMUP = 3
MAX_RUNS = 100
MIN_RUNS = 3
MEDIAN = 1  # of the three quartiles
PRECISIONS = ("int8", "float32")
# What the model is told of a step, from its manifest
STEP_KEYS = (
    "variant", "schedule", "placement", "op_types", "macs", "operation",
    "read_bytes", "weight_bytes", "written_bytes")


@dataclass(frozen=True)
class Network:
    """One network to measure.

    Attributes:
        name: Unique.
        family: Networks of one family resemble each other: they are left out together.
        is_zoo: A known architecture, no random one.
    """

    name: str
    family: str
    is_zoo: bool


def networks() -> Iterator[Network]:
    """Every network, the zoo's first."""
    for entry in ZOO:
        yield Network(entry.name, entry.name.split("_v")[0].rstrip("0123456789"), True)
    for build, count in FAMILIES:
        for seed in range(count):
            name = f"{build.__name__}_{seed}"
            yield Network(name, name, False)


def load_model(network: Network) -> tuple[onnx.ModelProto, dict[str, NDArray[np.float32]]]:
    """Build a network, and samples to calibrate it with."""
    if network.is_zoo:
        entry = find_entry(network.name)
        samples = entry.samples(NUM_CALIBRATION)
        model = onnx.load(model_path(network.name))
        return model, {key: np.concatenate([s[key] for s in samples]) for key in samples[0]}
    stem, seed = network.name.rsplit("_", 1)
    build = next(build for build, _ in FAMILIES if build.__name__ == stem)
    model = build(int(seed))
    (port,) = model.graph.input
    shape = [d.dim_value for d in port.type.tensor_type.shape.dim]
    rng = np.random.default_rng(int(seed))
    shape = [NUM_CALIBRATION, *(shape[1:] if shape[0] == 1 else shape)]
    return model, {port.name: rng.standard_normal(shape, dtype=np.float32)}


def compile_all(folder: Path) -> None:
    """Compile what is not there yet, in INT8 and in float."""
    for network in networks():
        wanted = [p for p in PRECISIONS if not (folder / network.name / p).exists()]
        if not wanted:
            continue
        model, samples = load_model(network)
        (folder / network.name).mkdir(parents=True, exist_ok=True)
        path = folder / network.name / "model.onnx"
        onnx.save(model, path)
        for precision in wanted:
            started = time.perf_counter()
            options: dict[str, Any] = (
                {"samples": samples} if precision == "int8" else {"float_only": True})
            try:
                directory = folder / network.name / precision
                octavo.compile(path, "host", directory, use_tuned=False, **options)
            except OctavoError as error:
                click.echo(f"{network.name} {precision}: {error}", err=True)
                continue
            took = time.perf_counter() - started
            click.echo(f"{network.name} {precision}: {took:.1f} s", err=True)


def measure_round(folder: Path, turn_s: float, limit_s: float) -> None:
    """Run every artifact for a moment; each network's round is added to its file.

    Those with the fewest rounds go first, and after ``limit_s`` no other one begins: the
    next call goes on.
    """
    ends = time.perf_counter() + limit_s
    todo = []
    for network in networks():
        for precision in PRECISIONS:
            directory = folder / network.name / precision
            if (directory / "manifest.json").exists():
                kept = folder / network.name / f"{precision}.rounds"
                done = len(kept.read_text().splitlines()) if kept.exists() else 0
                todo.append((done, directory, kept))
    fewest = min((done for done, _, _ in todo), default=0)
    for done, directory, kept in todo:
        if done > fewest:
            continue
        if time.perf_counter() > ends:
            return
        with kept.open("a") as file:
            file.write(json.dumps(measure(directory, turn_s)) + "\n")


def measure(directory: Path, turn_s: float) -> dict[str, Any]:
    """Time an artifact, whole runs and then steps, in half of ``turn_s`` each."""
    with octavo.load(directory, verify=False) as session:
        whole_us = session.measure(runs=MIN_RUNS, warmup=WARMUP)
        runs = int(np.clip(turn_s * 0.5e6 / whole_us.min(), MIN_RUNS, MAX_RUNS))
        whole_us = session.measure(runs=runs, warmup=0)
        profiles = session.profile(runs=runs, warmup=1)
    quartiles = np.percentile([p.latencies_us for p in profiles], (25, 50, 75), axis=1)
    return {
        "runs": runs,
        "whole_us": round(float(np.median(whole_us)), 3),
        "steps_us": np.round(quartiles, 3).tolist(),
    }


def gather(folder: Path) -> Iterator[dict[str, Any]]:
    """What is kept of each artifact: its steps with their latencies.

    Other work on the machine only adds to a time, and may do so for a whole round: the median
    of the quietest round counts, for each step and for the whole.
    """
    machine = this_machine()
    for network in networks():
        for precision in PRECISIONS:
            kept = folder / network.name / f"{precision}.rounds"
            if not kept.exists():
                continue
            rounds = [json.loads(line) for line in kept.read_text().splitlines()]
            directory = folder / network.name / precision
            manifest = json.loads((directory / "manifest.json").read_text())
            quietest_us = np.min([r["steps_us"][MEDIAN] for r in rounds], axis=0).tolist()
            steps = [
                {key: step[key] for key in STEP_KEYS} | {"latency_us": round(latency_us, 3)}
                for step, latency_us in zip(manifest["steps"], quietest_us, strict=True)]
            yield {
                "network": network.name, "family": network.family, "is_zoo": network.is_zoo,
                "precision": precision, "rounds": len(rounds),
                "cpu": machine.cpu, "caches": machine.caches,
                "whole_us": min(r["whole_us"] for r in rounds),
                "arena_bytes": manifest["memory"]["arena_bytes"],
                "weights_bytes": manifest["memory"]["weights_bytes"],
                "steps": steps,
            }
