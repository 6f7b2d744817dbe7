"""Small programs, written by hand, for the artifact writer and the session."""

import platform

import numpy as np
import pytest

from octavo.compiler.lowering.program import Buffer, Operand, Port, Program, Step, Storage
from octavo.targets.base import Target

LENGTH = 1000  # not a multiple of the vector width


def _kernel(name, dtypes, statements, *, parallel=False, length=LENGTH):
    """PrimFunc over flat buffers that runs ``statements(index, *buffers)`` for every index."""
    from tvm.script.ir_builder import IRBuilder
    from tvm.tirx.script import builder as T

    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name(name)
        buffers = [
            T.arg(f"b{i}", T.buffer((length,), dtype)) for i, dtype in enumerate(dtypes)
        ]
        with (T.parallel if parallel else T.serial)(0, length) as index:
            statements(index, *buffers)
    return builder.get()


@pytest.fixture(scope="session")
def make_kernel():
    """Build a PrimFunc from element types and a function that emits the loop body."""
    return _kernel


@pytest.fixture(scope="session")
def host_target():
    machine = platform.machine()
    cpu = {"x86_64": "x86-64-v2", "aarch64": "generic"}.get(machine)
    if cpu is None or platform.system() != "Linux":
        pytest.skip(f"no test target for {machine} {platform.system()}")
    return Target(
        name="test-host",
        description="Whatever runs these tests.",
        triple=f"{machine}-linux-gnu",
        cpu=cpu,
        zig_target=f"{machine}-linux-gnu.2.28",
        isa="portable",
    )


def _step(name, kernel, reads, writes):
    operands = [*(Operand(b) for b in reads), *(Operand(b, is_written=True) for b in writes)]
    return Step(
        name=name,
        kernel=kernel,
        operands=tuple(operands),
        op_types=("Add",),
        nodes=(name,),
        placement="int8",
        variant="test",
        macs=LENGTH,
    )


@pytest.fixture(scope="session")
def make_step():
    return _step


def _add_program(name="tiny", constant=1):
    """y = x + w + w, and the constant w as a second output; int8, in parallel."""
    from tvm.tirx.script import builder as T

    weights = np.arange(LENGTH).astype(np.int8) + np.int8(constant)
    x, hidden, y = (Buffer(n, LENGTH) for n in ("x", "hidden", "y"))
    w = Buffer("w", LENGTH, Storage.WEIGHTS, weights)
    copy = Buffer("w again", LENGTH, Storage.WEIGHTS, weights.copy())
    add = _kernel(
        "add",
        ("int8", "int8", "int8"),
        lambda i, a, b, c: T.buffer_store(c, a[i] + b[i], [i]),
        parallel=True,
    )
    return Program(
        name=name,
        target_name="test-host",
        inputs=[Port("x:0", "int8", (10, 100), x, scale=0.1, zero_point=-3)],
        outputs=[Port("y", "int8", (LENGTH,), y), Port("w", "int8", (LENGTH,), w)],
        steps=[
            _step("first", "add", (x, w), (hidden,)),
            _step('"/*"', "add", (hidden, copy), (y,)),
        ],
        functions={"add": add},
        metadata={"note": "for tests"},
    )


@pytest.fixture(scope="session")
def make_add_program():
    return _add_program


@pytest.fixture(scope="session")
def add_artifact(tmp_path_factory, host_target):
    """Folder of the compiled ``_add_program``; tests must not change it."""
    from octavo.compiler.artifact import write_artifact

    folder = tmp_path_factory.mktemp("artifacts") / "tiny"
    write_artifact(_add_program(), host_target, None, folder)
    return folder
