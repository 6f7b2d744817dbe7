"""Import of broken models: no exception but OctavoError, no hang, no unbounded memory.

OCTAVO_FUZZ_SECONDS (default 5) is the time for all three kinds of mutation together. The
examples are the same in every run; a longer run sees more of them.
"""

import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from onnx import defs, helper, numpy_helper

from octavo.compiler.importer import Limits, import_model, inspect_model
from octavo.errors import OctavoError

SECONDS = float(os.environ.get("OCTAVO_FUZZ_SECONDS", "5"))
EXAMPLES_PER_CHUNK = 50
HANG_SECONDS = 30  # of CPU time; a valid seed takes 0.01 s
MEMORY_BYTES = 2**30  # beyond what the process maps already; inputs are below 4 KiB
LIMITS = Limits(nodes=2000, initializers=500, folded_bytes=2**24)

SEEDS = [
    """<ir_version: 8, opset_import: ["" : 13]>
    g (float[1,2,5,5] x) => (float[1,3] y)
    <float[3,2,3,3] w = {WEIGHT}, float[3] b = {1, 2, 3},
        int64[2] shape = {1, -1}> {
        c = Conv<kernel_shape=[3,3], pads=[1,1,1,1], group=1>(x, w, b)
        n = BatchNormalization<epsilon=0.001>(c, b, b, b, b)
        r = Relu(n)
        p = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r)
        g = GlobalAveragePool(p)
        f = Reshape(g, shape)
        y = Softmax(f)
    }""".replace("WEIGHT", ",".join("0.5" for _ in range(54))),
    """<ir_version: 8, opset_import: ["" : 18, "local" : 1]>
    g (float[N,4] x) => (float[N,2,2] y)
    <int64 zero = {0}, int64[1] axes = {0}, bool c = {1}> {
        s = Shape(x)
        n = Gather<axis=0>(s, zero)
        u = Unsqueeze(n, axes)
        two = Constant<value = int64[2] {2, 2}>()
        t = Concat<axis=0>(u, two)
        i = If(c) <
            then_branch = a () => (float[N,4] p) { p = local.f<alpha=0.5>(x) },
            else_branch = b () => (float[N,4] q) { q = Neg(x) }
        >
        y = Reshape(i, t)
    }
    <domain: "local", opset_import: ["" : 13, "local" : 1]>
    f <alpha> (a) => (b) { k = LeakyRelu<alpha : float = @alpha>(a) b = local.h(k) }
    <domain: "local", opset_import: ["" : 11]>
    h (a) => (b) { b, m = Dropout<ratio=0.5>(a) }""",
    """<ir_version: 8, opset_import: ["" : 13, "com.microsoft" : 1]>
    g (uint8[1,2,4,4] x) => (uint8[1,2,4,4] y)
    <float s = {0.5}, uint8 z = {3}, int8[2,2,1,1] w = {1,2,3,4}, float[2] ws = {0.5, 0.25},
     int8[2] wz = {0, 0}, int32[2] b = {7, 8}> {
        c = QLinearConv(x, s, z, w, ws, wz, s, z, b)
        a = com.microsoft.QLinearAdd(c, s, z, x, s, z, s, z)
        p = com.microsoft.QLinearAveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(a, s, z, s, z)
        y = com.microsoft.QLinearSigmoid(p, s, z, s, z)
    }""",
    """<ir_version: 8, opset_import: ["" : 13]>
    g (float[2,3] x) => (float[2,2] y)
    <int8[3,2] w = {1,2,3,4,5,6}, int8 wz = {0}, float[1] ws = {0.5}> {
        q, s, z = DynamicQuantizeLinear(x)
        i = MatMulInteger(q, w, z, wz)
        f = Cast<to=1>(i)
        k = Mul(s, ws)
        y = Mul(f, k)
    }""",
    """<ir_version: 10, opset_import: ["" : 24]>
    g (float[1,2,3,4] q, float[1,2,3,4] k) => (float[1,2,3,4] y) <float[4] s = {1,1,1,1}> {
        a = Attention(q, k, k)
        y = RMSNormalization(a, s)
    }""",
]


def seeds() -> list[onnx.ModelProto]:
    models = [onnx.parser.parse_model(text) for text in SEEDS]
    weight = models[0].graph.initializer[0]
    sparse = onnx.SparseTensorProto(
        values=numpy_helper.from_array(np.float32([1, 2]), "sp"),
        indices=numpy_helper.from_array(np.array([0, 2]), "si"),
        dims=[4],
    )
    models[1].graph.sparse_initializer.append(sparse)
    external = onnx.ModelProto()
    external.CopyFrom(models[0])
    weight = external.graph.initializer[0]
    weight.ClearField("float_data")
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "data.bin"), ("offset", "0"), ("length", "216")):
        weight.external_data.add(key=key, value=value)
    return [*models, external]


MODELS = seeds()
CONTENTS = [model.SerializeToString() for model in MODELS]


@contextmanager
def bounded() -> Iterator[None]:
    """Let an import that allocates or runs without end fail instead of taking the machine."""

    def stop(_signal: int, _frame: object) -> None:
        raise TimeoutError(f"import took more than {HANG_SECONDS} s")

    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    previous = signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY_BYTES, hard))
    signal.setitimer(signal.ITIMER_PROF, HANG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def check(content: bytes, folder: Path) -> None:
    path = folder / "model.onnx"
    path.write_bytes(content)
    with bounded():
        try:
            model = import_model(
                path, shapes={"x": (3, 4)} if b"local" in content else None,
                allow_external_data=True, limits=LIMITS,
            )  # fmt: skip
            inspect_model(model)
        except OctavoError as error:
            assert "\n" not in str(error)  # noqa: PT017 (the message is what is under test)


def fuzz(strategy: st.SearchStrategy[bytes], folder: Path) -> int:
    """Check examples until the time is over; return how many."""
    (folder / "data.bin").write_bytes(bytes(216))
    end = time.monotonic() + SECONDS / 3
    chunk = count = 0
    while time.monotonic() < end:

        @seed(chunk)
        @settings(
            max_examples=EXAMPLES_PER_CHUNK,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def run_chunk(content: bytes) -> None:
            check(content, folder)

        run_chunk()
        chunk += 1
        count += EXAMPLES_PER_CHUNK
    return count


@st.composite
def mutated_bytes(draw: Callable[..., object]) -> bytes:
    """Overwrite, cut, insert or repeat parts of a valid file."""
    content = bytearray(draw(st.sampled_from(CONTENTS)))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, max(len(content) - 1, 0)))
        length = draw(st.integers(1, 8))
        match draw(st.sampled_from(["overwrite", "flip", "cut", "insert", "repeat"])):
            case "overwrite":
                content[start : start + length] = draw(
                    st.binary(min_size=length, max_size=length)
                )
            case "flip":
                content[start] ^= 1 << draw(st.integers(0, 7)) if content else 0
            case "cut":
                del content[start : start + length]
            case "insert":
                content[start:start] = draw(
                    st.sampled_from([b"\xff" * 9 + b"\x01", b"\x00", b"\x80", b"\x7f" * 4])
                )
            case "repeat":
                content[start:start] = content[start : start + 8 * length]
    return bytes(content)


def fields_of(message: Message) -> Iterator[tuple[Message, object]]:
    """Walk all set fields of a message and of the messages inside it."""
    for descriptor, value in message.ListFields():
        yield message, descriptor
        if descriptor.type == descriptor.TYPE_MESSAGE:
            for child in value if is_repeated(descriptor) else [value]:
                yield from fields_of(child)


def is_repeated(descriptor: object) -> bool:
    return descriptor.is_repeated


INTEGERS = [0, 1, -1, 2, 3, 7, 8, 21, 127, 255, 2**16, 2**31 - 1, -(2**31)]
LONG_INTEGERS = [*INTEGERS, 2**31, 2**32, 2**62, 2**63 - 1, -(2**63)]
FLOATS = [0.0, -0.0, 1.0, -1.0, 1e-45, 3e38, float("inf"), float("-inf"), float("nan")]
STRINGS = [
    "", "x", "y", "w", "s", "n", "..", "../data.bin", "local", "com.microsoft", "ai.onnx",
    "Relu", "Conv", "If", "Loop", "Constant", "Identity", "Reshape", "Shape", "a" * 5000,
    "\x00", "\n", "é", "DequantizeLinear", "QuantizeLinear", "Dropout", "axis", "to", "value",
    "notset", "SAME_UPPER", "VALID", "bidirectional",
]  # fmt: skip


def new_value(draw: Callable[..., object], descriptor: object) -> object:
    if descriptor.enum_type is not None:
        return draw(st.sampled_from([value.number for value in descriptor.enum_type.values]))
    kinds = {
        descriptor.CPPTYPE_INT32: INTEGERS,
        descriptor.CPPTYPE_INT64: LONG_INTEGERS,
        descriptor.CPPTYPE_UINT64: [abs(x) for x in LONG_INTEGERS],
        descriptor.CPPTYPE_FLOAT: FLOATS,
        descriptor.CPPTYPE_DOUBLE: FLOATS,
    }
    if descriptor.cpp_type in kinds:
        return draw(st.sampled_from(kinds[descriptor.cpp_type]))
    text = draw(st.sampled_from(STRINGS))
    if descriptor.type == descriptor.TYPE_BYTES:
        return draw(st.one_of(st.just(text.encode()), st.binary(max_size=16)))
    return text


def mutate_field(draw: Callable[..., object], message: Message, descriptor: object) -> None:
    value = getattr(message, descriptor.name)
    is_message = descriptor.type == descriptor.TYPE_MESSAGE
    if is_repeated(descriptor):
        if not len(value):
            return
        index = draw(st.integers(0, len(value) - 1))
        match draw(st.sampled_from(["delete", "repeat", "replace", "swap"])):
            case "delete":
                del value[index]
            case "repeat":
                value.append(value[index])
            case "swap":
                other = draw(st.integers(0, len(value) - 1))
                items = list(value)
                if is_message:
                    items = [type(item).FromString(item.SerializeToString()) for item in items]
                items[index], items[other] = items[other], items[index]
                del value[:]
                value.extend(items)
            case "replace" if not is_message:
                value[index] = new_value(draw, descriptor)
    elif is_message or draw(st.booleans()):
        message.ClearField(descriptor.name)
    else:
        setattr(message, descriptor.name, new_value(draw, descriptor))


@st.composite
def mutated_structure(draw: Callable[..., object]) -> bytes:
    """Change, drop, repeat or exchange fields of a valid model."""
    model = onnx.ModelProto()
    model.CopyFrom(draw(st.sampled_from(MODELS)))
    for _ in range(draw(st.integers(1, 4))):
        fields = list(fields_of(model))
        if fields:
            mutate_field(draw, *draw(st.sampled_from(fields)))
    return model.SerializeToString()


OPERATORS = sorted(
    {s.name for s in defs.get_all_schemas() if s.domain == "" and not s.deprecated}
)
KINDS = defs.OpSchema.AttrType
ARRAYS = [
    np.float32([[1, -2], [3, 4]]), np.float32(2.5), np.int64([0, 1]), np.int64(1),
    np.int64([-1]), np.int64([2**62]), np.int64([10**6, 10**6]), np.bool_([True, False]),
    np.zeros((0, 2), np.float32),
    np.uint8([[1, 200], [3, 4]]), np.int32([5]), np.float32([[[[1, 2], [3, 4]]]]),
]  # fmt: skip


def attribute_value(draw: Callable[..., object], kind: object) -> object:
    numbers = st.sampled_from(LONG_INTEGERS)
    choices = {
        KINDS.INT: numbers,
        KINDS.INTS: st.lists(numbers, min_size=1, max_size=4),
        KINDS.FLOAT: st.sampled_from(FLOATS),
        KINDS.FLOATS: st.lists(st.sampled_from(FLOATS), min_size=1, max_size=4),
        KINDS.STRING: st.sampled_from(STRINGS),
        KINDS.TENSOR: st.sampled_from([numpy_helper.from_array(a) for a in ARRAYS]),
    }
    return draw(choices[kind]) if kind in choices else None


@st.composite
def single_operators(draw: Callable[..., object]) -> bytes:
    """Give any operator constants and inputs of any shape, with extreme attributes."""
    op_type = draw(st.sampled_from(OPERATORS))
    version = draw(st.sampled_from([11, 13, 18, 21, 24]))
    try:
        schema = defs.get_schema(op_type, version, "")
    except defs.SchemaError:
        schema = defs.get_schema(op_type, "")
    attributes = {}
    for name, attribute in sorted(schema.attributes.items()):
        if attribute.required or draw(st.integers(0, 3)) == 0:
            value = attribute_value(draw, attribute.type)
            if value is not None:
                attributes[name] = value
    count = draw(
        st.integers(schema.min_input, max(schema.min_input, min(schema.max_input, 5)))
    )
    arrays = [draw(st.sampled_from(ARRAYS)) for _ in range(count)]
    names = [f"i{i}" for i in range(count)]
    inputs, initializers = [], []
    for name, array in zip(names, arrays, strict=True):
        if draw(st.booleans()):
            initializers.append(numpy_helper.from_array(array, name))
        else:
            dtype = helper.np_dtype_to_tensor_dtype(array.dtype)
            inputs.append(helper.make_tensor_value_info(name, dtype, array.shape))
    outputs = ["y", "z", "u", "v"][: max(schema.min_output, 1)]
    node = helper.make_node(op_type, names, outputs, **attributes)
    graph = helper.make_graph(
        [node], "g", inputs, [onnx.ValueInfoProto(name="y")], initializers
    )
    opsets = [helper.make_opsetid("", version)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def test_the_seeds_themselves_are_imported(tmp_path):
    (tmp_path / "data.bin").write_bytes(bytes(216))
    for content in CONTENTS:
        (tmp_path / "model.onnx").write_bytes(content)
        shapes = {"x": (3, 4)} if b"local" in content else None
        import_model(tmp_path / "model.onnx", shapes=shapes, allow_external_data=True)


@pytest.mark.parametrize(
    "strategy", [mutated_bytes, mutated_structure, single_operators], ids=lambda s: s.__name__
)
def test_broken_models_end_in_an_octavo_error(tmp_path, strategy):
    assert fuzz(strategy(), tmp_path) > 0
