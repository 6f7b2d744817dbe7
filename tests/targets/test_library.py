"""Choosing a kernel: by preference, with reasons, without importing the compiler early."""

import subprocess
import sys

import pytest

from octavo.errors import LoweringError
from octavo.targets.isa import Isa
from octavo.targets.library import kernel_table, kernels_for, select
from octavo.targets.ops.conv import Conv
from octavo.targets.ops.pool import AveragePool, MaxPool


def test_every_reason_is_named_when_no_kernel_accepts():
    op = Conv(1, 9, 9, 16, 16, groups=16, dtype="int8")
    isa = Isa(name="generic", activation_dtype="uint8")
    with pytest.raises(LoweringError) as error:
        select(op, isa)
    message = str(error.value)
    assert "\n" not in message
    for kernel in kernels_for(op):
        assert f"{kernel.name}: {kernel.reject(op, isa)}" in message
    assert "conv_gemm: int8 activations; generic multiplies uint8" in message
    assert "tile_conv: generic has no tiles" in message


def test_an_operation_without_kernels_is_an_error():
    with pytest.raises(LoweringError, match="no generic kernel computes str"):
        select("not an operation", Isa(name="generic"))


def test_a_subclass_is_another_operation():
    """AveragePool extends MaxPool's record, and must not get its kernels."""
    fields = {"batch": 1, "in_h": 2, "in_w": 2, "channels": 1, "out_h": 1, "out_w": 1,
              "kernel_h": 2, "kernel_w": 2}
    assert [k.name for k in kernels_for(AveragePool(**fields))] == ["average_pool"]
    assert [k.name for k in kernels_for(MaxPool(**fields))] == ["max_pool"]


def test_kernel_names_are_unique():
    names = [kernel.name for _, kernels in kernel_table() for kernel in kernels]
    assert len(names) == len(set(names))


def test_the_table_is_built_only_when_asked_for():
    code = "import sys, octavo.targets.library; sys.exit('tvm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
