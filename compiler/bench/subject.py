"""What is compared: the user's model, its artifacts, and the files that others take."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octavo.compiler.artifact.manifest import read_manifest
from octavo.compiler.bench.agreement import Grid
from octavo.compiler.bench.float_weights import write_float_weights
from octavo.compiler.bench.onnx_files import (
    dequantized_outputs,
    quantized_precision,
    quantizes_activations,
)
from octavo.compiler.bench.opened_model import HOST, OpenedModel
from octavo.compiler.bench.unsigned_activations import write_unsigned
from octavo.errors import ArtifactError, DataError
from octavo.targets import get_target

UNSIGNED = "uint8"  # activations that the processor's dot products prefer
COMPILED = "model.int8.onnx"  # of an artifact: what was compiled, quantized or not


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One network in all its files.

    Attributes:
        artifacts: Octavo's, at least one; the first is what the others are held against.
        manifests: Of the artifacts.
        original: ONNX file that says what is right.
        tflite: The user's file, if it is a .tflite one.
        float_file: ONNX file in float; None where there is none.
        quantized_files: QDQ ONNX files, with where they are from.
        precision: Of what is quantized: ``int8``, or ``int16`` with such activations.
        is_quantized: The network came quantized.
        is_dynamic: Its weights did, and a runtime may quantize activations in every run.
    """

    artifacts: tuple[Path, ...]
    manifests: tuple[Mapping[str, Any], ...]
    original: Path
    tflite: Path | None
    float_file: Path | None
    quantized_files: tuple[tuple[Path, str], ...]
    precision: str
    is_quantized: bool
    is_dynamic: bool

    @property
    def input_names(self) -> tuple[str, ...]:
        """In the model's order."""
        return tuple(str(port["name"]) for port in self.manifests[0]["inputs"])

    @property
    def output_names(self) -> tuple[str, ...]:
        """In the model's order."""
        return tuple(str(port["name"]) for port in self.manifests[0]["outputs"])

    def grids(self) -> dict[str, Grid]:
        """Of the outputs that are integers, or numbers that integers stand for."""
        found = dequantized_outputs(self.original) if self.is_quantized else {}
        for port in self.manifests[0]["outputs"]:
            if not str(port["dtype"]).startswith("float"):
                found[str(port["name"])] = Grid(1.0, int(port.get("zero_point") or 0))
        return found


def find_subject(
    opened: OpenedModel | None,
    artifacts: Sequence[Path],
    folder: Path,
    more: Sequence[tuple[Path, str]] = (),
) -> Subject:
    """Find the files that each runtime takes.

    Args:
        opened: The user's model; None where artifacts say it all.
        artifacts: Of the model, at least one, see ``compile_for_bench``.
        folder: For files that are made here.
        more: Other QDQ files of the model, with where they are from.

    Raises:
        DataError: Artifacts are of different networks.
        ArtifactError: One is no artifact.
    """
    manifests = tuple(read_manifest(artifact) for artifact in artifacts)
    check_alike(artifacts, manifests)
    compiled = [a / COMPILED for a in artifacts if (a / COMPILED).is_file()]
    quantized = [path for path in compiled if quantizes_activations(path)]
    floats = [path for path in compiled if path not in quantized]
    note = "QDQ of Octavo"
    if opened is not None and not opened.is_tflite:
        if opened.is_quantized:
            quantized, note = [opened.path], ""
        else:
            floats = [opened.path]
    is_quantized = not floats if opened is None else opened.is_quantized
    originals = (*quantized, *floats) if is_quantized else (*floats, *quantized)
    if not originals:
        raise ArtifactError(f"{artifacts[0]}: {COMPILED}, which others would run, is missing")
    float_file, is_dynamic = floats[0] if floats else None, False
    if float_file is not None and write_float_weights(float_file, folder / "float.onnx"):
        float_file, is_dynamic = folder / "float.onnx", True
    files = [_as_preferred(quantized[0], note, folder)] if quantized else []
    return Subject(
        artifacts=tuple(artifacts),
        manifests=manifests,
        original=originals[0],
        tflite=opened.path if opened is not None and opened.is_tflite else None,
        float_file=float_file,
        quantized_files=(*files, *more),
        precision=quantized_precision(quantized[0]) if quantized else "int8",
        is_quantized=is_quantized,
        is_dynamic=is_dynamic,
    )


def _as_preferred(path: Path, note: str, folder: Path) -> tuple[Path, str]:
    """A QDQ file with the activations that the processor multiplies fastest."""
    unsigned = folder / "unsigned.onnx"
    if get_target(HOST).activation_dtype == UNSIGNED and write_unsigned(path, unsigned):
        return unsigned, ", ".join(filter(None, (note, "as uint8")))
    return path, note


def compile_for_bench(
    opened: OpenedModel, samples: Any, folder: Path, **options: Any
) -> list[Path]:
    """Compile a model for this machine.

    Args:
        opened: The model.
        samples: Calibration data, see ``open_data``; None: a float model stays float.
        folder: Where the artifacts go.
        options: Of ``compile_model``.

    Returns:
        The artifacts: the model as it is quantized, or in INT8 where there are samples, and
        in float.
    """
    from octavo.compiler.compile import compile_model

    found = []
    if opened.is_quantized or samples is not None:
        given = None if opened.is_quantized else samples
        compile_model(opened.path, HOST, folder / "int8", samples=given, **options)
        found.append(folder / "int8")
    if not opened.is_quantized:
        compile_model(opened.path, HOST, folder / "float", float_only=True, **options)
        found.append(folder / "float")
    return found


def check_alike(artifacts: Sequence[Path], manifests: Sequence[Mapping[str, Any]]) -> None:
    """Refuse artifacts that take or give something else than the first.

    Raises:
        DataError: Naming both.
        ArtifactError: A manifest is malformed.
    """
    first = _ports(artifacts[0], manifests[0])
    for artifact, manifest in zip(artifacts[1:], manifests[1:], strict=True):
        ports = _ports(artifact, manifest)
        if ports != first:
            raise DataError(
                f"{artifact} is another network than {artifacts[0]}: it has"
                f" {', '.join(ports)}, not {', '.join(first)}"
            )


def _ports(artifact: Path, manifest: Mapping[str, Any]) -> list[str]:
    try:
        return [
            f"{kind} {port['name']} {port['dtype']} {'x'.join(map(str, port['shape']))}"
            for kind, ports in (("input", "inputs"), ("output", "outputs"))
            for port in manifest[ports]
        ]
    except (KeyError, TypeError) as error:
        raise ArtifactError(
            f"{artifact}: manifest.json is malformed ({type(error).__name__}: {error});"
            " compile again"
        ) from error
