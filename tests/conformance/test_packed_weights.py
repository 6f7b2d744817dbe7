"""Weights of 4 bits, packed for every kind of target, against the host's in bytes."""

import onnx_ir
import pytest
from benchmarks.workloads import find_workload
from tests.conformance.agreement import compare
from tests.conformance.test_targets import skip_what_does_not_run_here

import octavo
from octavo.compiler.devices import DEVICES
from octavo.compiler.devices.inference import run_inference
from octavo.compiler.importer import import_model
from octavo.compiler.recipes import get_recipe
from octavo.targets import get_target

# Pages of other sizes, pointers of 32 bits, vectors of 128 bytes, memory of an accelerator.
TARGETS = ("arm64-neon", "armv7-neon", "hexagon-v66", "riscv64-rvv", "opencl")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "block_size"),
    [*((name, 0) for name in TARGETS), *((name, 16) for name in TARGETS[1::2])],
)
def test_packed_weights_give_the_bits_of_weights_as_kernels_read_them(
    name, block_size, tmp_path
):
    target = get_target(name)
    skip_what_does_not_run_here(target)
    path, samples, inputs = find_workload("digits").make()
    result = octavo.quantize(
        import_model(path),
        samples[:16],
        recipe=get_recipe("static_wi8_ai8", weight_bits=4, block_size=block_size),
        activation_dtype=target.activation_dtype,
    )
    file = tmp_path / "digits.onnx"
    file.write_bytes(onnx_ir.to_proto(result.model).SerializeToString())
    device = DEVICES["local" if target.emulator is None else "qemu"]
    outputs, sizes = {}, {}
    for packed in (True, False):
        folder = tmp_path / f"packed-{packed}"
        built = octavo.compile(
            file, name, folder, packed_weights=packed, use_tuned=False,
            requantize=target.requantize,
        )  # fmt: skip
        sizes[packed] = built.manifest["memory"]["weights_bytes"]
        outputs[packed] = run_inference(device, folder, inputs[0])
    assert sizes[True] < (0.27 if block_size else 0.56) * sizes[False]
    found = compare(outputs[False], outputs[True])
    assert found["num_outputs"] == 10
    assert found["num_different"] == 0
