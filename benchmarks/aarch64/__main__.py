"""Against ONNX Runtime and LiteRT on AArch64: python -m benchmarks.aarch64.

Counts what every program executes for one INT8 inference under the same emulator, one thread,
as the difference of two run lengths. What results/aarch64.json holds is not measured again,
except with --again; ours always is. Writes benchmarks/results/aarch64.json and aarch64.md.
"""

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

import octavo
from benchmarks.aarch64.cores import CORES, Core, find_core
from benchmarks.aarch64.peers import VARIANTS, count_peer
from benchmarks.aarch64.system import versions
from benchmarks.aarch64.table import table
from benchmarks.instructions import count_artifact
from benchmarks.peers.protocol import Inputs, Task
from benchmarks.workloads import find_workload

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
ARTIFACTS = ROOT / "build" / "aarch64" / "artifacts"
USUAL = ("mobilenet_v2", "resnet50", "ds_cnn")
NETWORKS = (*USUAL, "mobilenet_v3_large", "vit_tiny", "minilm_l6")
OURS = "Octavo"
PROGRAMS = (OURS, *dict.fromkeys(variant.peer for variant in VARIANTS))


@click.command()
@click.option(
    "--only", multiple=True, type=click.Choice(NETWORKS), help="These networks, not the usual."
)
@click.option("--core", "cores", multiple=True, type=click.Choice([c.name for c in CORES]))
@click.option("--program", "programs", multiple=True, type=click.Choice(PROGRAMS))
@click.option("--again", is_flag=True, help="Count peers again that were counted before.")
def main(
    only: tuple[str, ...], cores: tuple[str, ...], programs: tuple[str, ...], again: bool
) -> None:
    """Count, write the results after each program, and print the table."""
    file = RESULTS / "aarch64.json"
    record = json.loads(file.read_text()) if file.exists() else {}
    if record.get("versions") != versions():
        record = {"versions": versions(), "networks": {}}
    failures = []
    for network in only or USUAL:
        task, inputs = _task(network)
        rows: dict[str, Any] = record["networks"].setdefault(network, {})
        for core in [find_core(name) for name in cores] or CORES:
            cells = rows.setdefault(core.name, {})
            if not programs or OURS in programs:
                cells[f"{OURS}, int8"] = _ours(network, task, inputs, core)
                _write(record)
            for variant in [v for v in VARIANTS if not programs or v.peer in programs]:
                key = f"{variant.peer}, {variant.name}"
                if key in cells and not again:
                    continue
                # A peer that cannot run a network is no reason to lose the others.
                try:
                    cells[key] = count_peer(variant, task, inputs, core)
                except Exception as error:
                    failures.append(f"{network} in {key} on {core.name}: {error}")
                _write(record)
            click.echo(f"{network} on {core.name}: {cells}", err=True)
    click.echo(table(record))
    if failures:
        raise click.ClickException("; ".join(failures))


def _task(network: str) -> tuple[Task, Inputs]:
    workload = find_workload(network)
    path, samples, inputs = workload.make()
    return Task(path, tuple(samples), workload.is_transformer), inputs[0]


def _ours(network: str, task: Task, inputs: Inputs, core: Core) -> dict[str, Any]:
    folder = ARTIFACTS / network / core.target
    samples = {
        name: np.stack([sample[name] for sample in task.samples]) for name in task.samples[0]
    }
    octavo.compile(task.path, core.target, folder, samples=samples, force=True)
    counted = count_artifact(folder, inputs)
    return {"instructions": counted.total.instructions}


def _write(record: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "aarch64.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "aarch64.md").write_text(table(record) + "\n")


if __name__ == "__main__":
    main()
