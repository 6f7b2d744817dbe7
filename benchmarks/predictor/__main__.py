"""Collect latencies: python -m benchmarks.predictor compile|measure|gather."""

import json
import lzma
from pathlib import Path

import click

DATA = Path(__file__).parents[1] / "results" / "predictor_latencies.jsonl.xz"
WORK = Path(__file__).parents[2] / "build" / "predictor"

folder_option = click.option(
    "--folder", default=WORK, show_default=True, type=click.Path(path_type=Path),
    help="artifacts and rounds")


@click.group()
def main() -> None:
    """Measure how well latencies are predicted."""


@main.command("compile")
@folder_option
def compile_command(folder: Path) -> None:
    """Compile every network that is not compiled yet."""
    from benchmarks.predictor.collect import compile_all

    compile_all(folder)


@main.command("measure")
@folder_option
@click.option("--turn", default=0.3, show_default=True, help="seconds of an artifact")
@click.option("--limit", default=50.0, show_default=True, help="seconds in all")
def measure_command(folder: Path, turn: float, limit: float) -> None:
    """Measure one more round of every artifact; again until there are enough."""
    from benchmarks.predictor.collect import measure_round

    measure_round(folder, turn, limit)


@main.command("gather")
@folder_option
@click.option("-o", "--output", default=DATA, type=click.Path(path_type=Path))
def gather_command(folder: Path, output: Path) -> None:
    """Write what was measured."""
    from benchmarks.predictor.collect import gather

    lines = [json.dumps(record, separators=(",", ":")) for record in gather(folder)]
    text = "".join(f"{line}\n" for line in lines)
    output.write_bytes(lzma.compress(text.encode(), preset=9))


if __name__ == "__main__":
    main()
