"""Write the encoder and inputs to calibrate it with: python -m benchmarks.minilm -o FILE."""

from pathlib import Path

import click
import numpy as np
import onnx

from benchmarks.minilm.network import build
from benchmarks.minilm.sentences import CALIBRATION_SENTENCES, load_sentences, tokenize
from benchmarks.minilm.weights import load_weights, model_directory


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help=".onnx")
@click.option("--samples", type=click.Path(path_type=Path), help=".npz to calibrate with")
@click.option("--sequence-length", default=32, show_default=True)
def main(output: Path, samples: Path | None, sequence_length: int) -> None:
    """Write MiniLM-L6 as ONNX, and the calibration sentences as an .npz of its inputs."""
    directory = model_directory()
    onnx.save(build(load_weights(directory), sequence_length), output)
    if samples is not None:
        inputs = list(
            tokenize(load_sentences(CALIBRATION_SENTENCES), directory, sequence_length)
        )
        np.savez(
            samples,
            allow_pickle=False,
            **{name: np.concatenate([x[name] for x in inputs]) for name in inputs[0]},
        )


if __name__ == "__main__":
    main()
