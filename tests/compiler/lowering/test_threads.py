"""Programs of microseconds run in one thread; longer ones keep their parallel loops."""

import numpy as np
import onnx_ir as ir
import pytest
import tvm_ffi
from onnx import TensorProto, helper, numpy_helper
from tvm import tirx

from octavo.compiler.lowering.lower import lower
from octavo.compiler.lowering.threads import MIN_PARALLEL_US, estimated_us
from octavo.targets import get_target
from octavo.targets.instructions import isa_of


def matmuls(count, size):
    """A chain of float products (size, size) x (size, size)."""
    names = ["x", *(f"v{i}" for i in range(1, count)), "y"]
    weight = np.ones((size, size), np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", [names[i], "w"], [names[i + 1]], name=f"n{i}")
         for i in range(count)],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (size, size))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (size, size))],
        [numpy_helper.from_array(weight, "w")],
    )  # fmt: skip
    opset = helper.make_opsetid("", 20)
    model = ir.from_proto(helper.make_model(graph, opset_imports=[opset]))
    for node in model.graph:
        for value in node.outputs:
            value.shape, value.dtype = ir.Shape((size, size)), ir.DataType.FLOAT
    return model


def num_parallel(program):
    found = []
    for function in program.functions.values():
        tvm_ffi.structural_map(
            function.body,
            (tirx.For, lambda loop: found.append(loop.kind) or loop),
        )
    return sum(kind == tirx.ForKind.PARALLEL for kind in found)


@pytest.mark.parametrize(("count", "is_parallel"), [(1, False), (60, True)])
def test_only_programs_that_outlast_a_wake_up_are_parallel(count, is_parallel):
    target = get_target("x86-64-avx512vnni")
    program = lower(matmuls(count, 128), target)  # 2 million multiply-accumulates each
    assert (num_parallel(program) > 0) == is_parallel
    assert (estimated_us(program, isa_of(target)) >= MIN_PARALLEL_US) == is_parallel
