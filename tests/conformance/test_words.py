"""Activations of 16 bits: the same bits on every kind of target that multiplies words."""

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

TARGETS = ("x86-64", "x86-64-avx2", "riscv64-rvv")


@pytest.mark.slow
def test_words_give_the_same_bits_everywhere(tmp_path):
    path, samples, inputs = find_workload("digits").make()
    result = octavo.quantize(
        import_model(path),
        samples[:16],
        recipe=get_recipe("static_wi8_ai8", activation_bits=16),
    )
    file = tmp_path / "digits.onnx"
    file.write_bytes(onnx_ir.to_proto(result.model).SerializeToString())
    outputs = {}
    for name in TARGETS:
        target = get_target(name)
        skip_what_does_not_run_here(target)
        built = octavo.compile(file, name, tmp_path / name, use_tuned=False)
        assert "word_gemm" in {s["variant"].split(".")[0] for s in built.manifest["steps"]}
        assert all(s["placement"] == "int8" for s in built.manifest["steps"] if s["macs"])
        device = DEVICES["local" if target.emulator is None else "qemu"]
        outputs[name] = run_inference(device, tmp_path / name, inputs[0])
    for name in TARGETS[1:]:
        found = compare(outputs[TARGETS[0]], outputs[name])
        assert found["num_outputs"] == 10
        assert found["num_different"] == 0
