"""Walk a model once in order: expand, convert to opset 21, fold constants, fix every type.

Because all inputs have static shapes, one walk is a fixpoint: when a node is reached, all that
it reads is either a constant or a value of known type. Chains such as Shape -> Gather ->
Concat -> Reshape therefore vanish on the way.
"""

import math

import onnx
from onnx import checker, shape_inference

from octavo.compiler.importer.contrib import expand_contrib, expand_standard
from octavo.compiler.importer.draft import (
    OPSET,
    Draft,
    ValueType,
    attributes_of,
    input_name,
    rename_inputs,
    type_proto,
)
from octavo.compiler.importer.external import ExternalData
from octavo.compiler.importer.fold import DATA_DEPENDENT, FOLDABLE, evaluate, fold_shape
from octavo.compiler.importer.functions import inline_branch, inline_call
from octavo.compiler.importer.limits import Limits
from octavo.compiler.importer.node_check import (
    check_node,
    constant_of_attribute,
    first_line,
)
from octavo.compiler.importer.operand_check import check_indices, check_positions
from octavo.compiler.importer.opset import convert_node, operator_body, schema_at
from octavo.compiler.importer.structure import (
    call_key,
    canonical_domain,
    describe,
    function_key,
    opset_versions,
)
from octavo.compiler.importer.tensors import (
    Array,
    check_dims,
    dtype_name,
    is_supported_dtype,
    read_sparse_tensor,
    read_tensor,
)
from octavo.errors import ModelError

CONTROL_FLOW = frozenset({"If", "Loop", "Scan", "SequenceMap"})
# shape inference reads the values of shapes, axes and scales; nothing longer is one of these
MAX_INFERENCE_ELEMENTS = 1024
# constants below this size are worth folding even where they grow: masks, position tables
SMALL_BYTES = 2**22
# Numbers of a huge constant for each that it is made of: exports of message passing repeat the
# node of every edge for every channel.
MAX_GROWTH = 512
# what exporters write of layers that many models have
_HINTS = {"NonZero": " (self loops of a graph have to be removed or added before the model)"}
_OPSET_IMPORTS = [onnx.helper.make_opsetid("", OPSET)]
Versions = dict[str, int]


class Resolver:
    """Fills a draft from the nodes of a model.

    Args:
        model: Checked by ``check_structure``; its nodes are changed in place.
        draft: Holds inputs and initializers already.
        limits: Caps on the number of nodes after expansion and on folded bytes.
        external: Reader of tensors that Constant nodes keep in other files.
    """

    def __init__(
        self, model: onnx.ModelProto, draft: Draft, limits: Limits, external: ExternalData
    ) -> None:
        self._model = model
        self._draft = draft
        self._limits = limits
        self._external = external
        self._functions = {function_key(f): f for f in model.functions}
        self._aliases: dict[str, str] = {}
        self._outputs = {value.name for value in model.graph.output}
        self._folded_bytes = 0
        # what nodes compute of constants alone: of how many numbers in the file
        self._fixed: dict[str, int] = {}

    def run(self) -> None:
        """Process every node.

        Raises:
            ModelError: A node is invalid or unsupported, or has a shape that depends on data.
        """
        versions = opset_versions(self._model.opset_import, "the model")
        stack = [(node, versions) for node in reversed(self._model.graph.node)]
        remaining = self._limits.nodes
        while stack:
            node, versions = stack.pop()
            rename_inputs(node, self._aliases)
            expansion = self._expand(node, versions)
            if expansion is not None:
                nodes, inner_versions = expansion
                # a function that calls two functions that call two ... grows without bound
                remaining -= len(nodes) + 1
                if remaining < 0:
                    raise ModelError(
                        f"{describe(node)}: functions expand to more than "
                        f"{self._limits.nodes} nodes"
                    )
                stack.extend((inner, inner_versions) for inner in reversed(nodes))
            else:
                self._add(node)

    def _expand(
        self, node: onnx.NodeProto, versions: Versions
    ) -> tuple[list[onnx.NodeProto], Versions] | None:
        """Return what replaces a node and in which opsets, None once it is final."""
        for name in node.input:
            if name and name not in self._draft.types:
                raise ModelError(f"{describe(node)} reads '{name}', which has no value here")
        function = self._functions.get(call_key(node))
        if function is not None:
            where = f"function '{function.name}'"
            imported = opset_versions(function.opset_import, where)
            return inline_call(node, function, self._draft), imported
        domain = canonical_domain(node.domain)
        if domain == "com.microsoft":
            return expand_contrib(node, self._draft), {"": OPSET}
        if domain:
            raise ModelError(
                f"{describe(node)}: operators of domain '{domain}' are not supported"
            )
        node.domain = ""
        if node.op_type in CONTROL_FLOW:
            return self._branch(node), versions
        version = versions[""]
        check_node(node, version, self._limits)
        check_positions(node, self._draft)
        quantized = expand_standard(node, self._draft)
        if quantized is not None:
            return quantized, {"": OPSET}
        converted = convert_node(node, version, self._draft)
        if len(converted) != 1 or converted[0] is not node:
            return converted, {"": OPSET}
        body = operator_body(node, version, self._draft)
        return None if body is None else (body[0], {"": body[1]})

    def _branch(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        graphs = {a.name: a.g for a in node.attribute if a.HasField("g")}
        condition = self._draft.constant(input_name(node, 0))
        if node.op_type != "If" or {"then_branch", "else_branch"} - graphs.keys():
            raise ModelError(f"{describe(node)}: control flow is not supported")
        if condition is None or condition.size != 1:
            raise ModelError(
                f"{describe(node)}: which branch runs depends on data, which is not supported"
            )
        branch = graphs["then_branch" if bool(condition.reshape(())) else "else_branch"]
        return inline_branch(node, branch, self._draft)

    def _add(self, node: onnx.NodeProto) -> None:
        """Take a node of opset 21 into the draft: as constants, another name, or as it is."""
        if node.op_type == "Constant":
            self._define(node.output[0], self._constant_value(node))
            return
        source = input_name(node, 0)
        if node.op_type == "Identity" and node.output[0] not in self._outputs:
            self._aliases[node.output[0]] = source
            return
        if node.op_type in ("Shape", "Size"):
            self._define(node.output[0], fold_shape(node, self._draft.types[source].shape))
            return
        self._drop_trailing_outputs(node)
        if self._is_noop(node):
            self._aliases[node.output[0]] = source
            return
        types = self._infer(node)
        if self._fold(node, types):
            return
        for name in node.output:
            if name:
                self._draft.types[name] = self._static_type(node, name, types)
        self._check_fixed(node)
        self._draft.nodes.append(node)

    def _define(self, name: str, value: Array) -> None:
        self._draft.set_constant(name, value)

    def _drop_trailing_outputs(self, node: onnx.NodeProto) -> None:
        while len(node.output) > 1 and not node.output[-1]:
            del node.output[-1]

    def _is_noop(self, node: onnx.NodeProto) -> bool:
        """Return whether the output is the input: a Cast to the same type, for example."""
        if node.output[0] in self._outputs or node.op_type != "Cast":
            return False
        return bool(attributes_of(node)["to"] == self._draft.dtype(node.input[0]))

    def _constant_value(self, node: onnx.NodeProto) -> Array:
        where = describe(node)
        if len(node.attribute) != 1:
            raise ModelError(f"{where} needs exactly one value")
        attribute = node.attribute[0]
        if attribute.name == "value":
            return read_tensor(attribute.t, where, self._limits, self._external)
        if attribute.name == "sparse_value":
            return read_sparse_tensor(attribute.sparse_tensor, where, self._limits)
        return constant_of_attribute(attribute, where)

    def _infer(self, node: onnx.NodeProto) -> dict[str, onnx.TypeProto]:
        schema = schema_at(node.op_type, OPSET)
        if schema is None or schema.deprecated:
            raise ModelError(f"{describe(node)}: opset {OPSET} has no such operator")
        types, data = {}, {}
        for name in dict.fromkeys(node.input):
            if not name:
                continue
            types[name] = type_proto(self._draft.types[name])
            value = self._draft.constant(name)
            if value is not None and value.size <= MAX_INFERENCE_ELEMENTS:
                data[name] = onnx.numpy_helper.from_array(value)
        try:
            inferred: dict[str, onnx.TypeProto] = shape_inference.infer_node_outputs(
                schema, node, types, data, opset_imports=_OPSET_IMPORTS
            )
        except (shape_inference.InferenceError, checker.ValidationError) as error:
            raise ModelError(f"{describe(node)}: {first_line(error)}") from error
        except (RuntimeError, ValueError, TypeError, LookupError, MemoryError) as error:
            raise ModelError(f"{describe(node)}: no shape: {first_line(error)}") from error
        return inferred

    def _fold(self, node: onnx.NodeProto, types: dict[str, onnx.TypeProto]) -> bool:
        """Evaluate a node of constants; return whether that was possible and worthwhile."""
        if node.op_type not in FOLDABLE:
            return False
        arrays = [self._draft.constant(name) if name else None for name in node.input]
        if any(name and a is None for name, a in zip(node.input, arrays, strict=True)):
            return False
        input_bytes = sum(a.nbytes for a in arrays if a is not None)
        known = [_known_type(types.get(name)) for name in node.output if name]
        if None in known:
            if node.op_type not in DATA_DEPENDENT or input_bytes > SMALL_BYTES:
                return False
        else:
            for item in known:
                assert item is not None
                check_dims(item.shape, f"the result of {describe(node)}", self._limits)
            num_bytes = sum(8 * math.prod(item.shape) for item in known if item is not None)
            if num_bytes > max(SMALL_BYTES, 2 * input_bytes):
                return False
            self._folded_bytes += num_bytes
            if self._folded_bytes > self._limits.folded_bytes + 2 * input_bytes:
                return False
        check_indices(node, self._draft)
        values = evaluate(node, arrays)
        if values is None or len(values) != len(node.output):
            return False
        named = [(name, v) for name, v in zip(node.output, values, strict=True) if name]
        for (_, value), item in zip(named, known, strict=True):
            actual = int(onnx.helper.np_dtype_to_tensor_dtype(value.dtype))
            if item is not None and (actual, value.shape) != (item.dtype, item.shape):
                return False
        for name, value in named:
            self._define(name, value)
        return True

    def _check_fixed(self, node: onnx.NodeProto) -> None:
        """Refuse a huge constant that is made of few numbers: every later tool folds it."""
        constants = self._draft.constants
        read = [name for name in node.input if name]
        if any(name not in constants and name not in self._fixed for name in read):
            return
        # what came from the same numbers twice still came from these
        origins = [self._fixed[name] for name in read if name not in constants]
        origin = max(origins, default=0) + sum(
            constants[n].size for n in read if n in constants
        )
        for name in node.output:
            if not name:
                continue
            self._fixed[name] = origin
            item = self._draft.types[name]
            made = math.prod(item.shape)
            num_bytes = made * onnx.helper.tensor_dtype_to_np_dtype(item.dtype).itemsize
            if num_bytes > self._limits.folded_bytes and made > MAX_GROWTH * origin:
                raise ModelError(
                    f"{describe(node)} makes a constant of {num_bytes} bytes out of {origin}"
                    f" numbers; more than {self._limits.folded_bytes} bytes are not allowed"
                )

    def _static_type(
        self, node: onnx.NodeProto, name: str, types: dict[str, onnx.TypeProto]
    ) -> ValueType:
        item = types.get(name)
        if item is not None and item.WhichOneof("value") not in (None, "tensor_type"):
            raise ModelError(
                f"{describe(node)}: output '{name}' is not a tensor, which is not supported"
            )
        known = _known_type(item)
        if known is None:
            hint = _HINTS.get(node.op_type, "")
            raise ModelError(
                f"{describe(node)}: the shape of output '{name}' depends on the data or "
                f"cannot be inferred; every shape must be static{hint}"
            )
        if not is_supported_dtype(known.dtype):
            raise ModelError(
                f"{describe(node)}: output '{name}' has element type "
                f"{dtype_name(known.dtype)}, which is not supported"
            )
        check_dims(known.shape, f"output '{name}' of {describe(node)}", self._limits)
        return known


def _known_type(item: onnx.TypeProto | None) -> ValueType | None:
    if item is None or not item.HasField("tensor_type"):
        return None
    tensor_type = item.tensor_type
    if not tensor_type.HasField("shape") or not tensor_type.elem_type:
        return None
    dims = tensor_type.shape.dim
    if not all(dim.HasField("dim_value") and dim.dim_value >= 0 for dim in dims):
        return None
    return ValueType(tensor_type.elem_type, tuple(dim.dim_value for dim in dims))
