"""Accelerators of this machine: listed as their drivers tell, and programs run on them."""

import json

import numpy as np
import pytest
from tests.targets.opencl.conftest import Device

from octavo.compiler.devices import find_device
from octavo.compiler.devices.inference import run_inference
from octavo.compiler.devices.opencl import QUERY, found_accelerators
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.devices.rounds import measure_rounds
from octavo.errors import DeviceError, TargetError

OPENCL = find_device("opencl")


@pytest.fixture
def driver():
    try:
        return Device()
    except Exception as error:
        pytest.skip(f"needs an OpenCL device: {error}")


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    """``relu`` in int8, compiled for OpenCL."""
    import onnx
    from onnx import parser

    import octavo

    folder = tmp_path_factory.mktemp("opencl")
    model = parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        tiny (float[1,8,4,4] x) => (float[1,8,4,4] y) { y = Relu (x) }""")
    onnx.save(model, folder / "model.onnx")
    samples = {"x": np.random.default_rng(0).normal(size=(4, 8, 4, 4)).astype(np.float32)}
    octavo.compile(folder / "model.onnx", "opencl", folder / "out", samples=samples)
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    assert manifest["target_details"]["accelerator"]
    return folder / "out", {"x": samples["x"][:1]}


def test_devices_are_listed_with_what_the_driver_says(driver):
    found = found_accelerators()
    assert found
    for device in found:
        assert device.kind in ("GPU", "CPU", "other")
        assert device.num_compute_units > 0
        assert device.name
        assert device.platform
        assert device.driver
        assert device.version.startswith("OpenCL ")


def test_without_a_driver_that_is_said(monkeypatch, tmp_path, driver):
    monkeypatch.setenv("OCL_ICD_VENDORS", str(tmp_path))
    with pytest.raises(DeviceError, match="opencl: the OpenCL library has no driver"):
        found_accelerators()


@pytest.mark.parametrize(
    ("script", "message"),
    [("import os; os.abort()", "a driver failed"), ("print('\"none\"')", "opencl: none")],
)
def test_a_driver_that_crashes_is_a_failure_and_no_crash(
    monkeypatch, tmp_path, script, message
):
    (tmp_path / QUERY.name).write_text(script)
    monkeypatch.setattr("octavo.compiler.devices.opencl.QUERY", tmp_path / QUERY.name)
    with pytest.raises(DeviceError, match=message) as caught:
        found_accelerators()
    assert caught.value.exit_code == 4


def test_a_program_runs_and_is_measured_there(driver, artifact):
    folder, inputs = artifact
    outputs = run_inference(OPENCL, folder, inputs)
    expected = run_inference(find_device("local"), folder, inputs)
    np.testing.assert_array_equal(outputs["y"], expected["y"])
    assert abs(outputs["y"] - np.maximum(inputs["x"], 0)).max() < 0.05
    with OPENCL.deploy(folder) as deployment:
        (measured,) = measure_rounds([deployment], RoundPlan(runs=6), inputs)
    assert measured.failure == ""
    assert measured.runs_us.size == 6


def test_a_program_without_accelerator_is_refused(host_artifact):
    with (
        pytest.raises(TargetError, match="none of its steps runs on an accelerator"),
        OPENCL.deploy(host_artifact),
    ):
        pass
