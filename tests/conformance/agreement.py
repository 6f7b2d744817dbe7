"""One network on one target, held against the host: the same QDQ model, the same rounding.

A target may want another type of activations than the host, and another rounding. So a network
is quantized as the target wants it, and that file is compiled for the target and for the host.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fcntl import LOCK_EX, flock
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.peers.protocol import Inputs
from benchmarks.workloads import Data, find_workload
from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path
from tests.conformance.graph_networks import GRAPH_NETWORKS, graph_data

import octavo
from octavo.compiler.artifact.manifest import read_manifest
from octavo.compiler.counting.steps import count_steps
from octavo.compiler.devices import DEVICES
from octavo.compiler.devices.inference import run_inference
from octavo.targets import get_target
from octavo.targets.base import Target

NUM_CALIBRATION = 16


def measure(
    network: str, target_name: str, folder: Path, *, counts: bool, data: Data | None = None
) -> dict[str, Any]:
    """Compile a network for a target, run it, and compare with the host.

    Args:
        network: Name of a network.
        target_name: Name of a target.
        folder: Where quantized files and the host's outputs are kept for other targets.
        counts: Count instructions too.
        data: Its model, samples and inputs; those that go with its name if None.

    Returns:
        ``num_outputs`` numbers, of which ``num_different`` differ, by ``max_difference`` at
        most; ``float_steps`` of ``steps``; ``instructions`` and their ``unit``.
    """
    target = get_target(target_name)
    data = data or find_data(network)
    place = folder / network
    with _alone(place):
        model = _quantized(network, data, target, place)
        expected = _host_outputs(model, data[2][0], target)
    artifact = place / f"on-{target_name}"
    octavo.compile(
        model, target_name, artifact, requantize=target.requantize, force=True, use_tuned=False
    )
    device = DEVICES["local" if target.emulator is None else "qemu"]
    actual = run_inference(device, artifact, data[2][0])
    manifest = read_manifest(artifact)
    found = compare(expected, actual) | {
        "steps": len(manifest["steps"]),
        "float_steps": sum(step["placement"] == "float32" for step in manifest["steps"]),
    }
    if counts and target.emulator is not None:
        counted = count_steps(artifact, manifest, target, data[2][0], counts_memory=False)
        found |= {"instructions": counted.total.instructions, "unit": counted.unit}
    shutil.rmtree(artifact)
    return found


def find_data(network: str) -> Data:
    """Model file, calibration samples and inputs."""
    if network in GRAPH_NETWORKS:
        return graph_data(network)
    try:
        return find_workload(network).make()
    except KeyError:
        entry = find_entry(network)
        return model_path(network), entry.samples(NUM_CALIBRATION), entry.samples(1, seed=1)


def compare(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> dict[str, Any]:
    """Count the numbers whose bits differ."""
    assert set(expected) == set(actual)
    total = different = 0
    largest = 0.0
    for name, array in expected.items():
        mine, theirs = (np.ascontiguousarray(a).ravel() for a in (actual[name], array))
        assert (mine.dtype, mine.size) == (theirs.dtype, theirs.size)
        bits = f"u{mine.itemsize}"
        unequal = mine.view(bits) != theirs.view(bits)
        total += mine.size
        different += int(unequal.sum())
        if unequal.any():
            gaps = np.abs(mine.astype(np.float64) - theirs.astype(np.float64))
            largest = max(largest, float(gaps.max()))
    return {"num_outputs": total, "num_different": different, "max_difference": largest}


def _quantized(network: str, data: Data, target: Target, place: Path) -> Path:
    import onnx_ir

    from octavo.compiler.importer import import_model

    path, samples, _ = data
    file = place / target.activation_dtype / f"{network}.onnx"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        result = octavo.quantize(
            import_model(path),
            samples[:NUM_CALIBRATION],
            activation_dtype=target.activation_dtype,
        )
        partial = file.with_suffix(".partial")
        partial.write_bytes(onnx_ir.to_proto(result.model).SerializeToString())
        partial.replace(file)
    return file


def _host_outputs(model: Path, inputs: Inputs, target: Target) -> dict[str, Any]:
    file = model.with_name(f"host-{target.requantize}.npz")
    if not file.exists():
        artifact = model.with_name(f"host-{target.requantize}")
        octavo.compile(
            model, "host", artifact, requantize=target.requantize, force=True, use_tuned=False
        )
        with octavo.load(artifact) as session:
            outputs = session.run(dict(inputs))
        shutil.rmtree(artifact)
        partial = file.with_suffix(".partial.npz")
        np.savez(partial, **outputs)
        partial.replace(file)
    with np.load(file) as stored:
        return dict(stored)


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Let one process prepare a network; the others wait and find it."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as file:
        flock(file, LOCK_EX)
        yield
