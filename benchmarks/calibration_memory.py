"""Peak memory of calibrating a zoo network: python -m benchmarks.calibration_memory.

Each run is a process of its own, because a process never gives its peak back.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

LIMIT_BYTES = 2 * 2**30


class _Images:
    """Photographs, drawn when they are read."""

    def __init__(self, num_samples: int, size: int) -> None:
        self._num_samples, self._size = num_samples, size

    def __len__(self) -> int:
        return self._num_samples

    def __iter__(self) -> Iterator[Mapping[str, NDArray[Any]]]:
        from benchmarks.zoo.images import stream_images

        for image in stream_images(self._num_samples, self._size, 1):
            yield {"image": np.asarray(image, np.float32)}


@click.command()
@click.option("--network", default="resnet50", show_default=True)
@click.option("--num-samples", default=1000, show_default=True)
@click.option("--calibrator", default="mse", show_default=True)
@click.option("--child", is_flag=True, hidden=True)
def main(network: str, num_samples: int, calibrator: str, child: bool) -> None:
    """Print seconds and peak resident bytes; exit 3 above 2 GiB."""
    if not child:
        # Building and caching the network is not part of the measurement.
        from benchmarks.zoo.store import model_path

        model_path(network)
        arguments = ["--network", network, "--num-samples", str(num_samples)]
        command = [sys.executable, "-m", __spec__.name, *arguments]
        command += ["--calibrator", calibrator, "--child"]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        measured = json.loads(output)
        print(
            f"{network}, {num_samples} samples, {calibrator}: {measured['seconds']:.1f} s,"
            f" peak {measured['peak_bytes'] / 2**20:.0f} MiB"
        )
        sys.exit(0 if measured["peak_bytes"] < LIMIT_BYTES else 3)
    print(json.dumps(_measure(network, num_samples, calibrator)))


def _measure(network: str, num_samples: int, calibrator: str) -> dict[str, float]:
    from benchmarks.zoo.registry import find_entry
    from benchmarks.zoo.store import model_path
    from octavo.compiler.importer import import_model
    from octavo.compiler.quantize import quantize_model

    start = time.perf_counter()
    size = find_entry(network).input_size or 224
    quantize_model(
        import_model(model_path(network)),
        _Images(num_samples, size),
        calibrator=calibrator,
        max_samples=num_samples,
    )
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": time.perf_counter() - start, "peak_bytes": peak_kib * 1024}


if __name__ == "__main__":
    main()
