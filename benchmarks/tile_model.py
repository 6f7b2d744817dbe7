"""What networks would take on AMX tiles, by counting: no machine with AMX was timed.

    python -m benchmarks.tile_model [NAME ...]

Lowers networks of the zoo for x86-64-amx, and writes benchmarks/results/tile_model.md: the
products of tiles that each executes (tests compare these counts with an emulator that runs
the machine code), how full the tiles are, and the cycles that the kernels' model of the
machine expects, beside those of the same layers at the peak of 512-bit dot products. Left out
is what both have in common (scaling, rounding, softmax, other kernels), and setting up tiles.
"""

import json
import tempfile
from pathlib import Path

import click
import numpy as np

import octavo
from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path
from octavo.compiler.importer import import_model
from octavo.compiler.lowering.kernel_call import KernelCall
from octavo.compiler.lowering.lower import lower
from octavo.compiler.samples import open_samples
from octavo.targets import get_target
from octavo.targets.kernels.tile_cost import block_cycles

RESULTS = Path(__file__).parent / "results"
TARGET = "x86-64-amx"
NAMES = ("resnet50", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_lite0", "vit_tiny")
NUM_CALIBRATION = 4  # counts depend on shapes only


@click.command()
@click.argument("names", nargs=-1)
def main(names: tuple[str, ...]) -> None:
    """Count the networks NAME, or the usual ones."""
    rows = {name: count(name) for name in names or NAMES}
    for name, row in rows.items():
        click.echo(f"{name}: {row}", err=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "tile_model.json").write_text(json.dumps(rows, indent=2) + "\n")
    (RESULTS / "tile_model.md").write_text(table(rows))


def count(name: str) -> dict[str, float]:
    """Lower one network, and add up its products of tiles.

    Args:
        name: Name of a zoo entry.
    """
    entry = find_entry(name)
    samples = entry.samples(NUM_CALIBRATION)
    calls: list[KernelCall] = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "samples.npz"
        np.savez(data, **{k: np.concatenate([s[k] for s in samples]) for k in samples[0]})
        model = import_model(model_path(name))
        quantized = octavo.quantize(model, open_samples(data, model), measure=False)
    lower(quantized.model, get_target(TARGET), scheduler=calls.append)
    return summarize(calls)


def summarize(calls: list[KernelCall]) -> dict[str, float]:
    """Add up the calls of one network."""
    on_tiles = [call for call in calls if hasattr(call.kernel, "layouts")]
    layouts = [pair for call in on_tiles for pair in call.kernel.layouts(call.op, call.isa)]
    isa, unit = on_tiles[0].isa, layouts[0][0].unit
    products = sum(layout.num_products * times for layout, times in layouts)
    cycles = sum(
        layout.blocks * block_cycles(layout) * times for layout, times in layouts)
    macs = sum(call.op.macs for call in on_tiles)
    all_macs = sum(getattr(call.op, "macs", 0) for call in calls)
    full = unit.max_rows * unit.lanes * unit.max_row_bytes
    return {
        "gmacs": round(all_macs / 1e9, 3),
        "share_on_tiles": round(macs / all_macs, 3),
        "tile_products": products,
        "fill": round(macs / (products * full), 3),
        "tile_mcycles": round(cycles / 1e6, 2),
        "macs_per_cycle": round(macs / cycles),
        "vector_mcycles": round(
            macs / (isa.lanes * isa.dot_k * isa.pipeline.dots_per_cycle) / 1e6, 2),
    }


def table(rows: dict[str, dict[str, float]]) -> str:
    """The results in Markdown."""
    head = {
        "gmacs": "GMAC",
        "share_on_tiles": "share on tiles",
        "tile_products": "products of tiles",
        "fill": "fill of a product (16,384 MACs)",
        "tile_mcycles": "modelled Mcycles on tiles",
        "macs_per_cycle": "MACs a cycle (of 1,024)",
        "vector_mcycles": "Mcycles at the peak of 512-bit dot products (128 MACs a cycle)",
    }
    lines = [
        "Counted and modelled, not timed: see benchmarks/tile_model.py.",
        "",
        "| network | " + " | ".join(head.values()) + " |",
        "|---" * (len(head) + 1) + "|",
    ]
    for name, row in rows.items():
        values = [f"{row[key]:,}" for key in head]
        lines.append(f"| {name} | " + " | ".join(values) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
