import re
import shutil
import subprocess

import numpy as np
import pytest

from octavo.compiler.artifact import write_artifact
from octavo.compiler.artifact.kernels_object import build_kernels, operand_alignments
from octavo.compiler.artifact.raw_abi import MAX_LOCAL_BYTES
from octavo.compiler.lowering.program import Buffer, Operand, Port, Program, Step
from octavo.compiler.session import load
from octavo.errors import LoweringError


def program_of(function, buffers, offsets=(0, 0)):
    operands = (
        Operand(buffers[0], offsets[0]),
        Operand(buffers[1], offsets[1], is_written=True),
    )
    steps = [Step("s", "k", operands, (), (), "int8", "")]
    ports = [Port(b.name, "uint8", (b.num_bytes,), b) for b in buffers]
    return Program("p", "host", ports[:1], ports[1:], steps, {"k": function})


@pytest.fixture
def copy_kernel(make_kernel):
    from tvm.tirx.script import builder as T

    return make_kernel(
        "k", ("uint8", "uint8"), lambda i, a, b: T.buffer_store(b, a[i], [i]), length=256
    )


def local_kernel(num_bytes):
    """Copies through a local array, which the compiler cannot keep in registers."""
    from tvm.script.ir_builder import IRBuilder
    from tvm.tirx.script import builder as T

    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name("k")
        a, b = (T.arg(n, T.buffer((num_bytes,), "uint8")) for n in "ab")
        local = T.alloc_buffer((num_bytes,), "uint8", scope="local")
        with T.serial(0, num_bytes) as i:
            T.buffer_store(local, a[i], [i])
        with T.serial(0, num_bytes) as i:
            T.buffer_store(b, local[num_bytes - 1 - i], [i])
    return builder.get()


def test_alignment_follows_the_operands(copy_kernel):
    x, y = Buffer("x", 512), Buffer("y", 512)
    program = program_of(copy_kernel, (x, y), (0, 64))
    assert operand_alignments(program) == {"k": (64, 64)}
    program.steps.append(program_of(copy_kernel, (x, y), (24, 128)).steps[0])
    assert operand_alignments(program) == {"k": (8, 64)}


def test_a_wrong_number_of_operands_is_refused(copy_kernel):
    program = program_of(copy_kernel, (Buffer("x", 512), Buffer("y", 512)))
    step = program.steps[0]
    program.steps[0] = Step("s", "k", step.operands[:1], (), (), "int8", "")
    with pytest.raises(ValueError, match="step 's' passes 1 operands, kernel 'k' takes 2"):
        operand_alignments(program)


@pytest.mark.parametrize("offset", [1, 8, 33])
def test_views_at_any_offset_run(copy_kernel, host_target, offset, tmp_path):
    x, y = Buffer("x", 512), Buffer("y", 512)
    program = program_of(copy_kernel, (x, y), (offset, 0))
    write_artifact(program, host_target, None, tmp_path / "a")
    data = np.arange(512).astype(np.uint8)
    with load(tmp_path / "a") as session:
        result = session.run({"x": data})["y"]
    assert (result[:256] == data[offset : offset + 256]).all()


def test_vectors_stay_aligned_where_the_operands_are(copy_kernel, host_target):
    """Loads of 64-byte aligned int8 operands say so: 1-byte loads are 4 times slower."""
    import tvm
    from tvm.tirx.build import codegen_build

    from octavo.compiler.artifact.raw_abi import lower_to_raw_abi

    target = tvm.target.Target(host_target.tvm_target())
    aligned = lower_to_raw_abi({"k": copy_kernel}, {"k": (64, 64)}, target)
    loose = lower_to_raw_abi({"k": copy_kernel}, {"k": (1, 1)}, target)
    assert re.search(
        r"ptr[^,)]* align 64", codegen_build(aligned, target).inspect_source("ll")
    )
    assert not re.search(r"align 64", codegen_build(loose, target).inspect_source("ll"))


def test_locals_live_on_the_stack(host_target, tmp_path):
    size = MAX_LOCAL_BYTES
    program = program_of(local_kernel(size), (Buffer("x", size), Buffer("y", size)))
    write_artifact(program, host_target, None, tmp_path / "a")
    data = np.arange(size).astype(np.uint8) * np.uint8(3)
    with load(tmp_path / "a") as session:
        assert (session.run({"x": data})["y"] == data[::-1]).all()


def test_locals_that_do_not_fit_the_stack_are_refused(host_target, tmp_path):
    size = MAX_LOCAL_BYTES + 1
    program = program_of(local_kernel(size), (Buffer("x", size), Buffer("y", size)))
    with pytest.raises(
        LoweringError, match="needs 65537 bytes of local memory; at most 65536"
    ):
        build_kernels(program, host_target.tvm_target(), tmp_path, "kernels.o")


def test_the_object_needs_nothing_but_the_thread_pool(add_artifact):
    nm = shutil.which("nm") or pytest.skip("needs nm")
    command = [nm, add_artifact / "kernels.o"]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert not re.search(r" U ", listing)
    assert re.search(r" T k_tiny_add$", listing, re.MULTILINE)
    assert re.search(r" V __TVMBackendParallelLaunch$", listing, re.MULTILINE)


def test_functions_of_the_tensor_expression_language_run(host_target, tmp_path):
    """What TVM's own operators lower to: tensors of several dimensions, in blocks."""
    from tvm import te

    a = te.placeholder((7, 5), "float32", "a")
    b = te.placeholder((5, 9), "float32", "b")
    k = te.reduce_axis((0, 5), "k")
    c = te.compute((7, 9), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), "c")
    buffers = [Buffer(n, 4 * size) for n, size in (("a", 35), ("b", 45), ("c", 63))]
    operands = tuple(Operand(x, is_written=x.name == "c") for x in buffers)
    ports = [
        Port(x.name, "float32", shape, x)
        for x, shape in zip(buffers, ((7, 5), (5, 9), (7, 9)), strict=True)
    ]
    step = Step("matmul", "k", operands, ("MatMul",), ("matmul",), "float32", "")
    functions = {"k": te.create_prim_func([a, b, c])}
    program = Program("p", "host", ports[:2], ports[2:], [step], functions)
    write_artifact(program, host_target, None, tmp_path / "a")
    rng = np.random.default_rng(0)
    x, y = (rng.integers(-8, 9, s).astype(np.float32) for s in ((7, 5), (5, 9)))
    with load(tmp_path / "a") as session:
        assert (session.run({"a": x, "b": y})["c"] == x @ y).all()  # small integers: exact


def test_float_kernels_may_use_the_math_library(make_kernel, host_target, tmp_path):
    from tvm import tirx
    from tvm.tirx.script import builder as T

    exp = make_kernel(
        "k", ("float32", "float32"), lambda i, a, b: T.buffer_store(b, tirx.exp(a[i]), [i])
    )
    x, y = Buffer("x", 4000), Buffer("y", 4000)
    program = program_of(exp, (x, y))
    program.inputs = [Port("x", "float32", (1000,), x)]
    program.outputs = [Port("y", "float32", (1000,), y)]
    write_artifact(program, host_target, None, tmp_path / "a")
    data = np.linspace(-3, 3, 1000, dtype=np.float32)
    with load(tmp_path / "a") as session:
        result = session.run({"x": data})["y"]
    # expf of every C library in use is within one unit in the last place.
    np.testing.assert_array_max_ulp(
        result, np.exp(data.astype(np.float64)).astype(np.float32), 1
    )
