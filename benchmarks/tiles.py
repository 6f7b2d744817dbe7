"""How well the model of the machine chooses tiles: candidates of every convolution, timed.

    python -m benchmarks.tiles [NAME ...]

Collects the convolutions of networks of the zoo and times all tiles of each side by side, one
thread, weights in the third-level cache as in a network. Writes benchmarks/results/tiles.json
and tiles.md: for each shape the tile that the model chose, the fastest one, and both times.
The constants in targets/kernels/tiling.py were fitted to such times.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

import octavo
from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path
from octavo.compiler.importer import import_model
from octavo.compiler.lowering.lower import lower
from octavo.compiler.lowering.program import Program
from octavo.compiler.measurements.key import this_context
from octavo.compiler.roofline.machine import this_machine
from octavo.compiler.tuning.records import TuningTask
from octavo.compiler.tuning.schedulers import TaskCollector
from octavo.compiler.tuning.stage import touched_bytes
from octavo.compiler.tuning.trial_program import Candidate
from octavo.compiler.tuning.trials import Trials
from octavo.errors import DeviceError
from octavo.targets import get_target
from octavo.targets.ops.conv import Conv

RESULTS = Path(__file__).parent / "results"
NETWORKS = ("resnet50", "mobilenet_v2")
NUM_CALIBRATION = 4
MAX_TILES = 24  # of one shape, the most promising by the model
SECONDS_PER_SHAPE = 1.0


@dataclass(frozen=True)
class Row:
    """One shape.

    Attributes:
        layer: The convolution in short.
        calls: How often the network has it.
        model_tile, best_tile: Rows and vectors of the tile that the model chose, and of the
            fastest one.
        model_us, best_us: Their times, microseconds: medians of the same runs.
        gmacs: Multiply-accumulates per second of the model's choice, in billions.
    """

    layer: str
    calls: int
    model_tile: str
    model_us: float
    best_tile: str
    best_us: float
    gmacs: float


@click.command()
@click.argument("names", nargs=-1)
@click.option("--seconds", default=SECONDS_PER_SHAPE, show_default=True, help="for each shape")
@click.option("--tiles", default=MAX_TILES, show_default=True, help="tiles for each shape")
@click.option("--shapes", type=int, help="only so many, those with the most work")
def main(names: tuple[str, ...], seconds: float, tiles: int, shapes: int | None) -> None:
    """Measure the networks NAME, or the usual ones."""
    rows = {}
    for name in names or NETWORKS:
        rows[name] = measure(name, seconds, tiles, shapes)
        click.echo(summary(name, rows[name]), err=True)
    RESULTS.mkdir(exist_ok=True)
    networks = {name: [asdict(row) for row in found] for name, found in rows.items()}
    record = {"cpu": this_machine().cpu, "networks": networks}
    (RESULTS / "tiles.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "tiles.md").write_text(
        "\n\n".join(f"{summary(n, r)}\n\n{table(r)}" for n, r in rows.items()) + "\n")


def measure(name: str, seconds: float, tiles: int, shapes: int | None) -> list[Row]:
    """Time the tiles of the convolutions of a network.

    Args:
        name: Name of a zoo entry.
        seconds: Timing of one shape.
        tiles: At most so many of each shape.
        shapes: At most so many, those with the most work; None for all.
    """
    target = get_target("host")
    collector = TaskCollector(this_context(target), tiles)
    program = _lower(name, collector)
    trials = Trials(target, touched_bytes(program), seconds)
    rows = []
    for task in [t for t in collector.tasks() if isinstance(t.call.op, Conv)][:shapes]:
        rows.append(_row(task, trials))
        click.echo(table(rows[-1:]).splitlines()[-1], err=True)
    return rows


def _lower(name: str, collector: TaskCollector) -> Program:
    entry = find_entry(name)
    samples = entry.samples(NUM_CALIBRATION)
    data = {key: np.concatenate([s[key] for s in samples]) for key in samples[0]}
    with tempfile.TemporaryDirectory() as folder:
        octavo.compile(model_path(name), "host", Path(folder) / "artifact", samples=data)
        model = import_model(Path(folder) / "artifact" / "model.int8.onnx")
        return lower(model, get_target("host"), name=name, scheduler=collector)


def _row(task: TuningTask, trials: Trials) -> Row:
    op = task.call.op
    timings = trials([Candidate(task, schedule) for schedule in task.schedules])
    errors = [timing.error for timing in timings if timing.error]
    if errors:
        raise DeviceError(f"{layer(op)}: {errors[0]}")
    times_us = [float(np.median(timing.latencies_us)) for timing in timings]
    best = int(np.argmin(times_us))
    tiles = ["x".join(map(str, list(s.record().values())[:2])) for s in task.schedules]
    return Row(
        layer(op), task.num_calls, tiles[0], round(times_us[0], 2), tiles[best],
        round(times_us[best], 2), round(op.macs / times_us[0] / 1e3, 1))


def layer(op: Conv) -> str:
    """A convolution in short."""
    kind = " depthwise" if op.groups == op.in_c > 1 else ""
    residual = " + residual" if op.requantize.residual else ""
    return (
        f"{op.in_h}x{op.in_w}x{op.in_c} -> {op.out_c}, {op.kernel_h}x{op.kernel_w}"
        f" / {op.stride_h}{kind}{residual}")


def table(rows: Sequence[Row]) -> str:
    """Markdown, one line for each shape."""
    lines = [
        "| layer | calls | model's tile | us | GMAC/s | fastest tile | us | model / fastest |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {r.layer} | {r.calls} | {r.model_tile} | {r.model_us:.1f} | {r.gmacs:.0f} |"
        f" {r.best_tile} | {r.best_us:.1f} | {r.model_us / r.best_us:.2f} |"
        for r in rows
    ]
    return "\n".join(lines)


def summary(name: str, rows: Sequence[Row]) -> str:
    """All convolutions of one network together."""
    model, best = (
        sum(row.calls * us for row, us in zip(rows, times, strict=True)) / 1e3
        for times in ([r.model_us for r in rows], [r.best_us for r in rows]))
    return (
        f"{name}: convolutions take {model:.2f} ms with the model's tiles, {best:.2f} ms with"
        f" the fastest of each shape ({model / best:.3f})")


if __name__ == "__main__":
    main()
