"""INT8 against our own float on emulated targets: python -m benchmarks.instructions.

Compiles networks for targets that are emulated, in INT8 and in float, and counts the
instructions of one inference. Writes benchmarks/results/instructions.json and
instructions.md. --only and --target measure again, and keep the other results.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import click

from benchmarks.peers.octavo_runner import compile_both
from benchmarks.peers.protocol import Inputs, Task
from benchmarks.workloads import find_workload
from octavo.compiler.artifact.manifest import read_manifest
from octavo.compiler.counting.counts import CountedRun
from octavo.compiler.counting.steps import count_steps
from octavo.targets import get_target

RESULTS = Path(__file__).parent / "results"
ARTIFACTS = Path(__file__).resolve().parents[1] / "build" / "instructions"
NETWORKS = ("mobilenet_v2", "resnet50", "ds_cnn")
TARGETS = (
    "arm64-neon", "arm64-dotprod", "arm64-i8mm", "armv7-neon", "riscv64-rvv", "hexagon-v66",
    "hexagon-v68", "hexagon-v73",
)  # fmt: skip


@click.command()
@click.option("--only", multiple=True, type=click.Choice(NETWORKS), help="These networks.")
@click.option("--target", "targets", multiple=True, type=click.Choice(TARGETS))
def main(only: tuple[str, ...], targets: tuple[str, ...]) -> None:
    """Count, write the results after each network and target, and print the table."""
    failures = []
    for network in only or NETWORKS:
        for target in targets or TARGETS:
            try:
                found = measure(network, target)
            # One target that cannot be measured is no reason to lose the others.
            except Exception as error:
                failures.append(f"{network} on {target}: {error}")
                continue
            click.echo(f"{network}, {target}: {found}", err=True)
            keep(network, target, found)
    click.echo(table(_read()))
    if failures:
        raise click.ClickException("; ".join(failures))


def measure(network: str, target: str) -> dict[str, Any]:
    """Compile one network for a target, and count one inference in INT8 and in float."""
    workload = find_workload(network)
    path, samples, inputs = workload.make()
    task = Task(path, tuple(samples), workload.is_transformer)
    folder = ARTIFACTS / network / target
    int8, real = compile_both(task, folder, target)
    counted = [count_artifact(artifact, inputs[0]) for artifact in (int8, real)]
    macs = read_manifest(int8)["macs"]
    shutil.rmtree(folder)
    return {
        "unit": counted[0].unit,
        "macs": macs,
        "int8": counted[0].total.instructions,
        "float32": counted[1].total.instructions,
    }


def count_artifact(artifact: Path, inputs: Inputs) -> CountedRun:
    """Count one inference of an artifact for an emulated target."""
    manifest = read_manifest(artifact)
    target = get_target(manifest["target"])
    return count_steps(artifact, manifest, target, inputs, counts_memory=False)


def keep(network: str, target: str, found: dict[str, Any]) -> None:
    """Add one count to the results, which other runs may have added to meanwhile."""
    rows = _read()
    rows.setdefault(network, {})[target] = found
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "instructions.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "instructions.md").write_text(table(rows) + "\n")


def _read() -> dict[str, Any]:
    file = RESULTS / "instructions.json"
    rows: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return rows


def table(rows: dict[str, Any]) -> str:
    """Markdown: one line for each network and target."""
    lines = [
        "Executed instructions of one inference, counted under emulation; on Hexagon packets.",
        "",
        "| network | target | INT8, million | per MAC | float, million | float / INT8 |",
        "|---|---|---|---|---|---|",
    ]
    for network in [name for name in NETWORKS if name in rows]:
        found = rows[network]
        for target in [name for name in TARGETS if name in found]:
            row = found[target]
            int8, real = row["int8"], row["float32"]
            lines.append(
                f"| {network} | {target} | {int8 / 1e6:.4g} | {int8 / row['macs']:.3f} |"
                f" {real / 1e6:.4g} | {real / int8:.2f} |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
