"""The networks of the comparison, with calibration data and inputs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from benchmarks.peers.cache import FOLDER
from benchmarks.peers.protocol import Inputs
from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path

DIGITS = Path(__file__).resolve().parents[1] / "examples" / "digits"
NUM_CALIBRATION = 32
NUM_EVALUATION = 4
EVALUATION_SEED = 1
SEQUENCE_LENGTH = 128

Data = tuple[Path, list[Inputs], list[Inputs]]


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One row of the comparison.

    Attributes:
        name: What the command line and the table call it.
        make: Builds the float file, calibration data and inputs.
        is_transformer: Some quantizers have a mode for these.
    """

    name: str
    make: Callable[[], Data]
    is_transformer: bool = False


def _zoo(name: str, batch: int = 1) -> Data:
    entry, path = find_entry(name), model_path(name)
    samples = entry.samples(NUM_CALIBRATION)
    inputs = entry.samples(NUM_EVALUATION * batch, seed=EVALUATION_SEED)
    if batch > 1:
        path = _batched(path, batch)
    return path, _grouped(samples, batch), _grouped(inputs, batch)


def _batched(path: Path, batch: int) -> Path:
    """Return the file of the same network for several inputs at once."""
    target = FOLDER / f"{path.stem}-b{batch}.onnx"
    if not target.exists():
        model = onnx.load(path)
        del model.graph.value_info[:]
        for info in (*model.graph.input, *model.graph.output):
            info.type.tensor_type.shape.dim[0].dim_value = batch
        target.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(onnx.shape_inference.infer_shapes(model, strict_mode=True), target)
    return target


def _grouped(samples: list[Inputs], batch: int) -> list[Inputs]:
    """Put so many samples into one at a time."""
    return [
        {name: np.concatenate([s[name] for s in group]) for name in group[0]}
        for group in (samples[i : i + batch] for i in range(0, len(samples), batch))
    ]


def _digits() -> Data:
    return DIGITS / "digits.onnx", *(
        _images(DIGITS / file, count)
        for file, count in (
            ("calibration.npz", NUM_CALIBRATION),
            ("test.npz", NUM_EVALUATION),
        )
    )


def _images(file: Path, count: int) -> list[Inputs]:
    with np.load(file) as data:
        return [{"image": image[None]} for image in data["image"][:count]]


def _minilm() -> Data:
    from benchmarks.minilm.network import build
    from benchmarks.minilm.sentences import (
        CALIBRATION_SENTENCES,
        SENTENCES,
        load_sentences,
        tokenize,
    )
    from benchmarks.minilm.weights import load_weights, model_directory

    directory = model_directory()
    path = FOLDER / f"minilm_l6-{SEQUENCE_LENGTH}.onnx"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(build(load_weights(directory), SEQUENCE_LENGTH), path)

    def inputs(file: Path, count: int) -> list[Inputs]:
        sentences: Iterable[str] = load_sentences(file)[:count]
        return list(tokenize(sentences, directory, SEQUENCE_LENGTH))

    samples = inputs(CALIBRATION_SENTENCES, NUM_CALIBRATION)
    return path, samples, inputs(SENTENCES, NUM_EVALUATION)


WORKLOADS = (
    Workload(name="resnet50", make=partial(_zoo, "resnet50")),
    Workload(name="mobilenet_v2", make=partial(_zoo, "mobilenet_v2")),
    Workload(name="mobilenet_v2_batch8", make=partial(_zoo, "mobilenet_v2", 8)),
    Workload(name="mobilenet_v3_large", make=partial(_zoo, "mobilenet_v3_large")),
    Workload(name="efficientnet_lite0", make=partial(_zoo, "efficientnet_lite0")),
    Workload(name="vit_tiny", make=partial(_zoo, "vit_tiny"), is_transformer=True),
    Workload(name="minilm_l6", make=_minilm, is_transformer=True),
    Workload(name="ds_cnn", make=partial(_zoo, "ds_cnn")),
    Workload(name="lstm", make=partial(_zoo, "lstm")),
    Workload(name="digits", make=_digits),
)


def find_workload(name: str) -> Workload:
    """Return the workload of that name.

    Raises:
        KeyError: No such workload; the message lists the names.
    """
    for workload in WORKLOADS:
        if workload.name == name:
            return workload
    raise KeyError(f"no workload {name!r}; known: {'; '.join(w.name for w in WORKLOADS)}")
