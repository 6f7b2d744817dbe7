"""One inference on any device: inputs and outputs go through files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.artifact.manifest import read_manifest
from octavo.compiler.counted_arrays import counted_dimensions, cut_off, filled_up
from octavo.compiler.devices.base import TIMEOUT_S, Deployment, Device
from octavo.errors import ArtifactError, DataError, DeviceError


def run_inference(
    device: Device,
    artifact: Path,
    inputs: Mapping[str, NDArray[Any]],
    *,
    num_threads: int = 1,
    timeout_s: float = TIMEOUT_S,
) -> dict[str, NDArray[Any]]:
    """Run a model once.

    Args:
        device: Where.
        artifact: Folder that the compiler wrote.
        inputs: One array per model input, of exactly its type and shape; of a dimension that
            is counted at run time, with any number of rows up to the largest.
        num_threads: Threads of the parallel kernels, 1..256.
        timeout_s: The run is ended and fails after so many seconds.

    Returns:
        One array per model output; of such a dimension, the rows in use.

    Raises:
        ArtifactError: It is no artifact, or was changed after it was built.
        DataError: An input is missing, unknown, or of another type or shape.
        DeviceError: The device does not answer, or the run failed.
        TargetError: The device does not run code for the artifact's target.
    """
    _, results = _ports(artifact)
    arrays = checked_inputs(artifact, inputs)
    dimensions = counted_dimensions(read_manifest(artifact))
    # Nothing but the run whose outputs are taken: an emulator is slow.
    arguments = ["--runs", "1", "--warmup", "0", "--threads", str(num_threads)]
    with device.deploy(artifact) as deployment:
        arguments += send_inputs(deployment, arrays)
        for index, name in enumerate(results):
            arguments += ["--output", f"{name}=output{index}"]
        deployment.run(arguments, timeout_s)
        outputs = {
            name: _array(name, deployment.fetch(f"output{index}"), *kind)
            for index, (name, kind) in enumerate(results.items())
        }
    return cut_off(outputs, dimensions, arrays)


def send_inputs(
    deployment: Deployment, arrays: Mapping[str, NDArray[Any]]
) -> list[str]:
    """Write the inputs into a deployment's folder.

    Returns:
        Arguments of the bench program that name them.

    Raises:
        DeviceError: The device does not take them.
    """
    arguments = []
    for index, (name, array) in enumerate(arrays.items()):
        deployment.send(f"input{index}", array.tobytes())
        arguments += ["--input", f"{name}=input{index}"]
    return arguments


def input_names(artifact: Path) -> tuple[str, ...]:
    """What a model takes, in its order, without what other inputs say: rows in use.

    Raises:
        ArtifactError: It is no artifact.
    """
    counting = {d.input for d in counted_dimensions(read_manifest(artifact))}
    return tuple(name for name in _ports(artifact)[0] if name not in counting)


def checked_inputs(
    artifact: Path, inputs: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Inputs in the order of the model, filled up to the sizes that it has.

    Raises:
        ArtifactError: It is no artifact.
        DataError: An input is missing, unknown, or of another type or shape.
    """
    dimensions = counted_dimensions(read_manifest(artifact))
    given = {name: np.asarray(array) for name, array in inputs.items()}
    return _checked(filled_up(given, dimensions), _ports(artifact)[0])


Kind = tuple["np.dtype[Any]", tuple[int, ...]]


def _ports(artifact: Path) -> tuple[dict[str, Kind], dict[str, Kind]]:
    """Types and shapes of the inputs and of the outputs, by name."""
    manifest = read_manifest(artifact)
    try:
        inputs, outputs = (
            {
                str(port["name"]): (np.dtype(str(port["dtype"])), tuple(port["shape"]))
                for port in manifest[part]
            }
            for part in ("inputs", "outputs")
        )
    except (KeyError, TypeError) as error:
        raise ArtifactError(
            f"manifest.json is malformed ({type(error).__name__}: {error}); compile again"
        ) from error
    return inputs, outputs


def _checked(
    inputs: Mapping[str, NDArray[Any]], known: Mapping[str, Kind]
) -> dict[str, NDArray[Any]]:
    names = ", ".join(known) or "none"
    for name in inputs:
        if name not in known:
            raise DataError(f"unknown input {name!r}; the model takes: {names}")
    arrays = {}
    for name, (dtype, shape) in known.items():
        if name not in inputs:
            raise DataError(f"no input {name!r}; the model takes: {names}")
        array = np.asarray(inputs[name])
        if array.dtype != dtype or array.shape != shape:
            raise DataError(
                f"input {name!r} is {array.dtype} {array.shape};"
                f" the model takes {dtype} {shape}"
            )
        arrays[name] = array
    return arrays


def _array(
    name: str, data: bytes, dtype: "np.dtype[Any]", shape: tuple[int, ...]
) -> NDArray[Any]:
    if len(data) != dtype.itemsize * int(np.prod(shape, dtype=np.int64)):
        raise DeviceError(f"output {name!r} has {len(data)} bytes, which is not its size")
    return np.frombuffer(data, dtype).reshape(shape).copy()
