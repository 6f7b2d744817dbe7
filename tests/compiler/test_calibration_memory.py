"""Calibration memory is bounded by the network, not by the number of samples."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import numpy as np, onnx, onnx_ir as ir
from octavo.compiler.quantize import quantize_model
from octavo.compiler.recipes import get_recipe

channels, size = 16, 64
nodes = "".join(
    f"[c{i}] t{i} = Conv<pads=[1,1,1,1]>(r{i}, w) [a{i}] r{i + 1} = Relu(t{i}) "
    for i in range(7)
)
shape = f"float[1,{channels},{size},{size}]"
graph = f"g ({shape} r0) => ({shape} y) {{ {nodes} [out] y = Conv<pads=[1,1,1,1]>(r7, w) }}"
proto = onnx.parser.parse_model('<ir_version: 10, opset_import: ["": 21]> ' + graph)
rng = np.random.default_rng(0)
w = (rng.normal(size=(channels, channels, 3, 3)) / 12).astype(np.float32)
proto.graph.initializer.append(onnx.numpy_helper.from_array(w, "w"))
model = ir.from_proto(onnx.shape_inference.infer_shapes(proto))


class Samples:
    def __len__(self):
        return int(sys.argv[1])

    def __iter__(self):
        rng = np.random.default_rng(1)
        for _ in range(len(self)):
            yield {"r0": rng.normal(size=(1, channels, size, size)).astype(np.float32)}


recipe = get_recipe("static_wi8_ai8_equalized", calibrator="mse")
quantize_model(model, Samples(), recipe=recipe)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_kib(num_samples: int) -> int:
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(num_samples)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return int(result.stdout)


@pytest.mark.slow
def test_ten_times_the_samples_take_no_more_memory():
    # All intermediates of a sample are 17 tensors of 256 KiB: 4 MiB. Keeping those of 90 more
    # samples would take 390 MiB, keeping the samples alone 22 MiB.
    assert peak_kib(100) - peak_kib(10) < 12 * 1024
