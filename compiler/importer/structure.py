"""Check that a model is a well-formed graph before anything interprets it.

Everything is walked once: names, scopes, nesting, counts and the calls between model-local
functions. The data of tensors is checked where it is read.
"""

from collections.abc import Iterable, Iterator

import onnx

from octavo.compiler.importer.limits import Limits
from octavo.compiler.importer.tensors import check_dims
from octavo.errors import ModelError

MIN_OPSET = 11
REVIEWED_OPSET = 28  # newest whose changes are known; see ``newer_operators``
MAX_OPSET = min(REVIEWED_OPSET, onnx.defs.onnx_opset_version())
FunctionKey = tuple[str, str, str]
# the names of every graph around a subgraph; united, they would be copied for each subgraph
Scopes = tuple[set[str], ...]


def canonical_domain(domain: str) -> str:
    """Return the domain with the alias ``ai.onnx`` written as ONNX writes it: empty."""
    return "" if domain == "ai.onnx" else domain


def describe(node: onnx.NodeProto) -> str:
    """Return what messages call a node: its operator and its name, or its first output."""
    name = node.name or next((output for output in node.output if output), "")
    domain = canonical_domain(node.domain)
    op_type = f"{domain}.{node.op_type}" if domain else node.op_type
    return f"{op_type} '{name}'"


def opset_versions(imports: Iterable[onnx.OperatorSetIdProto], where: str) -> dict[str, int]:
    """Return domain to version, with the version of ai.onnx in the accepted range.

    Raises:
        ModelError: A domain occurs twice or the version of ai.onnx is not accepted.
    """
    versions: dict[str, int] = {}
    for entry in imports:
        domain = canonical_domain(entry.domain)
        if versions.setdefault(domain, entry.version) != entry.version:
            raise ModelError(f"{where} imports domain {entry.domain[:80]!r} in two versions")
    version = versions.setdefault("", MAX_OPSET)
    if not MIN_OPSET <= version <= MAX_OPSET:
        raise ModelError(
            f"{where} uses opset {version}; opsets {MIN_OPSET} to {MAX_OPSET} are supported"
        )
    return versions


def function_key(item: onnx.FunctionProto) -> FunctionKey:
    """Return what calls refer to a model-local function by."""
    return (canonical_domain(item.domain), item.name, item.overload)


def call_key(node: onnx.NodeProto) -> FunctionKey:
    """Return the key of the function that a node would call."""
    return (canonical_domain(node.domain), node.op_type, node.overload)


def check_structure(model: onnx.ModelProto, limits: Limits) -> None:
    """Refuse a model that is not in single-assignment form, or is too large or too deep.

    Raises:
        ModelError: The IR version is unknown; names are duplicated, missing or used before
            they are computed; functions call each other in a circle; a cap of ``limits`` is
            exceeded.
    """
    if model.ir_version > onnx.IR_VERSION:
        raise ModelError(
            f"the model is written in IR version {model.ir_version} of ONNX; versions up to"
            f" {onnx.IR_VERSION} are known to the installed onnx {onnx.__version__}"
        )
    opset_versions(model.opset_import, "the model")
    checker = _Checker(limits)
    checker.graph(model.graph, (), 0)
    functions: dict[FunctionKey, onnx.FunctionProto] = {}
    for function in model.functions:
        key = function_key(function)
        checker.string(function.name)
        if key in functions:
            raise ModelError(f"function '{function.name}' is defined twice")
        functions[key] = function
        opset_versions(function.opset_import, f"function '{function.name}'")
        checker.function(function)
    _check_calls(functions, limits.depth)


class _Checker:
    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._num_nodes = 0
        self._num_initializers = 0

    def graph(self, graph: onnx.GraphProto, outer: Scopes, depth: int) -> None:
        if depth > self._limits.depth:
            raise ModelError(f"subgraphs are nested deeper than {self._limits.depth}")
        names: set[str] = set()
        self.string(graph.name)
        for value in graph.input:
            self._define(value.name, names, outer, "an input")
            self._value_info(value)
        inputs = frozenset(names)
        initializers = [tensor.name for tensor in graph.initializer]
        initializers += [sparse.values.name for sparse in graph.sparse_initializer]
        self._num_initializers += len(initializers)
        if self._num_initializers > self._limits.initializers:
            raise ModelError(f"more than {self._limits.initializers} initializers")
        stored: set[str] = set()
        for name in initializers:
            # until IR version 3 every initializer is an input too
            self._define(name, stored, outer, "an initializer")
        names |= stored
        self._nodes(graph.node, names, outer, depth)
        outputs: set[str] = set()
        for value in graph.output:
            self._define(value.name, outputs, (), "an output")
            if value.name not in names and not _is_in(outer, value.name):
                raise ModelError(f"output '{value.name}' is not computed by any node")
            if depth == 0 and not inputs and not stored and not graph.node:
                raise ModelError("the graph is empty")
            self._value_info(value)
        if not graph.output:
            raise ModelError("a graph has no outputs")

    def function(self, function: onnx.FunctionProto) -> None:
        names: set[str] = set()
        for text in (function.domain, *function.output, *function.attribute):
            self.string(text)
        for name in function.input:
            self._define(name, names, (), f"an input of function '{function.name}'")
        self._nodes(function.node, names, (), 0)
        for name in function.output:
            if name not in names:
                raise ModelError(
                    f"output '{name}' of function '{function.name}' is not computed"
                )

    def _nodes(
        self,
        nodes: Iterable[onnx.NodeProto],
        names: set[str],
        outer: Scopes,
        depth: int,
    ) -> None:
        for node in nodes:
            self._num_nodes += 1
            if self._num_nodes > self._limits.nodes:
                raise ModelError(f"more than {self._limits.nodes} nodes")
            for text in (node.name, node.op_type, node.domain, node.overload):
                self.string(text)
            if not node.op_type:
                raise ModelError(f"node '{node.name}' names no operator")
            for name in node.input:
                self.string(name)
                if name and name not in names and not _is_in(outer, name):
                    raise ModelError(
                        f"{describe(node)} reads '{name[:80]}', which is not an input, an "
                        "initializer or the output of an earlier node"
                    )
            for name in node.output:
                if name:
                    self._define(name, names, outer, f"an output of {describe(node)}")
            self._attributes(node, names, outer, depth)

    def _attributes(
        self, node: onnx.NodeProto, names: set[str], outer: Scopes, depth: int
    ) -> None:
        seen: set[str] = set()
        for attribute in node.attribute:
            self.string(attribute.name)
            self.string(attribute.ref_attr_name)
            if attribute.name in seen or not attribute.name:
                raise ModelError(
                    f"{describe(node)} has attribute '{attribute.name}' twice or unnamed"
                )
            seen.add(attribute.name)
            for text in (attribute.s, *attribute.strings):
                if len(text) > self._limits.string_length:
                    raise ModelError(
                        f"{describe(node)}: attribute '{attribute.name}' is longer than "
                        f"{self._limits.string_length} bytes"
                    )
            for graph in (
                *([attribute.g] if attribute.HasField("g") else ()),
                *attribute.graphs,
            ):
                self.graph(graph, (*outer, names), depth + 1)

    def _define(self, name: str, names: set[str], outer: Scopes, what: str) -> None:
        self.string(name)
        if not name:
            raise ModelError(f"{what} has no name")
        if name in names or _is_in(outer, name):
            raise ModelError(f"the name '{name[:80]}' of {what} is used twice")
        names.add(name)

    def string(self, text: str) -> None:
        # names go into messages, listings and generated files: no newline, no escape sequence;
        # protobuf returns bytes for a string that is not UTF-8
        if not isinstance(text, str) or not text.isprintable():
            raise ModelError(f"the name {text[:40]!r} contains control characters")
        if len(text) > self._limits.string_length:
            raise ModelError(
                f"a name is longer than {self._limits.string_length} characters: "
                f"'{text[:40]}...'"
            )

    def _value_info(self, value: onnx.ValueInfoProto) -> None:
        if value.type.HasField("tensor_type") and value.type.tensor_type.HasField("shape"):
            dims = value.type.tensor_type.shape.dim
            # unknown dimensions are -1 in some exporters; binding deals with those
            sizes = [max(dim.dim_value, 0) for dim in dims]
            check_dims(sizes, f"'{value.name}'", self._limits)
            for dim in dims:
                self.string(dim.dim_param)


def _is_in(scopes: Scopes, name: str) -> bool:
    return any(name in scope for scope in scopes)


def _check_calls(functions: dict[FunctionKey, onnx.FunctionProto], max_depth: int) -> None:
    """Refuse circles of calls, and chains of them that are too long, without recursion."""
    callees = {
        key: sorted({k for k in map(call_key, _all_nodes(function.node)) if k in functions})
        for key, function in functions.items()
    }
    heights: dict[FunctionKey, int] = {}  # longest chain of calls below a function, counted in
    for root, called in callees.items():
        path = [(root, iter(called))] if root not in heights else []
        on_path = {root}
        while path:
            key, remaining = path[-1]
            callee = next(remaining, None)
            if callee is None:
                path.pop()
                on_path.discard(key)
                heights[key] = 1 + max((heights[k] for k in callees[key]), default=0)
                if heights[key] > max_depth:
                    raise ModelError(f"function calls are nested deeper than {max_depth}")
            elif callee in on_path:
                raise ModelError(f"function '{callee[1]}' calls itself in a circle")
            elif callee not in heights:
                path.append((callee, iter(callees[callee])))
                on_path.add(callee)


def _all_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _all_nodes(attribute.g.node)
            for graph in attribute.graphs:
                yield from _all_nodes(graph.node)
