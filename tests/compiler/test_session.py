import json
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

from octavo.compiler.artifact import write_artifact
from octavo.compiler.lowering.program import Buffer, Operand, Port, Program, Step
from octavo.compiler.session import load
from octavo.errors import ArtifactError, CancelledError, DataError, TargetError

WEIGHTS = np.arange(1000).astype(np.int8) + np.int8(1)
INPUT = (np.arange(1000) * 7).astype(np.int8).reshape(10, 100)
EXPECTED = INPUT.reshape(-1) + 2 * WEIGHTS


@pytest.fixture
def copied(add_artifact, tmp_path):
    """An artifact that a test may change."""
    return shutil.copytree(add_artifact, tmp_path / "copy")


@pytest.mark.parametrize("num_threads", [1, 2, 4])
def test_run_returns_every_output(add_artifact, num_threads):
    with load(add_artifact, num_threads=num_threads) as session:
        for _ in range(20):
            outputs = session.run({"x:0": INPUT})
            assert list(outputs) == ["y", "w"]
            assert (outputs["y"] == EXPECTED).all()
            assert (outputs["w"] == WEIGHTS).all()


def test_arrays_need_not_be_contiguous(add_artifact):
    with load(add_artifact) as session:
        outputs = session.run({"x:0": np.asfortranarray(INPUT)})
    assert (outputs["y"] == EXPECTED).all()


def test_outputs_survive_the_next_run_and_the_session(add_artifact):
    with load(add_artifact) as session:
        first = session.run({"x:0": INPUT})["y"]
        session.run({"x:0": INPUT + np.int8(1)})
    assert (first == EXPECTED).all()


def test_bound_arrays_are_read_and_written_by_every_run(add_artifact):
    x, y = INPUT.copy(), np.zeros(1000, np.int8)
    with load(add_artifact) as session:
        bound = session.bind({"x:0": x}, {"y": y})
        for step in (np.int8(0), np.int8(5)):
            x += step
            bound.run()
            assert (y == EXPECTED + step).all()
        assert bound.outputs["y"] is y
        assert bound.inputs["x:0"] is x
        assert (bound.outputs["w"] == WEIGHTS).all()  # nobody gave an array for it
        session.run({"x:0": INPUT})
        assert (y == EXPECTED + np.int8(5)).all()
    with pytest.raises(ValueError, match="closed"):
        bound.run()


@pytest.mark.parametrize(
    ("inputs", "outputs", "message"),
    [
        ({}, {}, "no input 'x:0'"),
        ({"x:0": np.asfortranarray(INPUT)}, {}, "array of 'x:0' is not contiguous"),
        ({"x:0": INPUT}, {"z": INPUT}, "unknown output 'z'; the model gives: y, w"),
        ({"x:0": INPUT}, {"y": INPUT}, r"'y' is int8 \(10, 100\).*gives int8 \(1000,\)"),
        ({"x:0": INPUT}, {"y": np.zeros(2000, np.int8)[::2]}, "'y' is not contiguous"),
        ({"x:0": INPUT}, {"y": np.broadcast_to(np.int8(0), 1000)}, "'y' is not contiguous"),
        ({"x:0": INPUT}, {"y": np.frombuffer(bytes(1000), np.int8)}, "'y' is read-only"),
    ],
)
def test_arrays_that_cannot_be_bound_are_refused(add_artifact, inputs, outputs, message):
    with load(add_artifact) as session, pytest.raises(DataError, match=message):
        session.bind(inputs, outputs)


def test_inputs_and_outputs_are_described(add_artifact):
    with load(add_artifact) as session:
        (x,), (y, w) = session.inputs, session.outputs
    assert (x.name, x.dtype, x.shape, x.zero_point) == ("x:0", "int8", (10, 100), -3)
    assert x.scale == np.float32(0.1)
    assert (y.name, y.scale, y.zero_point, w.shape) == ("y", None, None, (1000,))


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "no input 'x:0'; the model takes: x:0"),
        ({"x:0": INPUT, "z": INPUT}, "unknown input 'z'; the model takes: x:0"),
        ({"x:0": INPUT.astype(np.float32)}, "is float32 .*takes int8"),
        ({"x:0": INPUT.reshape(-1)}, r"int8 \(1000,\).*takes int8 \(10, 100\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(add_artifact, inputs, message):
    with load(add_artifact) as session, pytest.raises(DataError, match=message):
        session.run(inputs)


def test_profile_has_a_record_per_step_and_run(add_artifact):
    with load(add_artifact) as session:
        profile = session.profile({"x:0": INPUT}, runs=7, warmup=2)
        latencies_us = session.measure(runs=9, warmup=0)
    assert [(s.index, s.name, s.kernel, s.macs) for s in profile] == [
        (0, "first", "add", 1000),
        (1, '"/*"', "add", 1000),
    ]
    assert all(len(s.latencies_us) == 7 and s.latency_us > 0 for s in profile)
    assert latencies_us.shape == (9,)
    assert (latencies_us > 0).all()


@pytest.mark.parametrize("name", ["weights.bin", "libmodel.so", "model.c", "kernels.o"])
def test_a_changed_file_is_refused(copied, name):
    data = bytearray((copied / name).read_bytes())
    data[len(data) // 2] ^= 1
    (copied / name).write_bytes(data)
    with pytest.raises(ArtifactError, match=f"{name}: changed after the artifact was built"):
        load(copied)


@pytest.mark.parametrize("name", ["weights.bin", "libmodel.so"])
@pytest.mark.parametrize("verify", [True, False])
def test_a_missing_file_is_refused(copied, name, verify):
    (copied / name).unlink()
    with pytest.raises(ArtifactError, match=name):
        load(copied, verify=verify)


def test_a_file_that_is_a_link_is_refused(copied):
    shutil.move(copied / "weights.bin", copied.parent / "outside")
    (copied / "weights.bin").symlink_to(copied.parent / "outside")
    with pytest.raises(ArtifactError, match=r"weights\.bin"):
        load(copied)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "it lists no files"),
        ('{"files": []}', "it lists no files"),
        ('{"files": {}, "format": 99}', "format 99; readable: 1"),
        ('{"files": {"../x": ""}, "format": 1}', "'../x' is not a plain file name"),
        ('{"files": {"": ""}, "format": 1}', "'' is not a plain file name"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(copied, text, message):
    (copied / "manifest.json").write_text(text)
    with pytest.raises(ArtifactError, match=message):
        load(copied)


def test_a_folder_without_manifest_is_no_artifact(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ArtifactError, match="is not an artifact"):
            load(folder)


def test_weights_of_another_size_and_other_libraries_are_refused(copied):
    weights = (copied / "weights.bin").read_bytes()
    (copied / "weights.bin").write_bytes(weights + b"\0")
    with pytest.raises(ArtifactError, match="size"):
        load(copied, verify=False)
    (copied / "weights.bin").write_bytes(weights)
    (copied / "libmodel.so").write_bytes(b"not a library")
    with pytest.raises(ArtifactError, match=r"cannot load .*libmodel\.so"):
        load(copied, verify=False)


def test_a_cpu_without_the_instructions_is_named(copied, monkeypatch):
    """The bit of a feature that no CPU has, patched into the loaded program."""
    from octavo.compiler import native_library

    original = native_library.NativeLibrary._bind

    def bind(self):
        original(self)
        self.program = type(self.program).from_buffer_copy(self.program)
        self.program.cpu_features = 1 << 63

    monkeypatch.setattr(native_library.NativeLibrary, "_bind", bind)
    with pytest.raises(TargetError, match="this CPU lacks instructions"):
        load(copied)


def test_models_do_not_interfere(add_artifact, make_add_program, host_target, tmp_path):
    """Same kernel names, other constants: each library must call its own."""
    write_artifact(make_add_program(constant=5), host_target, None, tmp_path / "other")
    with load(add_artifact, num_threads=2) as a, load(tmp_path / "other", num_threads=2) as b:
        for _ in range(5):
            assert (a.run({"x:0": INPUT})["y"] == EXPECTED).all()
            assert (b.run({"x:0": INPUT})["y"] == EXPECTED + 2 * np.int8(4)).all()


def test_a_replaced_artifact_is_loaded_anew(make_add_program, host_target, tmp_path):
    write_artifact(make_add_program(), host_target, None, tmp_path / "a")
    with load(tmp_path / "a") as old:
        write_artifact(
            make_add_program("newer", 9), host_target, None, tmp_path / "a", force=True
        )
        with load(tmp_path / "a") as new:
            assert (new.run({"x:0": INPUT})["y"] == EXPECTED + 2 * np.int8(8)).all()
        assert (old.run({"x:0": INPUT})["y"] == EXPECTED).all()


def test_sessions_of_several_threads_are_safe(add_artifact):
    failures = []

    def work():
        with load(add_artifact, num_threads=2) as session:
            for offset in range(50):
                x = INPUT + np.int8(offset)
                if not (session.run({"x:0": x})["y"] == x.reshape(-1) + 2 * WEIGHTS).all():
                    failures.append(offset)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_one_session_may_be_shared(add_artifact):
    failures = []
    with load(add_artifact) as session:

        def work(offset):
            x = INPUT + np.int8(offset)
            for _ in range(50):
                if not (session.run({"x:0": x})["y"] == x.reshape(-1) + 2 * WEIGHTS).all():
                    failures.append(offset)

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


def test_a_closed_session_says_so(add_artifact):
    session = load(add_artifact)
    session.close()
    session.close()
    with pytest.raises(ValueError, match="closed"):
        session.run({"x:0": INPUT})


def test_thread_counts_out_of_range_are_refused(add_artifact):
    for num_threads in (0, 257):
        with pytest.raises(ValueError, match=f"num_threads {num_threads} not allowed"):
            load(add_artifact, num_threads=num_threads)


def test_state_is_kept_between_runs_until_reset(make_kernel, host_target, tmp_path):
    """An accumulator: total += x; y = total."""
    from tvm.tirx.script import builder as T

    x, y = Buffer("x", 4000), Buffer("y", 4000)
    total = Buffer("total", 4000, persistent=True)

    def body(i, a, state, b):
        T.buffer_store(state, state[i] + a[i], [i])
        T.buffer_store(b, state[i], [i])

    operands = (Operand(x), Operand(total, is_written=True), Operand(y, is_written=True))
    step = Step("sum", "accumulate", operands, ("Add",), ("sum",), "int8", "")
    program = Program(
        "state",
        "test-host",
        [Port("x", "int32", (1000,), x)],
        [Port("y", "int32", (1000,), y)],
        [step],
        {"accumulate": make_kernel("accumulate", ("int32",) * 3, body)},
    )
    write_artifact(program, host_target, None, tmp_path / "a")
    ones = {"x": np.ones(1000, np.int32)}
    with load(tmp_path / "a") as session:
        assert [int(session.run(ones)["y"][999]) for _ in range(3)] == [1, 2, 3]
        session.reset()
        assert int(session.run(ones)["y"][0]) == 1


def test_running_needs_numpy_only(add_artifact):
    script = (
        "import sys, json, octavo\n"
        f"with octavo.load({str(add_artifact)!r}) as s: s.run(s.examples())\n"
        "heavy = ('tvm', 'onnx', 'onnx_ir', 'onnxruntime', 'scipy', 'ziglang')\n"
        "print(json.dumps([m for m in heavy if m in sys.modules]))\n"
    )
    command = [sys.executable, "-c", script]
    output = subprocess.run(command, check=True, capture_output=True, text=True)
    assert json.loads(output.stdout) == []
    assert output.stderr == ""


def test_a_run_is_cancelled_from_another_thread(add_artifact):
    with load(add_artifact) as session:
        errors = []

        def run_until_cancelled():
            while not errors:
                try:
                    session.run({"x:0": INPUT})
                except CancelledError as error:
                    errors.append(str(error))

        assert session.cancel() is False  # there is no run
        thread = threading.Thread(target=run_until_cancelled)
        thread.start()
        while not session.cancel():
            pass
        thread.join(60)
        assert errors == ["the run was cancelled"]
        assert (session.run({"x:0": INPUT})["y"] == EXPECTED).all()
    assert session.cancel() is False


def test_what_a_session_takes_is_told(add_artifact):
    with load(add_artifact, num_threads=2) as session:
        usage = session.usage()
        memory = session.manifest["memory"]
        assert usage.arena_bytes >= memory["arena_bytes"]
        assert usage.weights_mapped_bytes == memory["weights_bytes"]
        assert usage.weights_copied_bytes == 0
        assert usage.num_threads == 2
        assert usage.last_run_us is None
        session.run({"x:0": INPUT})
        assert 0 < session.usage().last_run_us < 10e6
    with pytest.raises(ValueError, match="closed"):
        session.usage()
