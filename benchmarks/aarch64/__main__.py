"""Against ONNX Runtime and LiteRT on AArch64: python -m benchmarks.aarch64.

Counts what every program executes for one INT8 inference under the same emulator, one thread,
as the difference of two run lengths. What results/aarch64.json holds is not measured again,
except with --again; ours always is. Writes benchmarks/results/aarch64.json and aarch64.md.
"""

import json
from functools import partial
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
    failures = []
    for network in only or USUAL:
        task, inputs = _task(network)
        for core in [find_core(name) for name in cores] or CORES:
            counters = {f"{OURS}, int8": partial(_ours, network)} | {
                f"{variant.peer}, {variant.name}": partial(count_peer, variant)
                for variant in VARIANTS
            }
            for key, counter in counters.items():
                program = key.split(", ")[0]
                if programs and program not in programs:
                    continue
                known = _read()["networks"].get(network, {}).get(core.name, {})
                if key in known and program != OURS and not again:
                    continue
                # A program that cannot run a network is no reason to lose the others.
                try:
                    found = counter(task, inputs, core)
                except Exception as error:
                    failures.append(f"{network} in {key} on {core.name}: {error}")
                    continue
                _keep(network, core, key, found)
                click.echo(f"{network} in {key} on {core.name}: {found}", err=True)
    click.echo(table(_read()))
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


def _read() -> dict[str, Any]:
    """What was counted with the same versions."""
    file = RESULTS / "aarch64.json"
    record: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    same = record.get("versions") == versions()
    return record if same else {"versions": versions(), "networks": {}}


def _keep(network: str, core: Core, key: str, found: dict[str, Any]) -> None:
    """Add one count to the results, which other runs may have added to meanwhile."""
    record = _read()
    record["networks"].setdefault(network, {}).setdefault(core.name, {})[key] = found
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "aarch64.json").write_text(json.dumps(record, indent=1) + "\n")
    (RESULTS / "aarch64.md").write_text(table(record) + "\n")


if __name__ == "__main__":
    main()
