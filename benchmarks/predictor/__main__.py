"""How well latencies are predicted: python -m benchmarks.predictor evaluate.

The latencies it judges by are kept beside the results. To collect them again:

    python -m benchmarks.predictor compile
    python -m benchmarks.predictor measure     # again and again: one round each
    python -m benchmarks.predictor gather
"""

import json
import lzma
from pathlib import Path

import click

RESULTS = Path(__file__).parents[1] / "results"
DATA = RESULTS / "predictor_latencies.jsonl.xz"
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


@main.command("evaluate")
@click.option("--data", default=DATA, type=click.Path(path_type=Path), help="of gather")
def evaluate_command(data: Path) -> None:
    """Judge the predictor; writes results/predictor.json and predictor.md."""
    from benchmarks.predictor.compare import compare, held_out_shapes
    from benchmarks.predictor.data import read_caches, read_programs
    from benchmarks.predictor.evaluate import cross_validate, held_out, timed_fit
    from benchmarks.predictor.tables import markdown

    programs, (cpu, caches) = read_programs(data), read_caches(data)
    results = {
        "cpu": cpu,
        "programs": len(programs),
        "calls": sum(len(program.calls) for program in programs),
        "fit_s": timed_fit(programs, caches),
        "held_out": held_out(programs, caches),
        "cross_validated": cross_validate(programs, caches),
        "compared": compare(programs, caches),
        "shapes": held_out_shapes(programs, caches),
    }
    RESULTS.joinpath("predictor.md").write_text(markdown(results))
    for row in (*results["held_out"], *results["cross_validated"]):
        row["num_kernels"] = len(row.pop("kernels"))  # the tables say what they say
    RESULTS.joinpath("predictor.json").write_text(
        json.dumps(results, indent=1, default=bool) + "\n")


if __name__ == "__main__":
    main()
