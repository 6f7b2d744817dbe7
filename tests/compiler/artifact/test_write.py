import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

from octavo.compiler.artifact import (
    add_artifact_file,
    read_manifest,
    verify_files,
    write_artifact,
)
from octavo.compiler.artifact.toolchain import cache_folder, runtime_objects, zig
from octavo.compiler.lowering.program import Buffer, Operand, Port, Program, Step, Storage
from octavo.errors import ArtifactError, LoweringError, ToolchainError

FILES = {
    "bench", "kernels.o", "libmodel.so", "manifest.json", "model.c", "model.h",
    "octavo_runtime.h", "weights.bin",
}  # fmt: skip


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_folder_holds_what_it_should(add_artifact):
    assert set(contents(add_artifact)) == FILES
    assert stat.S_IMODE(add_artifact.stat().st_mode) == 0o755


def test_two_builds_are_byte_identical(add_artifact, make_add_program, host_target, tmp_path):
    again = tmp_path / "some" / "other" / "place"
    write_artifact(make_add_program(), host_target, None, again)
    assert contents(again) == contents(add_artifact)


@pytest.mark.slow
def test_another_process_with_another_hash_seed_builds_the_same(add_artifact, tmp_path):
    conftest = Path(__file__).resolve().parents[1] / "conftest.py"
    script = (
        "import sys, importlib.util as util\n"
        f"spec = util.spec_from_file_location('programs', {str(conftest)!r})\n"
        "programs = util.module_from_spec(spec)\n"
        "spec.loader.exec_module(programs)\n"
        "from octavo.compiler.artifact import write_artifact\n"
        "target = programs.host_target.__wrapped__()\n"
        "write_artifact(programs._add_program(), target, None, sys.argv[1])\n"
    )
    environment = dict(
        os.environ, PYTHONHASHSEED="12345", PYTHONPATH=os.pathsep.join(sys.path)
    )
    subprocess.run([sys.executable, "-c", script, tmp_path / "a"], check=True, env=environment)
    assert contents(tmp_path / "a") == contents(add_artifact)


def test_no_path_of_the_machine_is_inside(add_artifact):
    for name, data in contents(add_artifact).items():
        for path in (str(add_artifact.parent), os.path.expanduser("~/"), os.getcwd(), "/tmp/"):
            assert path.encode() not in data, (name, path)


def test_the_library_needs_libc_only_and_exports_its_interface_only(add_artifact):
    readelf = shutil.which("readelf") or pytest.skip("needs readelf")
    listing = subprocess.run(
        [readelf, "-dW", "--dyn-syms", add_artifact / "libmodel.so"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    needed = re.findall(r"NEEDED.*\[(.*)\]", listing)
    # glibc, of which threads were a file of their own before 2.34
    assert all(re.match(r"libc\.so\.6|libpthread\.so\.0|ld-linux", name) for name in needed)
    exported = re.findall(r"(?:FUNC|OBJECT) +(?:GLOBAL|WEAK) +DEFAULT +\d+ (\S+)", listing)
    assert {"octavo_load", "octavo_entry", "octavo_tiny_create"} <= set(exported)
    assert all(name.startswith("octavo_") for name in exported)
    assert not {"octavo_pool_create", "TVMBackendParallelLaunch"} & set(exported)


def test_the_manifest_describes_the_program(add_artifact):
    manifest = read_manifest(add_artifact)
    assert manifest["inputs"] == [
        {
            "name": "x:0", "dtype": "int8", "shape": [10, 100], "num_bytes": 1000,
            "scale": 0.1, "zero_point": -3,
        }
    ]  # fmt: skip
    assert [step["kernel"] for step in manifest["steps"]] == ["add", "add"]
    assert manifest["macs"] == 2000
    assert manifest["target"] == "test-host"
    assert manifest["metadata"] == {"note": "for tests"}
    memory = manifest["memory"]
    assert memory["arena_bytes"] == memory["lower_bound_bytes"] == 2048
    assert memory["weights_bytes"] == (add_artifact / "weights.bin").stat().st_size == 1088
    assert [b["name"] for b in memory["buffers"]] == ["x", "hidden", "y"]
    assert set(manifest["files"]) == FILES - {"manifest.json"}
    verify_files(add_artifact, manifest)


def test_the_model_is_kept(make_add_program, host_target, tmp_path):
    x = ir.val("x", ir.DataType.FLOAT, [1])
    node = ir.node("Relu", [x])
    node.outputs[0].name = "y"
    graph = ir.Graph([x], node.outputs, nodes=[node], opset_imports={"": 21}, name="g")
    write_artifact(
        make_add_program(), host_target, ir.Model(graph, ir_version=10), tmp_path / "a"
    )
    assert ir.load(tmp_path / "a" / "model.int8.onnx").graph.node(0).op_type == "Relu"
    assert "model.int8.onnx" in read_manifest(tmp_path / "a")["files"]


def test_an_existing_folder_is_not_touched(make_add_program, host_target, tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(ArtifactError, match="exists already"):
        write_artifact(make_add_program(), host_target, None, tmp_path / "a")
    (tmp_path / "a" / "thesis.txt").write_text("the only copy")
    with pytest.raises(ArtifactError, match="is not an artifact"):
        write_artifact(make_add_program(), host_target, None, tmp_path / "a", force=True)
    assert contents(tmp_path / "a") == {"thesis.txt": b"the only copy"}
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_force_does_not_delete_through_links_or_files(make_add_program, host_target, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").write_text("x")
    for name in ("link", "file"):
        with pytest.raises(ArtifactError, match="is not a folder"):
            write_artifact(make_add_program(), host_target, None, tmp_path / name, force=True)


def test_force_replaces_an_artifact(make_add_program, host_target, tmp_path):
    write_artifact(make_add_program(), host_target, None, tmp_path / "a")
    add_artifact_file(tmp_path / "a", "old.txt", b"old")
    write_artifact(make_add_program("newer"), host_target, None, tmp_path / "a", force=True)
    assert read_manifest(tmp_path / "a")["name"] == "newer"
    assert set(contents(tmp_path / "a")) == FILES
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_failure_leaves_nothing(make_add_program, host_target, tmp_path):
    program = make_add_program()
    program.steps.pop(0)  # now `hidden` is read and never written
    with pytest.raises(LoweringError, match="which nothing has written"):
        write_artifact(program, host_target, None, tmp_path / "new" / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_line(make_add_program, host_target, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(
        ArtifactError, match=r"cannot write .*file/a: (Not a directory|File exists)"
    ):
        write_artifact(make_add_program(), host_target, None, tmp_path / "file" / "a")


def test_further_files_are_listed(make_add_program, host_target, tmp_path):

    def extra(manifest):
        assert "libmodel.so" in manifest["files"]
        return {"report.html": b"<html>"}

    write_artifact(make_add_program(), host_target, None, tmp_path / "a", extra_files=extra)
    add_artifact_file(tmp_path / "a", "trace.json", b"{}")
    add_artifact_file(tmp_path / "a", "report.html", b"<html>2")
    manifest = read_manifest(tmp_path / "a")
    assert {"report.html", "trace.json"} <= set(manifest["files"])
    verify_files(tmp_path / "a", manifest)


def test_the_bench_program_measures_and_writes_outputs(add_artifact, tmp_path):
    x = np.arange(1000, dtype=np.int32).astype(np.int8)
    x.tofile(tmp_path / "x")
    command = [add_artifact / "bench", "--runs", "20", "--threads", "2", "--json", "--profile"]
    tensors = ["--input", f"x:0={tmp_path / 'x'}", "--output", f"y={tmp_path / 'y'}"]
    output = subprocess.run([*command, *tensors], capture_output=True, check=True).stdout
    record = json.loads(output)
    assert record["num_runs"] == 20
    assert 0 < record["latency_us"]["min"] <= record["latency_us"]["median"]
    assert record["latency_us"]["median"] <= record["latency_us"]["p95"]
    assert [step["name"] for step in record["steps"]] == ["first", '"/*"']
    weights = np.arange(1000).astype(np.int8) + np.int8(1)
    assert (np.fromfile(tmp_path / "y", np.int8) == x + 2 * weights).all()
    command = [add_artifact / "bench"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.search(r"latency: median [\d.]+ us, p95 [\d.]+ us, min [\d.]+ us, IQR", text)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--runs", "0"], 2),
        (["--runs", "x"], 2),
        (["--what"], 2),
        (["--input", "x:0=/no/such"], 2),
        (["--input", "z=/dev/null"], 2),
        (["--input", "x:0=/dev/null"], 2),
        (["--weights", "/no/such"], 1),
    ],
)
def test_bench_refuses_bad_arguments_in_one_line(add_artifact, arguments, code):
    result = subprocess.run(
        [add_artifact / "bench", *arguments], capture_output=True, text=True, check=False
    )
    assert result.returncode == code
    assert result.stderr.splitlines()[-1].startswith("bench: ")


def test_the_runtime_is_compiled_once(host_target, monkeypatch, tmp_path):
    monkeypatch.delenv("OCTAVO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "octavo"
    first = runtime_objects(host_target.zig_target)
    times = [path.stat().st_mtime_ns for path in first]
    assert [p.stat().st_mtime_ns for p in runtime_objects(host_target.zig_target)] == times
    assert first[-1].name == "bench.o"


def test_without_a_home_the_cache_is_temporary(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("x")
    monkeypatch.delenv("OCTAVO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cache_folder().parent == tmp_path


def test_a_large_model_loads_in_50_milliseconds(make_kernel, host_target, tmp_path):
    """The weights of ResNet-50 at 8 bits: mapped, not read."""
    from tvm.tirx.script import builder as T

    size = 25_600_000
    x, y = Buffer("x", 1000), Buffer("y", 1000)
    w = Buffer("w", size, Storage.WEIGHTS, np.arange(size, dtype=np.uint32).astype(np.uint8))
    add = make_kernel(
        "add", ("uint8",) * 3, lambda i, a, b, c: T.buffer_store(c, a[i] + b[i], [i])
    )
    operands = (Operand(x), Operand(w), Operand(y, is_written=True))
    program = Program(
        "large",
        "test-host",
        [Port("x", "uint8", (1000,), x)],
        [Port("y", "uint8", (1000,), y)],
        [Step("add", "add", operands, ("Add",), ("add",), "int8", "")],
        {"add": add},
    )
    write_artifact(program, host_target, None, tmp_path / "a")
    command = [tmp_path / "a" / "bench", "--json", "--runs", "1"]
    records = [
        json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        for _ in range(3)  # another process may have the core once
    ]
    assert min(r["load_us"] + r["prepare_us"] for r in records) < 50_000


def test_a_compiler_error_is_one_line(tmp_path):
    (tmp_path / "a.c").write_text("int main(void) { return x; }\n")
    with pytest.raises(ToolchainError, match=r"zig cc failed: a.c:1:25: error: .*'x'"):
        zig(["cc", "-c", "a.c"], tmp_path)
