"""Time ONNX Runtime, float and INT8, on benchmark networks: python -m benchmarks.peers."""

import itertools
from collections.abc import Iterable

import click
import numpy as np

from benchmarks.interleave import Latency, measure_interleaved
from benchmarks.peers.onnxruntime_runner import OnnxRuntimeModel, quantize_int8
from benchmarks.zoo.registry import ZOO, find_entry
from benchmarks.zoo.store import model_path

NUM_CALIBRATION, NUM_EVALUATION = 32, 8
CALIBRATION_SEED, EVALUATION_SEED = 1, 2


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([entry.name for entry in ZOO]))
@click.option("--num-threads", default=1, show_default=True)
@click.option("--budget-s", default=10.0, show_default=True, help="seconds for each network")
def main(names: tuple[str, ...], num_threads: int, budget_s: float) -> None:
    """Print medians and quartiles, and the INT8 output's SQNR against float."""
    titles = ("float ms", "fastest", "int8 ms", "fastest")
    click.echo(f"{'network':20}" + _row(titles) + f"{'ratio':>6}{'SQNR dB':>8}")
    for name in names or tuple(entry.name for entry in ZOO):
        entry, path = find_entry(name), model_path(name)
        quantized = quantize_int8(path, entry.samples(NUM_CALIBRATION, seed=CALIBRATION_SEED))
        models = [OnnxRuntimeModel(p, num_threads) for p in (path, quantized)]
        samples = entry.samples(NUM_EVALUATION, seed=EVALUATION_SEED)
        programs = {
            kind: model.bind(samples[0])
            for kind, model in zip(("float", "int8"), models, strict=True)
        }
        latency = measure_interleaved(programs, budget_s=budget_s)
        outputs = [
            np.stack([model.run(sample)["logits"] for sample in samples]) for model in models
        ]
        noise = np.square(outputs[1] - outputs[0]).sum()
        sqnr_db = 10 * np.log10(np.square(outputs[0]).sum() / noise)
        cells = [cell for record in latency.values() for cell in _cells(record)]
        ratio = latency["float"].median_us / latency["int8"].median_us
        click.echo(f"{name:20}" + _row(cells) + f"{ratio:>6.2f}{sqnr_db:>8.1f}")


def _cells(latency: Latency) -> tuple[str, str]:
    """Return median with quartiles, and the fastest run, milliseconds."""
    values_ms = (latency.median_us / 1e3, latency.low_us / 1e3, latency.high_us / 1e3)
    return "{:.2f} ({:.2f}-{:.2f})".format(*values_ms), f"{latency.min_us / 1e3:.2f}"


def _row(cells: Iterable[str]) -> str:
    widths = itertools.cycle((24, 9))
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False))


if __name__ == "__main__":
    main()
