"""Inputs that a package checks its models with, and what this machine made of them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from octavo.compiler.counted_arrays import counted_dimensions, counted_ports
from octavo.compiler.devices.inference import checked_inputs
from octavo.compiler.example_inputs import example_inputs
from octavo.compiler.package.models import PackagedModel
from octavo.compiler.session import Session, load
from octavo.errors import ArtifactError

SAMPLES_FOLDER = "Samples"  # Sample.swift reads it
SAMPLES_RECORD = "samples.json"


@dataclass(frozen=True)
class Reference:
    """What the models of a package are compared with.

    Attributes:
        folder: An artifact of one of them that runs here.
        inputs: An array for each of its inputs, by name.
    """

    folder: Path
    inputs: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Sample:
    """Tensors of one model, in its order.

    Attributes:
        model: Its name.
        inputs: Bytes of each input; None for zeros.
        outputs: Bytes of each output; empty where nothing was run.
        reference: Name of the target that they were computed on; None where nothing was run.
    """

    model: str
    inputs: tuple[bytes | None, ...]
    outputs: tuple[bytes, ...] = ()
    reference: str | None = None


def make_samples(
    models: Sequence[PackagedModel], references: Sequence[Reference]
) -> tuple[Sample, ...]:
    """Run the references.

    Args:
        models: Those of the package, of any of its targets.
        references: At most one for each.

    Returns:
        A sample for each model; without a reference, one of example inputs.

    Raises:
        ArtifactError: A reference is of none of the models, or of one with other inputs or
            outputs, or the second one of a model; or it does not load.
        DataError: Its inputs do not fit.
        TargetError: It does not run here.
    """
    by_name = {model.name: model for model in models}
    samples: dict[str, Sample] = {}
    for reference in references:
        with load(reference.folder) as session:
            name = str(session.manifest.get("name"))
            if name not in by_name:
                raise ArtifactError(
                    f"{reference.folder} is {name!r}, and the package has {', '.join(by_name)}"
                )
            if name in samples:
                raise ArtifactError(f"{reference.folder}: a second reference of {name!r}")
            _require_same_tensors(by_name[name], session, reference.folder)
            samples[name] = _run(session, reference)
    return tuple(samples.get(name) or _example(model) for name, model in by_name.items())


def write_samples(samples: Sequence[Sample], folder: Path) -> None:
    """Write what the Swift package checks its models with.

    Args:
        samples: One for each model.
        folder: To create.
    """
    folder.mkdir(parents=True)
    record = [
        {
            "model": sample.model,
            "inputs": [
                None if data is None else _write(folder, f"{sample.model}-input{i}", data)
                for i, data in enumerate(sample.inputs)
            ],
            "outputs": [
                _write(folder, f"{sample.model}-output{i}", data)
                for i, data in enumerate(sample.outputs)
            ],
            "reference": sample.reference,
        }
        for sample in samples
    ]
    text = json.dumps(record, indent=1) + "\n"
    (folder / SAMPLES_RECORD).write_text(text, encoding="ascii")


def _run(session: Session, reference: Reference) -> Sample:
    """Outputs end with the rows in use; inputs are filled up, as the library takes them."""
    inputs = checked_inputs(reference.folder, reference.inputs)
    outputs = session.run(inputs)
    for name, (axis, _) in counted_ports(counted_dimensions(session.manifest)).items():
        if name in outputs and axis != 0:
            raise ArtifactError(
                f"{reference.folder}: output {name!r} is counted along axis {axis}; a sample"
                " takes outputs that are counted along axis 0"
            )
    return Sample(
        str(session.manifest["name"]),
        tuple(inputs[info.name].tobytes() for info in session.inputs),
        tuple(outputs[info.name].tobytes() for info in session.outputs),
        str(session.manifest["target"]),
    )


def _example(model: PackagedModel) -> Sample:
    arrays = example_inputs(model.manifest)
    names = [str(port["name"]) for port in model.manifest["inputs"]]
    return Sample(
        model.name, tuple(arrays[n].tobytes() if n in arrays else None for n in names)
    )


def _require_same_tensors(model: PackagedModel, session: Session, folder: Path) -> None:
    for kind in ("inputs", "outputs"):
        if model.manifest[kind] != session.manifest[kind]:
            raise ArtifactError(
                f"{folder} has other {kind} than {model.folder}: compile both of one model,"
                " with the same options"
            )


def _write(folder: Path, name: str, data: bytes) -> str:
    file_name = f"{name}.bin"
    (folder / file_name).write_bytes(data)
    return file_name
