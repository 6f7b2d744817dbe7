"""Compare sentence embeddings of MiniLM-L6 in INT8 with those in float: accuracy and time.

    python -m benchmarks.minilm.cosine

Calibration and evaluation use different sentences. ONNX Runtime quantizes in the two ways that
its documentation offers: weights ahead and activations per run ("dynamic", recommended for
transformers), and both ahead ("static").
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from numpy.typing import NDArray

import octavo
from benchmarks.interleave import measure_interleaved
from benchmarks.minilm.network import build
from benchmarks.minilm.sentences import (
    CALIBRATION_SENTENCES,
    SENTENCES,
    cosine,
    embed,
    load_sentences,
    tokenize,
)
from benchmarks.minilm.weights import load_weights, model_directory
from benchmarks.peers.onnxruntime_runner import (
    OnnxRuntimeModel,
    quantize_int8,
    quantize_int8_dynamic,
)

LATENCY_BUDGET_S = 10.0

Inputs = Mapping[str, NDArray[Any]]
Encoder = Callable[[Inputs], Mapping[str, NDArray[Any]]]


@dataclass(frozen=True)
class Agreement:
    """Cosines between the embeddings of two encoders.

    Attributes:
        mean: Over all sentences.
        lowest: Of the sentence with the largest difference.
    """

    mean: float
    lowest: float


@click.command()
@click.option(
    "--budget", default=LATENCY_BUDGET_S, show_default=True, help="seconds of timing"
)
def main(budget: float) -> None:
    """Print cosine and latency of the encoder: float, INT8 in ONNX Runtime, INT8 in Octavo."""
    with tempfile.TemporaryDirectory() as folder:
        model = write_encoder(Path(folder) / "minilm.onnx")
        calibration, sentences = inputs(CALIBRATION_SENTENCES), inputs(SENTENCES)
        result = compile_encoder(model, calibration, Path(folder) / "artifact")
        encoders: dict[str, Encoder] = {
            "ONNX Runtime float": OnnxRuntimeModel(model).run,
            "ONNX Runtime INT8, dynamic": OnnxRuntimeModel(quantize_int8_dynamic(model)).run,
            "ONNX Runtime INT8, static": OnnxRuntimeModel(
                quantize_int8(model, calibration)
            ).run,
        }
        with octavo.load(result.directory) as session:
            encoders["Octavo INT8"] = session.run
            click.echo(table(encoders, sentences, budget))
        share = int8_share(result.manifest)
    click.echo(f"\nOctavo computes {share:.1%} of the multiply-accumulates in int8")


def write_encoder(path: Path) -> Path:
    """Write the float encoder with the published weights."""
    onnx.save(build(load_weights(model_directory())), path)
    return path


def inputs(file: Path) -> list[dict[str, NDArray[np.int64]]]:
    """The encoder's inputs for each sentence of a file."""
    return list(tokenize(load_sentences(file), model_directory()))


def compile_encoder(model: Path, calibration: Sequence[Inputs], folder: Path) -> Any:
    """Compile the encoder for this machine with the default recipe.

    Args:
        model: Float ONNX file.
        calibration: The encoder's inputs.
        folder: Artifact folder to create.
    """
    samples = {k: np.concatenate([x[k] for x in calibration]) for k in calibration[0]}
    return octavo.compile(model, "host", folder, samples=samples)


def compare(expected: Encoder, actual: Encoder, sentences: Sequence[Inputs]) -> Agreement:
    """Compare the embeddings of two encoders, sentence by sentence."""
    cosines = [
        cosine(*(embed(run(x)["hidden"], x["attention_mask"]) for run in (expected, actual)))
        for x in sentences
    ]
    return Agreement(float(np.mean(cosines)), float(np.min(cosines)))


def int8_share(manifest: Mapping[str, Any]) -> float:
    """Share of an artifact's multiply-accumulates that integer kernels compute, 0 to 1."""
    macs = [(step["macs"], step["placement"] == "int8") for step in manifest["steps"]]
    return sum(count for count, integer in macs if integer) / sum(count for count, _ in macs)


def table(
    encoders: Mapping[str, Encoder], sentences: Sequence[Inputs], budget_s: float
) -> str:
    """One row for each encoder; the first is what the others are compared with.

    Args:
        encoders: By name, one thread each.
        sentences: The encoders' inputs.
        budget_s: Seconds of timing, all encoders together.
    """
    reference = next(iter(encoders.values()))
    programs = {name: partial(run, sentences[0]) for name, run in encoders.items()}
    latency = measure_interleaved(programs, budget_s=budget_s)
    lines = [f"{'':28}{'mean cosine':>12}{'lowest':>9}{'median ms':>11}{'fastest ms':>12}"]
    for name, run in encoders.items():
        agreement, time = compare(reference, run, sentences), latency[name]
        lines.append(
            f"{name:28}{agreement.mean:12.4f}{agreement.lowest:9.4f}"
            f"{time.median_us / 1e3:11.2f}{time.min_us / 1e3:12.2f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
