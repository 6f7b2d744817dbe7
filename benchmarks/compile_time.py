"""Time to compile networks of growing depth: python -m benchmarks.compile_time [NAME ...].

Seconds of processor time, of all processes that a compile starts: what else the machine does
meanwhile does not count. Writes benchmarks/results/compile_time.json and compile_time.md.
"""

import resource
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from benchmarks.result_rows import rows_command
from benchmarks.zoo import mobilenet_v2, resnet
from benchmarks.zoo.images import sample_images

NETWORKS: dict[str, Callable[..., onnx.ModelProto]] = {
    "resnet18": partial(resnet.build, depth=18),
    "resnet34": partial(resnet.build, depth=34),
    "resnet50": partial(resnet.build, depth=50),
    "resnet101": partial(resnet.build, depth=101),
    "mobilenet_v2": mobilenet_v2.build,
}
INPUT_SIZE = 224
NUM_SAMPLES = 4  # calibration takes as long as the samples do, whatever is compiled


def measure(name: str) -> dict[str, Any]:
    """Quantize and compile one network with random weights.

    Args:
        name: A key of ``NETWORKS``.

    Returns:
        Layers with weights, distinct kernels, and seconds by stage.
    """
    with tempfile.TemporaryDirectory() as folder:
        path, data = Path(folder) / "model.onnx", Path(folder) / "samples.npz"
        onnx.save(NETWORKS[name](input_size=INPUT_SIZE), path)
        np.savez(data, image=np.asarray(sample_images(NUM_SAMPLES, INPUT_SIZE, 0)))
        start = processor_s()
        import octavo

        began: dict[str, float] = {}

        def note(stage: str, done: int, total: int) -> None:
            del done, total
            began.setdefault(stage, processor_s())

        result = octavo.compile(
            path, "host", Path(folder) / "out", samples=data, progress=note
        )
        end = processor_s()
        steps = result.manifest["steps"]
        return {
            "layers": sum(step["macs"] > 0 for step in steps),
            "kernels": len({step["kernel"] for step in steps}),
            "quantize_s": round(began["lower"] - start, 1),
            "lower_s": round(began["build"] - began["lower"], 1),
            "build_s": round(end - began["build"], 1),
            "total_s": round(end - start, 1),
        }


def processor_s() -> float:
    """Processor time of this process and of the ones that it has waited for."""
    own, waited = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + waited.ru_utime + waited.ru_stime


def table(rows: dict[str, Any]) -> str:
    """Markdown, in the order of ``NETWORKS``: seconds by stage, and what a layer costs."""
    lines = [
        "| network | layers | distinct kernels | quantize, s | lower, s | build, s |"
        " total, s | total per layer, s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    shown = ("layers", "kernels", "quantize_s", "lower_s", "build_s", "total_s")
    for name in (name for name in NETWORKS if name in rows):
        row = rows[name]
        cells = [str(row[key]) for key in shown]
        cells.append(f"{row['total_s'] / row['layers']:.2f}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    rows_command("compile_time", NETWORKS, measure, table)()
