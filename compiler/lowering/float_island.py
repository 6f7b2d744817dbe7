"""Lower ONNX nodes that have no kernel of their own, through TVM Relax, to plain calls.

An island is a connected set of such nodes: float operators, comparisons, shape arithmetic.
What comes out has the same form as everything else in a program: functions over pointers, one
after the other, with every byte of memory known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import onnx
import onnx_ir as ir

from octavo.compiler.lowering.decompose import decompose
from octavo.compiler.lowering.float_schedule import expose_scratch, schedule
from octavo.compiler.lowering.relax_pipeline import straight_line
from octavo.compiler.lowering.relax_walk import Call, Operand, read_calls
from octavo.errors import LoweringError
from octavo.targets.base import Target

IR_VERSION = 10  # of ONNX; carries every element type that the importer lets through
# TVM computes with these, but not with ONNX's rounding, saturation and packing.
NARROW_TYPES = frozenset(
    {
        ir.DataType.FLOAT8E4M3FN,
        ir.DataType.FLOAT8E4M3FNUZ,
        ir.DataType.FLOAT8E5M2,
        ir.DataType.FLOAT8E5M2FNUZ,
        ir.DataType.FLOAT8E8M0,
        ir.DataType.FLOAT4E2M1,
        ir.DataType.INT4,
        ir.DataType.UINT4,
    }
)
__all__ = ["FloatIsland", "FloatStep", "Operand", "lower_float_nodes"]


@dataclass(frozen=True, eq=False)
class FloatStep:
    """One call.

    Attributes:
        name: TVM's name for what was fused, such as "fused_matmul_relu".
        key: Steps with equal keys have equal functions.
        function: PrimFunc; its parameters are dense row-major buffers.
        operands: One for each parameter: what is read, then what is written.
        num_written: How many of the last operands are written; scratch counts.
    """

    name: str
    key: str
    function: Any
    operands: tuple[Operand, ...]
    num_written: int


@dataclass
class FloatIsland:
    """The calls of an island in order.

    Attributes:
        inputs: Names of the values that the steps read from outside, in a fixed order.
        steps: Calls.
        temporary_bytes: Size of each temporary by name; scratch and results included.
        results: Where each output of the island is: a temporary, an input, or a constant.
    """

    inputs: tuple[str, ...]
    steps: list[FloatStep] = field(default_factory=list)
    temporary_bytes: dict[str, int] = field(default_factory=dict)
    results: dict[str, Operand] = field(default_factory=dict)


def lower_float_nodes(
    nodes: Sequence[ir.Node], outputs: Sequence[ir.Value], opset: int, target: Target
) -> FloatIsland:
    """Lower nodes to calls.

    Args:
        nodes: In graph order; each with static shapes and known element types.
        outputs: Values that are needed outside, each made by one of the nodes.
        opset: Version of the standard operators.
        target: What the code is for.

    Raises:
        LoweringError: A node has no float implementation; the message names it.
    """
    _check_types(nodes)
    produced = {output for node in nodes for output in node.outputs}
    inputs = list(
        dict.fromkeys(
            value
            for node in nodes
            for value in node.inputs
            if value is not None and value not in produced and value.const_value is None
        )
    )
    names = tuple(value.name or "" for value in inputs)
    model = decompose(fragment_model(nodes, inputs, outputs, opset))
    line = read_calls(straight_line(model, target.tvm_target()))
    island = FloatIsland(names, temporary_bytes=dict(line.temporary_bytes))
    outside = dict(zip((i.name for i in model.graph.input), names, strict=True))
    for call in line.calls:
        island.steps.append(_step(call, island, outside))
    for value, operand in zip(outputs, line.results, strict=True):
        island.results[value.name or ""] = _renamed(operand, outside)
    return island


def _check_types(nodes: Sequence[ir.Node]) -> None:
    """Refuse values that TVM would take and compute otherwise than ONNX says."""
    for node in nodes:
        for value in (*node.inputs, *node.outputs):
            if value is not None and value.dtype in NARROW_TYPES:
                raise LoweringError(
                    f"{node.op_type} {node.name!r}: value {value.name!r} is"
                    f" {value.dtype.name}, which has no float implementation"
                )


def _renamed(operand: Operand, outside: Mapping[str, str]) -> Operand:
    return replace(operand, name=outside.get(operand.name, operand.name))


def _step(call: Call, island: FloatIsland, outside: Mapping[str, str]) -> FloatStep:
    import tvm_ffi

    function, scratch_bytes = expose_scratch(schedule(call.function))
    operands = [_renamed(operand, outside) for operand in call.operands]
    for num_bytes in scratch_bytes:
        name = f"%{len(island.temporary_bytes)}"
        island.temporary_bytes[name] = num_bytes
        operands.append(Operand(name))
    key = f"{tvm_ffi.structural_hash(function) & 0xFFFFFFFFFFFFFFFF:016x}"
    return FloatStep(
        call.symbol, key, function, tuple(operands), call.num_written + len(scratch_bytes)
    )


def fragment_model(
    nodes: Sequence[ir.Node],
    inputs: Sequence[ir.Value],
    outputs: Sequence[ir.Value],
    opset: int,
) -> onnx.ModelProto:
    """Write nodes as a model of their own; constants become initializers.

    Inputs are renamed, because TVM changes names that are no identifiers.
    """
    renamed = {value: f"input{index}" for index, value in enumerate(inputs)}
    initializers: dict[str, onnx.TensorProto] = {}
    protos = []
    for node in nodes:
        proto = ir.serde.serialize_node(node)
        for index, value in enumerate(node.inputs):
            if value is None:
                continue
            if value in renamed:
                proto.input[index] = renamed[value]
            elif value.const_value is not None and value.name not in initializers:
                tensor = ir.serde.serialize_tensor(value.const_value)
                tensor.name = value.name or ""
                initializers[tensor.name] = tensor
        protos.append(proto)
    graph = onnx.helper.make_graph(
        protos,
        "island",
        [_value_info(value, name) for value, name in renamed.items()],
        [_value_info(value, value.name or "") for value in outputs],
        list(initializers.values()),
    )
    return onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=IR_VERSION
    )


def _value_info(value: ir.Value, name: str) -> onnx.ValueInfoProto:
    shape, dtype = value.shape, value.dtype
    if dtype is None or shape is None or not all(isinstance(d, int) for d in shape):
        raise LoweringError(f"value {value.name!r} has no static shape")
    return onnx.helper.make_tensor_value_info(
        name, dtype.value, [int(d) for d in shape if isinstance(d, int)]
    )
