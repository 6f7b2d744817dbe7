"""Time ONNX Runtime, float and INT8, on benchmark networks: python -m benchmarks.peers."""

import click
import numpy as np

from benchmarks.interleave import measure_interleaved
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
    click.echo(f"{'network':20} {'float ms':>22} {'int8 ms':>22} {'ratio':>6} {'SQNR dB':>8}")
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
        cells = [
            f"{t.median_us / 1e3:.2f} ({t.low_us / 1e3:.2f}-{t.high_us / 1e3:.2f})"
            for t in latency.values()
        ]
        ratio = latency["float"].median_us / latency["int8"].median_us
        click.echo(f"{name:20} {cells[0]:>22} {cells[1]:>22} {ratio:>6.2f} {sqnr_db:>8.1f}")


if __name__ == "__main__":
    main()
