"""Draft -> ``onnx_ir.Model``."""

import onnx
import onnx_ir as ir

from octavo.compiler.importer.draft import OPSET, Draft
from octavo.compiler.importer.tensors import Array

IR_VERSION = 10  # the IR version that came with opset 21
OWN_METADATA = "octavo."  # exporters write whole stack traces into others


def build_model(draft: Draft) -> ir.Model:
    """Return the draft as a model; constants become initializers and share their data."""
    values = {name: _value(name, draft) for name in (*draft.inputs, *draft.constants)}
    for name, array in draft.constants.items():
        values[name].const_value = _tensor(name, array, draft.dtype(name))
    nodes = []
    for proto in draft.nodes:
        outputs = [_value(name, draft) if name else ir.Value(name="") for name in proto.output]
        values.update((name, v) for name, v in zip(proto.output, outputs, strict=True) if name)
        nodes.append(
            ir.Node(
                "",
                proto.op_type,
                inputs=[values[name] if name else None for name in proto.input],
                attributes=[_attribute(a) for a in proto.attribute],
                outputs=outputs,
                name=proto.name,
                metadata_props={
                    entry.key: entry.value
                    for entry in proto.metadata_props
                    if entry.key.startswith(OWN_METADATA)
                },
            )
        )
    graph = ir.Graph(
        [values[name] for name in draft.inputs],
        [values[name] for name in draft.outputs],
        nodes=nodes,
        initializers=[values[name] for name in draft.constants],
        opset_imports={"": OPSET},
        name=draft.name,
    )
    return ir.Model(graph, ir_version=IR_VERSION, producer_name="octavo")


def _value(name: str, draft: Draft) -> ir.Value:
    item = draft.types[name]
    return ir.Value(
        name=name, shape=ir.Shape(item.shape), type=ir.TensorType(ir.DataType(item.dtype))
    )


def _tensor(name: str, array: Array, dtype: int) -> ir.TensorProtocol:
    return ir.Tensor(array, dtype=ir.DataType(dtype), name=name)


def _attribute(proto: onnx.AttributeProto) -> ir.Attr:
    return ir.serde.deserialize_attribute(proto)
