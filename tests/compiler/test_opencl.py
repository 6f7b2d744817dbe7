"""Programs on OpenCL: the bits of the host's, transfers at the borders, clear failures."""

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tests.targets.opencl.conftest import Device

import octavo
from octavo.compiler.artifact.memory_plan import plan_memory
from octavo.compiler.artifact.segments import arena_ranges, find_segments, shared_ranges
from octavo.compiler.artifact.toolchain import zig
from octavo.compiler.lowering.program import Buffer, Operand, Port, Program, Step, Storage
from octavo.errors import CancelledError, DeviceError, OctavoError
from octavo.targets import TARGETS, get_target

REPOSITORY = Path(__file__).resolve().parents[2]
DIGITS = REPOSITORY / "examples" / "digits"


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory):
    """The digits network for the host and for OpenCL."""
    folder = tmp_path_factory.mktemp("opencl")
    for target in ("host", "opencl"):
        octavo.compile(DIGITS / "digits.onnx", target, folder / target,
                       samples=DIGITS / "calibration.npz", use_tuned=False)
    return folder


@pytest.fixture(scope="module")
def has_device():
    try:
        return Device()
    except OSError as error:
        pytest.skip(f"OpenCL programs need a device: {error}")


@pytest.fixture(scope="module")
def images():
    with np.load(DIGITS / "test.npz") as stored:
        return stored["image"][:12]


def outputs(folder, images, **options):
    with octavo.load(folder, **options) as session:
        return [session.run({"image": image[None]})["logits"] for image in images]


def test_every_step_of_the_digits_network_has_a_gpu_kernel(artifacts):
    manifest = json.loads((artifacts / "opencl" / "manifest.json").read_text())
    assert all(step["on_accelerator"] for step in manifest["steps"])
    assert {"kernels.cl", "octavo_accelerator.h"} <= set(manifest["files"])
    assert not (artifacts / "host" / "kernels.cl").exists()


def test_outputs_equal_the_hosts(has_device, artifacts, images):
    expected = outputs(artifacts / "host", images)
    np.testing.assert_array_equal(outputs(artifacts / "opencl", images), expected)


def test_programs_are_built_once(has_device, artifacts, images, tmp_path):
    first = outputs(artifacts / "opencl", images, cache_folder=tmp_path)
    (file,) = tmp_path.iterdir()
    made = file.stat().st_mtime_ns
    again = outputs(artifacts / "opencl", images, cache_folder=tmp_path)
    assert (list(tmp_path.iterdir()), file.stat().st_mtime_ns) == ([file], made)
    np.testing.assert_array_equal(first, again)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0xFF
    file.write_bytes(content)  # damaged: built anew, and written
    np.testing.assert_array_equal(
        outputs(artifacts / "opencl", images, cache_folder=tmp_path), first)
    assert file.read_bytes() != content


def test_steps_are_timed_by_the_device(has_device, artifacts):
    with octavo.load(artifacts / "opencl") as session:
        profile = session.profile(runs=3)
    assert len(profile) == 10
    assert all(step.latency_us > 0 for step in profile)


def test_steps_without_a_gpu_kernel_run_on_the_cpu(has_device, tmp_path):
    import onnx

    # A lone Relu of floats goes through TVM; the GPU pads and adds.
    text = """<ir_version: 10, opset_import: ["" : 21]>
    padded (float[1,3,6,6] x) => (float[1,3,8,8] y) <float low = {-1.0}> {
        a = Relu(x)
        pads = Constant <value_ints = [0, 0, 1, 1, 0, 0, 1, 1]> ()
        b = Pad(a, pads, low)
        y = Add(b, b)
    }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "padded.onnx")
    x = np.random.default_rng(1).normal(size=(1, 3, 6, 6)).astype(np.float32)
    results = {}
    for target in ("host", "opencl"):
        octavo.compile(tmp_path / "padded.onnx", target, tmp_path / target, float_only=True)
        with octavo.load(tmp_path / target) as session:
            for _ in range(2):
                results[target] = session.run({"x": x})["y"]
            session.profile(runs=2)
    manifest = json.loads((tmp_path / "opencl" / "manifest.json").read_text())
    assert {step["on_accelerator"] for step in manifest["steps"]} == {True, False}
    np.testing.assert_array_equal(results["opencl"], results["host"])


def test_indices_out_of_range_fail_the_run_and_no_other(has_device, tmp_path):
    import onnx

    text = """<ir_version: 10, opset_import: ["" : 21]>
    pick (float[5,8] x, int64[3] at) => (float[3,8] y) {
        a = Add(x, x)
        b = Gather(a, at)
        y = Add(b, b)
    }"""
    onnx.save(onnx.parser.parse_model(text), tmp_path / "pick.onnx")
    octavo.compile(tmp_path / "pick.onnx", "opencl", tmp_path / "pick", float_only=True)
    manifest = json.loads((tmp_path / "pick" / "manifest.json").read_text())
    assert all(step["on_accelerator"] for step in manifest["steps"])
    x = np.random.default_rng(1).normal(size=(5, 8)).astype(np.float32)
    with octavo.load(tmp_path / "pick") as session:
        for _ in range(2):
            y = session.run({"x": x, "at": np.array([4, -5, 2])})["y"]
            np.testing.assert_array_equal(y, 4 * x[[4, 0, 2]])
            with pytest.raises(OctavoError, match="kernel reported a failure"):
                session.run({"x": x, "at": np.array([4, 5, 2])})


def load_elsewhere(artifact, **environment):
    """Load an artifact in a process of its own; what it says is wrong."""
    code = (
        "import sys, octavo\n"
        "from octavo.errors import DeviceError\n"
        "try:\n    octavo.load(sys.argv[1])\n"
        "except DeviceError as error:\n    print(error)\n"
    )
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)) | environment
    done = subprocess.run([sys.executable, "-c", code, artifact], check=True,
                          capture_output=True, text=True, env=environment)
    return done.stdout


def test_a_machine_without_a_driver_says_so(has_device, artifacts, tmp_path):
    told = load_elsewhere(artifacts / "opencl", OCL_ICD_VENDORS=str(tmp_path / "none"))
    assert "there is no accelerator that the program can run on: the OpenCL library" in told


def test_a_library_without_a_function_says_so(has_device, artifacts, tmp_path):
    (tmp_path / "short.c").write_text("int clGetPlatformIDs(void) { return 0; }")
    zig(["cc", "-target", "native", "-shared", "-Wl,-soname,libOpenCL.so", "-o",
         "libOpenCL.so", "short.c"], tmp_path)  # fmt: skip
    told = load_elsewhere(artifacts / "opencl", LD_LIBRARY_PATH=str(tmp_path))
    assert "the OpenCL library has no function clGetDeviceIDs" in told


def test_a_machine_without_a_library_says_so(artifacts, tmp_path):
    for name in ("libOpenCL.so", "libOpenCL.so.1"):
        (tmp_path / name).write_text("no library at all")
    told = load_elsewhere(artifacts / "opencl", LD_LIBRARY_PATH=str(tmp_path))
    assert "there is no OpenCL library (libOpenCL.so)" in told


def test_calls_that_fail_are_told_and_leave_nothing_behind(
    has_device, artifacts, images, tmp_path
):
    """Every call of the driver fails in turn: for the first, the middle and the last time."""
    np.savez(tmp_path / "image.npz", image=images[:1])
    done = subprocess.run(
        [sys.executable, "-m", "tests.compiler.opencl_faults", artifacts / "opencl",
         tmp_path / "image.npz", tmp_path],
        check=False, capture_output=True, text=True, cwd=REPOSITORY,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)))
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads(done.stdout.splitlines()[-1])
    expected = results[0]["outputs"]
    assert results[-1]["outputs"] == expected
    told = set()
    for result in results:
        assert result["live"] == {}, result
        if "error" in result:
            assert "accelerator" in result["error"], result
            is_search = result["function"] in ("GetPlatformIDs", "GetDeviceIDs")
            assert is_search or "OpenCL error -5" in result["error"], result
            told.add(result["function"])
        else:  # what is not needed for the result: names for the cache, releases
            assert result["outputs"] == expected, result
    assert told >= {
        "GetPlatformIDs", "CreateContext", "CreateCommandQueue", "CreateBuffer",
        "EnqueueMapBuffer", "CreateProgramWithSource", "BuildProgram", "CreateKernel",
        "SetKernelArg", "EnqueueNDRangeKernel", "GetEventProfilingInfo", "Finish",
    }  # fmt: skip


PHONES = pytest.mark.parametrize(
    ("target", "product", "dtype"),
    [
        ("adreno", "qcom_dot8_acc(", "uint8"),
        ("mali", "arm_dot_acc(", "int8"),
        ("adreno-740", "qcom_dot8_acc(", "uint8"),
        ("mali-g715", "arm_dot_acc(", "int8"),
    ],
)


@PHONES
def test_phones_get_a_host_part_of_their_own(tmp_path, target, product, dtype):
    octavo.compile(DIGITS / "digits.onnx", target, tmp_path / target,
                   samples=DIGITS / "calibration.npz")
    source = (tmp_path / target / "kernels.cl").read_text()
    # Every convolution adds up products of four bytes, and these are the extension's.
    function = source[source.index(f"int octavo_dot_{dtype}("):]
    assert product in function.splitlines()[0]
    bodies = re.split(r"__kernel void ", source)[1:]
    convolutions = [body for body in bodies if "gpu_conv" in body.split("(")[0]]
    assert convolutions
    assert all(f"octavo_dots_{dtype}(" in body for body in convolutions)
    record = get_target(target)
    manifest = json.loads((tmp_path / target / "manifest.json").read_text())
    most = record.accelerator.work_group
    model = (tmp_path / target / "model.c").read_text()
    sizes = re.findall(r"\{(\d+)u, (\d+)u, (\d+)u\}\};", model)
    assert len(sizes) == len(manifest["steps"])
    groups = [int(x) * int(y) * int(z) for x, y, z in sizes]
    assert max(groups) == most
    library = (tmp_path / target / "libmodel.so").read_bytes()
    machine_of_elf = int.from_bytes(library[18:20], "little")
    assert machine_of_elf == 183  # EM_AARCH64
    assert ".needs_gpu = true" in (tmp_path / target / "model.c").read_text()


@pytest.mark.parametrize("name", ["adreno", "mali", "adreno-740", "mali-g78"])
def test_kernels_for_phones_give_the_bits_of_the_host(
    has_device, images, tmp_path, monkeypatch, name
):
    """The tiles, work-groups and activations of a phone, on the device that is here."""
    import onnx_ir

    from octavo.compiler.importer import import_model

    phone = get_target(name)
    here = replace(
        TARGETS["opencl"], accelerator=replace(phone.accelerator, needs_gpu=False),
        activation_dtype=phone.activation_dtype)
    monkeypatch.setitem(TARGETS, "opencl", here)
    with np.load(DIGITS / "calibration.npz") as stored:
        samples = [{"image": image[None]} for image in stored["image"][:16]]
    quantized = octavo.quantize(
        import_model(DIGITS / "digits.onnx"), samples, activation_dtype=phone.activation_dtype)
    file = tmp_path / "digits.onnx"
    file.write_bytes(onnx_ir.to_proto(quantized.model).SerializeToString())
    for target in ("host", "opencl"):
        octavo.compile(file, target, tmp_path / target, use_tuned=False)
    np.testing.assert_array_equal(
        outputs(tmp_path / "opencl", images), outputs(tmp_path / "host", images))


@pytest.mark.parametrize("kind", ["lstm", "gru"])
def test_recurrent_cells_run_on_the_cpu_with_its_own_activations(
    has_device, tmp_path, monkeypatch, kind
):
    """The GPU wants signed activations, the cells of this CPU unsigned ones."""
    import onnx_ir

    from octavo.compiler.importer import import_model

    folder = REPOSITORY / "examples" / "sequence"
    with np.load(folder / "calibration.npz") as stored:
        (name,) = stored
        samples = [{name: sequence[None]} for sequence in stored[name][:16]]
    quantized = octavo.quantize(
        import_model(folder / f"{kind}.onnx"), samples, activation_dtype="int8")
    file = tmp_path / "cells.onnx"
    file.write_bytes(onnx_ir.to_proto(quantized.model).SerializeToString())
    monkeypatch.setitem(
        TARGETS, "opencl", replace(TARGETS["opencl"], activation_dtype="int8"))
    results = {}
    for target in ("host", "opencl"):
        octavo.compile(file, target, tmp_path / target, use_tuned=False)
        with octavo.load(tmp_path / target) as session:
            results[target] = [next(iter(session.run(s).values())) for s in samples[:4]]
    manifest = json.loads((tmp_path / "opencl" / "manifest.json").read_text())
    cells = [s for s in manifest["steps"] if s["kernel"].startswith(f"octavo_{kind}")]
    assert [s["on_accelerator"] for s in cells] == [False]
    assert any(s["on_accelerator"] for s in manifest["steps"])
    np.testing.assert_array_equal(results["opencl"], results["host"])
    # Unsigned on the GPU and signed in the cells: the other way around, in an Adreno's phone.
    octavo.compile(file, "adreno", tmp_path / "adreno", use_tuned=False)


def test_a_program_for_a_gpu_takes_no_other_device(has_device, tmp_path, monkeypatch):
    needs_gpu = replace(TARGETS["opencl"].accelerator, needs_gpu=True)
    monkeypatch.setitem(
        TARGETS, "opencl", replace(TARGETS["opencl"], accelerator=needs_gpu))
    octavo.compile(DIGITS / "digits.onnx", "opencl", tmp_path / "gpu",
                   samples=DIGITS / "calibration.npz", use_tuned=False)
    if has_device.has_gpu():
        octavo.load(tmp_path / "gpu").close()
        return
    with pytest.raises(DeviceError, match="the OpenCL drivers have no GPU"):
        octavo.load(tmp_path / "gpu")


def test_two_models_run_at_the_same_time(has_device, artifacts, images):
    """Instances share nothing but the driver: one thread each, different inputs."""
    expected = outputs(artifacts / "opencl", images)
    with ThreadPoolExecutor(3) as pool:
        parts = list(pool.map(
            lambda start: outputs(artifacts / "opencl", images[start : start + 4]), (0, 4, 8)))
    np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_two_models_take_turns_in_one_thread(has_device, artifacts, images):
    folder = artifacts / "opencl"
    with octavo.load(folder) as first, octavo.load(folder) as other:
        for image, next_image in pairwise(images[:4]):
            one = first.run({"image": image[None]})["logits"]
            two = other.run({"image": next_image[None]})["logits"]
            np.testing.assert_array_equal(one, first.run({"image": image[None]})["logits"])
            assert (one != two).any()


def test_runs_that_are_cancelled_leave_a_model_that_can_be_used(has_device, artifacts, images):
    with octavo.load(artifacts / "opencl") as session, ThreadPoolExecutor(1) as pool:
        inputs = {"image": images[:1]}
        expected = session.run(inputs)["logits"]

        def run_until_cancelled():
            while True:
                np.testing.assert_array_equal(session.run(inputs)["logits"], expected)

        for _ in range(5):
            running = pool.submit(run_until_cancelled)
            while not running.done():
                session.cancel()
            with pytest.raises(CancelledError):
                running.result()
            np.testing.assert_array_equal(session.run(inputs)["logits"], expected)


def steps(*places):
    """A chain of steps through buffers of 100 bytes; True: on the accelerator."""
    buffers = [Buffer(f"b{i}", 100) for i in range(len(places) + 1)]
    weights = Buffer("w", 64, Storage.WEIGHTS, np.zeros(64, np.uint8))
    chain = [
        Step(f"s{i}", f"k{i}", (Operand(buffers[i]), Operand(weights),
                                Operand(buffers[i + 1], is_written=True)),
             (), (), "int8", "", on_accelerator=place)
        for i, place in enumerate(places)
    ]  # fmt: skip
    ports = [Port(name, "uint8", (100,), buffer)
             for name, buffer in (("x", buffers[0]), ("y", buffers[-1]))]
    return Program("chain", "opencl", ports[:1], ports[1:], chain, {})


def test_segments_follow_the_places_of_the_steps():
    program = steps(True, True, False, False, True)
    found = find_segments(program, plan_memory(program))
    places = [(s.first_step, s.num_steps, s.on_accelerator) for s in found]
    assert places == [(0, 2, True), (2, 2, False), (4, 1, True)]
    assert [bool(segment.ranges) for segment in found] == [False, True, False]


def test_ranges_do_not_overlap_and_cover_what_is_touched():
    program = steps(False, False, False)
    plan = plan_memory(program)
    (segment,) = find_segments(program, plan)
    ends = [(r.offset_bytes, r.offset_bytes + r.num_bytes) for r in segment.ranges]
    assert all(first[1] < second[0] for first, second in pairwise(ends))
    for buffer in program.buffers():
        if buffer.storage is Storage.ARENA:
            start = plan.offset_bytes(buffer)
            assert any(low <= start and start + 100 <= high for low, high in ends)
    ports = [program.inputs[0].buffer, program.outputs[0].buffer]
    assert shared_ranges(program, plan) == arena_ranges(ports, plan)
