"""Random valid float models made of the operators that we claim, for the fuzz tests.

Sizes are small and prime-ish, values are used several times, weights are shared, outputs are
read inside, and may be inputs or constants.
"""

from math import prod

import numpy as np
import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 20, 10
MAX_ELEMENTS = 4000
ACTIVATIONS = {
    "Relu": {}, "Sigmoid": {}, "Tanh": {}, "HardSwish": {}, "LeakyRelu": {"alpha": 0.2},
    "Elu": {}, "Gelu": {}, "Softplus": {}, "Abs": {}, "Neg": {}, "Erf": {}, "Identity": {},
    "HardSigmoid": {}, "Mish": {}, "Floor": {}, "Sin": {}, "Selu": {},
}  # fmt: skip


class Builder:
    """A model under construction; ``values`` maps names of float tensors to shapes."""

    def __init__(self, draw):
        self.draw = draw
        self.rng = np.random.default_rng(self.int(0, 2**16))
        self.nodes, self.initializers, self.inputs = [], {}, []
        self.values, self.shared = {}, {}

    def int(self, low, high):
        return self.draw(st.integers(low, high))

    def pick(self, options):
        return self.draw(st.sampled_from(list(options)))

    def constant(self, array, share=True):
        """Store an array; random weights of one shape are often the same tensor."""
        array = np.asarray(array)
        key = (array.shape, array.dtype.name)
        if share and array.dtype == np.float32 and key in self.shared and self.int(0, 1):
            return self.shared[key]
        name = f"c{len(self.initializers)}"
        self.initializers[name] = array
        self.shared[key] = name
        return name

    def weight(self, *shape):
        fan_in = max(1, prod(shape[1:]))
        return self.constant((self.rng.normal(size=shape) / fan_in**0.5).astype(np.float32))

    def add(self, op_type, inputs, *shapes, **attributes):
        """Append a node; its outputs join the values."""
        names = [f"{op_type.lower()}{len(self.nodes)}_{i}" for i in range(len(shapes))]
        node = helper.make_node(op_type, inputs, names, name=names[0], **attributes)
        self.nodes.append(node)
        self.values.update(zip(names, shapes, strict=True))
        return names[0]

    def value(self, *ranks, at_least=1):
        """A value of one of the ranks, the newest ones more often; None if there is none."""
        fitting = [
            n for n, s in self.values.items()
            if (not ranks or len(s) in ranks) and prod(s) >= at_least
        ]  # fmt: skip
        if not fitting:
            return None
        return self.pick(fitting[-3:] if self.int(0, 2) else fitting)


def conv(b):
    x = b.value(3, 4)
    if x is None:
        return
    shape = b.values[x]
    groups = b.pick([g for g in range(1, shape[1] + 1) if shape[1] % g == 0])
    channels = groups * b.int(1, 5)
    kernel = [b.int(1, 3) for _ in shape[2:]]
    stride = [b.int(1, 2) for _ in shape[2:]]
    dilation = [b.int(1, 2) for _ in shape[2:]]
    pads = [b.int(0, 2) for _ in range(2 * len(kernel))]
    out = [
        (n + pads[i] + pads[i + len(kernel)] - dilation[i] * (kernel[i] - 1) - 1) // stride[i]
        + 1
        for i, n in enumerate(shape[2:])
    ]
    if min(out) < 1:
        return
    inputs = [x, b.weight(channels, shape[1] // groups, *kernel)]
    if b.int(0, 1):
        inputs.append(b.weight(channels))
    b.add("Conv", inputs, (shape[0], channels, *out), group=groups, strides=stride,
          dilations=dilation, pads=pads)  # fmt: skip


def conv_transpose(b):
    x = b.value(3, 4)
    if x is None:
        return
    shape = b.values[x]
    kernel = [b.int(1, 3) for _ in shape[2:]]
    stride = [b.int(1, 3) for _ in shape[2:]]
    channels = b.int(1, 5)
    out = [(n - 1) * stride[i] + kernel[i] for i, n in enumerate(shape[2:])]
    if shape[0] * channels * prod(out) > MAX_ELEMENTS:
        return
    inputs = [x, b.weight(shape[1], channels, *kernel)]
    b.add("ConvTranspose", inputs, (shape[0], channels, *out), strides=stride)


def gemm(b):
    x = b.value(2)
    if x is None:
        return
    rows, depth = b.values[x]
    columns, transposed = b.int(1, 9), b.int(0, 1)
    inputs = [x, b.weight(columns, depth) if transposed else b.weight(depth, columns)]
    if b.int(0, 2):
        inputs.append(b.weight(*b.pick([(columns,), (1, columns), (rows, columns), (1,)])))
    attributes = {"alpha": 0.5, "beta": 2.0} if b.int(0, 3) == 0 else {}
    b.add("Gemm", inputs, (rows, columns), transB=transposed, **attributes)


def matmul(b):
    x = b.value(2, 3, 4)
    if x is None:
        return
    shape = b.values[x]
    if b.int(0, 2):
        columns = b.int(1, 9)
        b.add("MatMul", [x, b.weight(shape[-1], columns)], (*shape[:-1], columns))
    else:
        perm = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
        flipped = (*shape[:-2], shape[-1], shape[-2])
        other = b.add("Transpose", [x], flipped, perm=perm)
        b.add("MatMul", [x, other], (*shape[:-1], shape[-2]))


def binary(b):
    x = b.value()
    shape = b.values[x]
    same = [n for n, s in b.values.items() if s == shape]
    wide = [n for n, s in b.values.items() if _broadcasts(s, shape)]
    kind = b.int(0, 3)
    if kind == 0:
        other = b.weight(*[n if b.int(0, 1) else 1 for n in shape])
    elif kind == 1:
        other = b.constant(np.float32(b.pick([0.5, 3.0, -1.0, 0.0, 6.0])), share=False)
    else:
        other = b.pick(same if kind == 2 else wide)
    inputs = [x, other] if b.int(0, 1) else [other, x]
    b.add(b.pick(["Add", "Sub", "Mul", "Add", "Max", "Min"]), inputs, shape)


def _broadcasts(small, large):
    if len(small) > len(large):
        return False
    tail = large[len(large) - len(small) :]
    return all(n in (1, m) for n, m in zip(small, tail, strict=True))


def activation(b):
    x, op_type = b.value(), b.pick(ACTIVATIONS)
    b.add(op_type, [x], b.values[x], **ACTIVATIONS[op_type])


def clip(b):
    x = b.value()
    low, high = sorted(b.pick([-3.0, -0.5, 0.0, 0.7, 6.0]) for _ in range(2))
    limits = [b.constant(np.float32(v), share=False) for v in (low, high)]
    keep = b.int(1, 3)
    b.add(
        "Clip", [x, *(c if keep >> i & 1 else "" for i, c in enumerate(limits))], b.values[x]
    )


def pool(b):
    x = b.value(3, 4)
    if x is None:
        return
    shape = b.values[x]
    kernel = [b.int(1, 3) for _ in shape[2:]]
    stride = [b.int(1, 3) for _ in shape[2:]]
    pads = [b.int(0, kernel[i % len(kernel)] - 1) for i in range(2 * len(kernel))]
    out = [
        (n + pads[i] + pads[i + len(kernel)] - kernel[i]) // stride[i] + 1
        for i, n in enumerate(shape[2:])
    ]
    if min(out) < 1:
        return
    kind = b.pick(["MaxPool", "AveragePool"])
    more = {"count_include_pad": b.int(0, 1)} if kind == "AveragePool" else {}
    b.add(
        kind, [x], (*shape[:2], *out), kernel_shape=kernel, strides=stride, pads=pads, **more
    )


def global_pool(b):
    x = b.value(3, 4)
    if x is not None:
        shape = b.values[x]
        out = (*shape[:2], *(1 for _ in shape[2:]))
        b.add(b.pick(["GlobalAveragePool", "GlobalMaxPool"]), [x], out)


def reduce(b):
    x = b.value(2, 3, 4)
    if x is None:
        return
    shape = b.values[x]
    axes = sorted(b.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1)))
    keep = b.int(0, 1)
    out = [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]
    kind = b.pick(["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"])
    signed = [a - len(shape) * b.int(0, 1) for a in axes]
    b.add(kind, [x, b.constant(np.int64(signed))], tuple(out), keepdims=keep)


def concat(b):
    x = b.value(2, 3, 4)
    if x is None:
        return
    shape = b.values[x]
    axis = b.int(0, len(shape) - 1)
    rest = shape[:axis] + shape[axis + 1 :]
    fitting = [
        n for n, s in b.values.items()
        if len(s) == len(shape) and s[:axis] + s[axis + 1 :] == rest
    ]  # fmt: skip
    names = [x, *(b.pick(fitting) for _ in range(b.int(0, 2)))]
    total = sum(b.values[n][axis] for n in names)
    if b.int(0, 3) == 0:
        names.append(b.weight(*(n if a != axis else 2 for a, n in enumerate(shape))))
        total += 2
    b.add("Concat", names, (*shape[:axis], total, *shape[axis + 1 :]), axis=axis)


def reshape(b):
    x = b.value()
    size = prod(b.values[x])
    out = []
    for _ in range(b.int(1, 3)):
        factor = b.pick([n for n in range(1, size + 1) if size % n == 0][:12])
        out.append(factor)
        size //= factor
    out.append(size)
    b.add("Reshape", [x, b.constant(np.int64(out))], tuple(out))


def transpose(b):
    x = b.value(2, 3, 4)
    if x is not None:
        perm = b.draw(st.permutations(range(len(b.values[x]))))
        b.add("Transpose", [x], tuple(b.values[x][p] for p in perm), perm=perm)


def unsqueeze(b):
    x = b.value(1, 2, 3)
    if x is not None:
        shape = b.values[x]
        axis = b.int(0, len(shape))
        axes = b.constant(np.int64([axis]))
        b.add("Unsqueeze", [x, axes], (*shape[:axis], 1, *shape[axis:]))


def slices(b):
    x = b.value()
    shape = b.values[x]
    if not shape:
        return
    axis = b.int(0, len(shape) - 1)
    step = b.pick([1, 1, 2, -1, -3])
    size = shape[axis]
    start, end = b.int(-size - 1, size), b.int(-size - 2, size + 1)
    count = len(range(size)[start:end:step])
    if count:
        operands = [b.constant(np.int64([v])) for v in (start, end, axis, step)]
        b.add("Slice", [x, *operands], (*shape[:axis], count, *shape[axis + 1 :]))


def split(b):
    x = b.value(at_least=2)
    if x is None or not b.values[x]:
        return
    shape = b.values[x]
    axis = b.int(0, len(shape) - 1)
    if shape[axis] >= 2:
        first = b.int(1, shape[axis] - 1)
        parts = [first, shape[axis] - first]
        shapes = [(*shape[:axis], n, *shape[axis + 1 :]) for n in parts]
        b.add("Split", [x, b.constant(np.int64(parts))], *shapes, axis=axis)


def pad(b):
    x = b.value(2, 3, 4)
    if x is None:
        return
    shape = b.values[x]
    pads = [b.int(-1, 2) if b.int(0, 1) else 0 for _ in range(2 * len(shape))]
    out = tuple(n + pads[i] + pads[i + len(shape)] for i, n in enumerate(shape))
    mode = b.pick(["constant", "constant", "edge"])
    if min(out) < 1 or (mode != "constant" and min(pads) < 0):
        return
    inputs = [x, b.constant(np.int64(pads))]
    if b.int(0, 1) and mode == "constant":
        inputs.append(b.constant(np.float32(b.pick([0.0, 1.5, -9.0])), share=False))
    b.add("Pad", inputs, out, mode=mode)


def normalize(b):
    x = b.value(2, 3, 4)
    if x is None:
        return
    shape = b.values[x]
    axis = b.int(0, len(shape) - 1)
    if b.int(0, 1):
        b.add("Softmax", [x], shape, axis=axis - len(shape) * b.int(0, 1))
    elif prod(shape[axis:]) > 1:
        inputs = [x, b.weight(*shape[axis:])]
        if b.int(0, 1):
            inputs.append(b.weight(*shape[axis:]))
        b.add("LayerNormalization", inputs, shape, axis=axis)


def batch_norm(b):
    x = b.value(2, 3, 4)
    if x is not None:
        shape = b.values[x]
        rest = [b.weight(shape[1]) for _ in range(3)]
        variance = b.constant(b.rng.uniform(0.5, 2, shape[1]).astype(np.float32), share=False)
        b.add("BatchNormalization", [x, *rest, variance], shape)


def resize(b):
    x = b.value(4)
    if x is None:
        return
    shape = b.values[x]
    sizes = (*shape[:2], b.int(1, 9), b.int(1, 9))
    if prod(sizes) <= MAX_ELEMENTS:
        inputs = [x, "", "", b.constant(np.int64(sizes))]
        b.add("Resize", inputs, sizes, mode=b.pick(["nearest", "linear"]),
              coordinate_transformation_mode=b.pick(["half_pixel", "asymmetric"]))  # fmt: skip


def gather(b):
    x = b.value(1, 2, 3, 4)
    if x is None:
        return
    shape = b.values[x]
    axis = b.int(0, len(shape) - 1)
    count = b.int(1, 4)
    at = [b.int(-shape[axis], shape[axis] - 1) for _ in range(count)]
    indices = b.constant(np.int64(at), share=False)
    b.add("Gather", [x, indices], (*shape[:axis], count, *shape[axis + 1 :]), axis=axis)


def choose(b):
    x = b.value()
    shape = b.values[x]
    zero = b.constant(np.float32(0), share=False)
    mask = b.add("Greater", [x, zero], shape)
    del b.values[mask]
    b.add("Where", [mask, x, b.pick([n for n, s in b.values.items() if s == shape])], shape)


STEPS = (
    conv, conv, conv, conv_transpose, gemm, gemm, matmul, matmul, binary, binary, binary,
    activation, activation, clip, pool, global_pool, reduce, concat, concat, reshape,
    transpose, unsqueeze, slices, split, pad, normalize, batch_norm, resize, gather, choose,
)  # fmt: skip


@st.composite
def models(draw):
    """A valid model with one to three inputs and outputs."""
    b = Builder(draw)
    for index in range(b.int(1, 2)):
        rank = b.pick([4, 4, 3, 2])
        shape = (b.int(1, 2), *(b.int(1, 8) for _ in range(rank - 1)))
        b.values[f"x{index}"] = shape
        b.inputs.append(helper.make_tensor_value_info(f"x{index}", TensorProto.FLOAT, shape))
    for _ in range(b.int(1, 8)):
        b.pick(STEPS)(b)
    names = {list(b.values)[-1], *(b.pick(b.values) for _ in range(b.int(0, 2)))}
    if b.int(0, 9) == 0:
        names.add(b.weight(2, 3))
    names = sorted(names)
    if b.int(0, 4) or any(n.startswith(("x", "c")) and n[1:].isdigit() for n in names):
        for name in names:
            b.nodes.append(helper.make_node("Identity", [name], [f"{name}_out"]))
        names = [f"{name}_out" for name in names]
    graph = helper.make_graph(
        b.nodes,
        "g",
        b.inputs,
        [onnx.ValueInfoProto(name=name) for name in names],
        [numpy_helper.from_array(array, name) for name, array in b.initializers.items()],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
