"""Check that operands fit each other where onnx's shape inference does not look.

Kernels are generated for these shapes and do not check them again, so a weight that is too
short must be refused here.
"""

import math
from collections.abc import Callable

import onnx

from octavo.compiler.importer.draft import Draft, attributes_of, input_name
from octavo.compiler.importer.structure import describe
from octavo.errors import ModelError

Shape = tuple[int, ...]
NUM_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def check_operands(draft: Draft) -> None:
    """Check every node of the draft.

    Raises:
        ModelError: The shape of a weight, or the value of a constant index, does not fit.
    """
    for node in draft.nodes:
        _check(node, draft)


def check_positions(node: onnx.NodeProto, draft: Draft) -> None:
    """Check attributes that count axes, before onnx infers shapes with them.

    Its inference reads memory at some of them without looking whether they are in range.

    Raises:
        ModelError: ``axis`` or ``batch_dims`` is not one of the first input's axes.
    """
    name = input_name(node, 0)
    if not name:
        return
    operands = _Operands(node, draft)
    rank = len(operands.x())
    axis, batch_dims = operands.integer("axis", 0), operands.integer("batch_dims", 0)
    # Flatten and OneHot count one axis more than there are.
    operands.require(-rank - 1 <= axis <= rank, f"axis {axis} of a tensor of rank {rank}")
    operands.require(
        0 <= batch_dims <= rank, f"batch_dims {batch_dims} of a tensor of rank {rank}"
    )


def check_indices(node: onnx.NodeProto, draft: Draft) -> None:
    """Check the constant indices of one node, if it has any, before it is evaluated.

    Raises:
        ModelError: An index is outside its axis, or the axis does not exist.
    """
    if _CHECKS.get(node.op_type) is _indices:
        _check(node, draft)


def _check(node: onnx.NodeProto, draft: Draft) -> None:
    operands = _Operands(node, draft)
    if node.op_type in _HAVE_AXIS:
        _axis(operands)
    check = _CHECKS.get(node.op_type)
    if check is None:
        return
    try:
        check(operands)
    # an axis out of range, or lists of different lengths
    except (LookupError, ValueError, TypeError) as error:
        raise ModelError(f"{describe(node)}: its attributes do not fit its inputs") from error


class _Operands:
    """The shapes of a node's operands, and the way to complain about them."""

    def __init__(self, node: onnx.NodeProto, draft: Draft) -> None:
        self.node = node
        self.draft = draft
        self.attributes = attributes_of(node)

    def shape(self, index: int) -> Shape | None:
        """Return the shape of an input, None where it is absent."""
        name = input_name(self.node, index)
        return self.draft.types[name].shape if name else None

    def x(self) -> Shape:
        """Return the shape of the first input."""
        return self.draft.types[self.node.input[0]].shape

    def result(self) -> Shape:
        """Return the shape of the first output that is used."""
        return self.draft.types[next(filter(None, self.node.output))].shape

    def integer(self, name: str, default: int) -> int:
        """Return an integer attribute."""
        return int(self.attributes.get(name, default))

    def require(self, condition: bool, what: str) -> None:
        """Raise ModelError with ``what`` unless the condition holds."""
        if not condition:
            raise ModelError(f"{describe(self.node)}: {what}")

    def require_shape(self, index: int, *allowed: Shape) -> None:
        """Require an input, if present, to have one of the shapes."""
        shape = self.shape(index)
        choices = " or ".join(str(list(choice)) for choice in allowed)
        self.require(
            shape is None or shape in allowed,
            f"input '{input_name(self.node, index)}' has shape {list(shape or ())}; "
            f"expected {choices}",
        )

    def require_broadcast(self, index: int, target: Shape) -> None:
        """Require an input, if present, to broadcast to ``target`` without enlarging it."""
        shape = self.shape(index)
        if shape is not None:
            padded = (1,) * (len(target) - len(shape)) + shape
            fits = len(padded) == len(target) and all(
                size in (1, limit) for size, limit in zip(padded, target, strict=True)
            )
            self.require(
                fits,
                f"input '{input_name(self.node, index)}' of shape {list(shape)} does not "
                f"broadcast to {list(target)}",
            )


def _window(o: _Operands) -> None:
    """Require windows that fit: an empty result of a non-empty input is a mistake."""
    o.require(
        0 in o.x() or 0 not in o.result(),
        f"input of shape {list(o.x())} is smaller than the window",
    )
    kernel = o.attributes.get("kernel_shape", [])
    pads = o.attributes.get("pads", [])
    if o.node.op_type in ("Conv", "ConvInteger"):
        # onnx divides towards zero: a window one too large has a result, it thinks
        _require_room(o, (o.shape(1) or ())[2:])
    if o.node.op_type.endswith("Pool") and len(pads) == 2 * len(kernel):
        dilations = o.attributes.get("dilations", [1] * len(kernel))
        extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        # a window that lies in the padding alone has no maximum and no average
        o.require(
            all(pad < extent for pad, extent in zip(pads, extents * 2, strict=True)),
            f"pads {list(pads)} are not smaller than the window {extents}",
        )


def _require_room(o: _Operands, kernel: Shape) -> None:
    """Require a window to fit into the padded input."""
    spatial = o.x()[2:]
    if o.attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        return
    pads = o.attributes.get("pads", [0] * (2 * len(spatial)))
    dilations = o.attributes.get("dilations", [1] * len(spatial))
    for axis, size in enumerate(spatial):
        padded = size + pads[axis] + pads[axis + len(spatial)]
        extent = (kernel[axis] - 1) * dilations[axis] + 1
        o.require(
            size == 0 or padded >= extent,
            f"input of shape {list(o.x())} is smaller than the window",
        )


def _axis(o: _Operands) -> None:
    axis, rank = o.integer("axis", 0), max(len(o.x()), 1)
    o.require(-rank <= axis < rank, f"axis {axis} is outside of rank {rank}")


def _conv(o: _Operands) -> None:
    weight, group = o.shape(1) or (), o.integer("group", 1)
    o.require(len(weight) == len(o.x()) >= 3, f"weight has rank {len(weight)}")
    is_transposed = o.node.op_type == "ConvTranspose"
    channels = weight[0] if is_transposed else weight[1] * group
    o.require(
        group >= 1 and channels == o.x()[1] and weight[0] % group == 0,
        f"weight {list(weight)} in {group} groups does not fit {o.x()[1]} input channels",
    )
    kernel = o.attributes.get("kernel_shape")
    o.require(
        kernel is None or tuple(kernel) == weight[2:],
        f"kernel_shape {kernel} is not that of weight {list(weight)}",
    )
    if o.node.op_type != "ConvInteger":
        o.require_shape(2, (weight[1] * group if is_transposed else weight[0],))
    _window(o)


def _matmul_integer(o: _Operands) -> None:
    for index, axis in ((2, -2), (3, -1)):
        operand = o.shape(index - 2) or (1,)
        sizes = [(), (1,)]
        if len(operand) >= 2:
            sizes.append((operand[axis],))
        o.require_shape(index, *sizes)


def _gemm(o: _Operands) -> None:
    o.require_broadcast(2, o.result())


def _instance_normalization(o: _Operands) -> None:
    for index in (1, 2):
        o.require_shape(index, o.x()[1:2])


def _layer_normalization(o: _Operands) -> None:
    axis = o.integer("axis", -1)
    for index in (1, 2):
        o.require_broadcast(index, o.x()[axis:] if axis < 0 or axis < len(o.x()) else ())


def _prelu(o: _Operands) -> None:
    o.require_broadcast(1, o.x())


def _recurrent(o: _Operands) -> None:
    x, r = o.x(), o.shape(2) or ()
    o.require(len(x) == 3 and len(r) == 3, "input and recurrence weight must have rank 3")
    hidden = o.integer("hidden_size", r[2])
    directions = 2 if o.attributes.get("direction", b"") == b"bidirectional" else 1
    rows = NUM_GATES[o.node.op_type] * hidden
    batch_first = bool(o.integer("layout", 0))
    batch = x[0] if batch_first else x[1]
    o.require_shape(1, (directions, rows, x[2]))
    o.require_shape(2, (directions, rows, hidden))
    o.require_shape(3, (directions, 2 * rows))
    o.require_shape(4, (batch,))
    for index in (5, 6):
        state = (batch, directions, hidden) if batch_first else (directions, batch, hidden)
        o.require_shape(index, state)
    o.require_shape(7, (directions, 3 * hidden))


def _quantization(o: _Operands) -> None:
    scale, x = o.shape(1) or (), o.x()
    axis, block_size = o.integer("axis", 1), o.integer("block_size", 0)
    if block_size:
        o.require(block_size > 0, f"block_size {block_size} is not positive")
        o.require_shape(1, (*x[:axis], -(-x[axis] // block_size), *x[axis + 1 :]))
    else:
        o.require_shape(1, (), (1,), x[axis : axis + 1])
    o.require_shape(2, scale)


def _clip(o: _Operands) -> None:
    for index in (1, 2):
        o.require_shape(index, (), (1,))


def _pad(o: _Operands) -> None:
    o.require_shape(2, (), (1,))


def _reshape(o: _Operands) -> None:
    o.require(
        math.prod(o.x()) == math.prod(o.result()),
        f"{list(o.x())} does not have as many elements as {list(o.result())}",
    )


def _depth_and_space(o: _Operands) -> None:
    o.require(
        math.prod(o.x()) == math.prod(o.result()),
        f"blocksize {o.integer('blocksize', 0)} does not divide {list(o.x())}",
    )


def _indices(o: _Operands) -> None:
    """Require constant indices to be in range; others cannot be known."""
    indices = o.draft.constant(o.node.input[1])
    if indices is None or not indices.size:
        return
    x = o.x()
    if o.node.op_type.endswith("ND"):
        first = o.integer("batch_dims", 0)
        limits = list(x[first : first + indices.shape[-1]])
    else:
        limits = [x[o.integer("axis", 0)]]
    columns = indices.reshape(-1, len(limits)) if limits else indices.reshape(0, 0)
    for column, limit in zip(columns.T, limits, strict=True):
        low, high = int(column.min()), int(column.max())
        o.require(
            -limit <= low and high < limit,
            f"index {low if low < -limit else high} is outside an axis of {limit}",
        )


def _local_response(o: _Operands) -> None:
    o.require(o.integer("size", 0) >= 1, "size must be at least 1")


_HAVE_AXIS = frozenset(
    """
    ArgMax ArgMin Concat Gather GatherElements Hardmax LayerNormalization LogSoftmax
    LpNormalization ScatterElements Softmax Split TopK
    """.split()  # noqa: SIM905 (a list of names is easier to read without the quotes)
)
_CHECKS: dict[str, Callable[[_Operands], None]] = {
    "AveragePool": _window,
    "Clip": _clip,
    "Conv": _conv,
    "ConvInteger": _conv,
    "ConvTranspose": _conv,
    "DepthToSpace": _depth_and_space,
    "DequantizeLinear": _quantization,
    "GRU": _recurrent,
    "Gather": _indices,
    "GatherElements": _indices,
    "GatherND": _indices,
    "Gemm": _gemm,
    "InstanceNormalization": _instance_normalization,
    "LRN": _local_response,
    "LSTM": _recurrent,
    "LayerNormalization": _layer_normalization,
    "LpPool": _window,
    "MatMulInteger": _matmul_integer,
    "MaxPool": _window,
    "PRelu": _prelu,
    "Pad": _pad,
    "QuantizeLinear": _quantization,
    "RNN": _recurrent,
    "Reshape": _reshape,
    "Resize": _window,
    "ScatterElements": _indices,
    "ScatterND": _indices,
    "SpaceToDepth": _depth_and_space,
}
