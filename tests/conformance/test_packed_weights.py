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
TARGETS = ("arm64-neon", "armv7-neon", "riscv64-rvv", "hexagon-v66", "opencl")


@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_packed_weights_give_the_bits_of_weights_in_bytes(name, tmp_path):
    target = get_target(name)
    skip_what_does_not_run_here(target)
    path, samples, inputs = find_workload("digits").make()
    result = octavo.quantize(
        import_model(path),
        samples[:16],
        recipe=get_recipe("static_wi8_ai8", weight_bits=4),
        activation_dtype=target.activation_dtype,
    )
    file = tmp_path / "digits.onnx"
    file.write_bytes(onnx_ir.to_proto(result.model).SerializeToString())
    options = {"requantize": target.requantize, "use_tuned": False}
    octavo.compile(file, "host", tmp_path / "host", packed_weights=False, **options)
    built = octavo.compile(file, name, tmp_path / "target", **options)
    memory = built.manifest["memory"]
    assert memory["num_packed_weights"] == 6
    assert memory["weights_bytes"] < 0.56 * memory["weights_memory_bytes"]
    device = DEVICES["local" if target.emulator is None else "qemu"]
    with octavo.load(tmp_path / "host") as session:
        expected = session.run(dict(inputs[0]))
    found = compare(expected, run_inference(device, tmp_path / "target", inputs[0]))
    assert found["num_outputs"] == 10
    assert found["num_different"] == 0
