"""Channel widths against time: whether the widths that are called friendly are.

    python -m benchmarks.widths [--keep DIR]

Times convolutions and products of 1 to 96 channels, INT8 and float of every width side by
side, one thread. Writes benchmarks/results/widths.json, widths.md and widths.svg: microseconds
for each channel, and whether ``octavo.targets.friendly_widths`` names the local optima.
"""

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

from benchmarks.plot_widths import save_plot
from benchmarks.width_program import width_program
from octavo.compiler.artifact.write import write_artifact
from octavo.compiler.roofline.machine import this_machine
from octavo.compiler.session import load
from octavo.targets import get_target
from octavo.targets.friendly_widths import friendly_widths, integer_twin
from octavo.targets.instructions import isa_of
from octavo.targets.ops.conv import Conv

RESULTS = Path(__file__).parent / "results"
MAX_WIDTH = 96
RUNS, WARMUP = 150, 10
SAME = 1.05  # times that differ by less count as equal


def _square(**sizes: int) -> Conv:
    return Conv(batch=1, in_h=28, in_w=28, dtype="float32", **sizes)


def _three(**sizes: int) -> Conv:
    pads = {"pad_top": 1, "pad_left": 1, "pad_bottom": 1, "pad_right": 1}
    return Conv(batch=1, in_h=14, in_w=14, kernel_h=3, kernel_w=3, dtype="float32", **pads,
                **sizes)


# What grows with the width: layer and axis.
SWEEPS: dict[str, tuple[str, Callable[[int], Conv]]] = {
    "1x1, 64 -> w": ("output channels", lambda w: _square(in_c=64, out_c=w)),
    "1x1, w -> 64": ("input channels", lambda w: _square(in_c=w, out_c=64)),
    "3x3, 32 -> w": ("output channels", lambda w: _three(in_c=32, out_c=w)),
    "3x3, w -> 32": ("input channels", lambda w: _three(in_c=w, out_c=32)),
    "depthwise 3x3, w": ("channels", lambda w: _three(in_c=w, out_c=w, groups=w)),
    "Gemm, 64 rows, 256 -> w": (
        "output channels",
        lambda w: Conv(batch=1, in_h=1, in_w=64, in_c=256, out_c=w, dtype="float32")),
}


@dataclass(frozen=True)
class Row:
    """One width.

    Attributes:
        width: Channels.
        waste: Of INT8, along the axis of the sweep.
        int8_us, float_us: Medians, microseconds.
        int8_min_us, float_min_us: Fastest runs.
    """

    width: int
    waste: float
    int8_us: float
    float_us: float
    int8_min_us: float
    float_min_us: float


@click.command()
@click.option("--keep", type=click.Path(path_type=Path), help="reuses compiled programs here")
@click.option("--build-only", is_flag=True, help="compiles and measures nothing")
def main(keep: Path | None, build_only: bool) -> None:
    """Measure all sweeps."""
    with tempfile.TemporaryDirectory() as name:
        folders = [(keep or Path(name)) / str(i) for i in range(len(SWEEPS))]
        for folder, (_, of_width) in zip(folders, SWEEPS.values(), strict=True):
            if not folder.exists():
                target = get_target("host")
                pairs = [pair for w in range(1, MAX_WIDTH + 1) for pair in _pair(of_width(w))]
                write_artifact(width_program(target, pairs), target, None, folder)
        if build_only:
            return
        sweeps = {
            sweep: _measure(folder, *SWEEPS[sweep])
            for sweep, folder in zip(SWEEPS, folders, strict=True)}
    record = {
        "cpu": this_machine().cpu,
        "sweeps": {name: [asdict(row) for row in rows] for name, rows in sweeps.items()}}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "widths.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "widths.md").write_text(page(sweeps) + "\n")
    save_plot(sweeps, RESULTS / "widths.svg")
    click.echo(page(sweeps))


def _pair(op: Conv) -> tuple[Conv, Conv]:
    return integer_twin(op, isa_of(get_target("host"))), op


def _measure(folder: Path, axis: str, of_width: Callable[[int], Conv]) -> list[Row]:
    with load(folder, verify=False) as session:
        profiles = session.profile({}, runs=RUNS, warmup=WARMUP)
    times = np.array([p.latencies_us for p in profiles])
    medians, least = np.median(times, axis=1).tolist(), times.min(axis=1).tolist()
    isa = isa_of(get_target("host"))
    rows = []
    for i in range(len(medians) // 2):
        found = friendly_widths(_pair(of_width(i + 1))[0], isa)
        # A depthwise layer of one channel is one of one output channel.
        waste = next((f.waste for f in found if f.axis == axis), found[-1].waste)
        here, there = 2 * i, 2 * i + 1
        rows.append(Row(
            i + 1, round(waste, 4), *(round(medians[k], 3) for k in (here, there)),
            *(round(least[k], 3) for k in (here, there))))
    return rows


def friendly(rows: Sequence[Row]) -> list[Row]:
    """Widths without waste."""
    return [row for row in rows if not row.waste]


def local_optima(rows: Sequence[Row]) -> list[int]:
    """Friendly widths that take less time for each channel than both neighbours do."""
    found = []
    for row in friendly(rows):
        around = [r for r in rows if abs(r.width - row.width) == 1]
        if all(row.int8_us / row.width < r.int8_us / r.width for r in around):
            found.append(row.width)
    return found


def free_steps(rows: Sequence[Row]) -> tuple[int, int]:
    """Unfriendly widths of which the next friendly one costs no more, and all of them."""
    wide = friendly(rows)
    pairs = [
        (row, next((f for f in wide if f.width > row.width), None))
        for row in rows if row.waste]
    known = [(row, larger) for row, larger in pairs if larger is not None]
    return sum(f.int8_us <= SAME * row.int8_us for row, f in known), len(known)


def page(sweeps: dict[str, list[Row]]) -> str:
    """Markdown: what holds of friendly widths, and some of the times."""
    lines = [
        "Friendly widths (`octavo.targets.friendly_widths`) of 1 to 96 channels, INT8, one"
        " thread. A local optimum takes less time for each channel than both neighbours. A"
        f" step up is free when the next friendly width takes at most {SAME - 1:.0%} longer.",
        "",
        "| layer | friendly widths | local optima | free steps up |"
        " INT8 against float, friendly | unfriendly |",
        "|---|---|---|---|---|---|",
    ]
    for name, rows in sweeps.items():
        free, steps = free_steps(rows)
        wide = friendly(rows)
        gains = [
            np.exp(np.mean([np.log(r.float_us / r.int8_us) for r in part]))
            if part else float("nan")
            for part in (wide, [r for r in rows if r.waste])]
        widths = ", ".join(str(r.width) for r in wide[:6]) + (", ..." if wide[6:] else "")
        lines.append(
            f"| {name} | {widths} | {len(local_optima(rows))} of {len(wide)} |"
            f" {free} of {steps} | {gains[0]:.2f}x | {gains[1]:.2f}x |")
    lines += ["", "![Time for each channel](widths.svg)", ""]
    lines += ["| layer | width | wasted | INT8, us | float, us | INT8, us per channel |",
              "|---|---|---|---|---|---|"]
    lines += [
        f"| {name} | {r.width} | {r.waste:.0%} | {r.int8_us:.2f} | {r.float_us:.2f} |"
        f" {r.int8_us / r.width:.3f} |"
        for name, rows in sweeps.items()
        for r in rows if r.width in (1, 3, 8, 15, 16, 17, 24, 31, 32, 33, 64, 65, 96)]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
