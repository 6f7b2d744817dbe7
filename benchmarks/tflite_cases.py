"""Every operator of TFLite that is imported, in quantized files, with random integers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.tflite.files import TfliteFile

IMAGE = (1, 9, 8, 12)
SCALE, ZERO = 0.0517, 3
STEPS_OF_WORDS = 1 / 256  # 16-bit activations have finer steps
RELU6 = 3
LOWEST = -128
ALL = ("int8", "uint8", "int16")
BYTES, SIGNED, INT8 = ("int8", "uint8"), ("int8", "int16"), ("int8",)
Operands = Callable[["Writer", int], list[int]]


class Writer:
    """A file whose tensors have one type of activations.

    Attributes:
        file: What is written.
        dtype: "int8", "uint8" or "int16".
        rng: Of constants.
    """

    def __init__(self, dtype: str, seed: int) -> None:
        self.file, self.dtype = TfliteFile(), dtype
        self.rng = np.random.default_rng(seed)
        self._middle = 128 if dtype == "uint8" else 0

    def value(self, name: str, shape: Any, scale: float, zero: int, data: Any = None) -> int:
        """Declare an activation, given as if it had 8 signed bits."""
        if self.dtype == "int16":
            scale, zero = scale * STEPS_OF_WORDS, 0
        zero += self._middle
        return self.file.tensor(name, shape, self.dtype, data=data, scale=scale, zero=zero)

    def constant(self, shape: tuple[int, ...], scale: float = 0.0123, zero: int = 0) -> int:
        """Store random integers of the type of activations."""
        stored = self.integers(shape)
        if self.dtype == "int16":
            stored = stored // 2
        return self.value("constant", None, scale, zero, stored)

    def integers(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """Any integers of the type; int16 like a few standard deviations of it."""
        limits = np.iinfo(self.dtype)
        return self.rng.integers(limits.min, limits.max + 1, shape).astype(self.dtype)

    def ints(self, values: Any) -> int:
        """Store axes, sizes and the like."""
        return self.file.tensor("ints", data=np.int32(values))

    def weights(self, shape: tuple[int, ...], axis: int) -> list[int]:
        """A weight with a scale for each channel, uint8 with one, and its bias."""
        channels = shape[axis]
        if self.dtype == "uint8":
            scale, zero = np.float32([0.0021]), 121
            stored = self.rng.integers(0, 256, shape).astype(np.uint8)
        else:
            scale = (self.rng.uniform(0.5, 1.5, channels) * 0.002).astype(np.float32)
            stored, zero = self.rng.integers(-127, 128, shape).astype(np.int8), 0
        step = np.float32(SCALE * (STEPS_OF_WORDS if self.dtype == "int16" else 1))
        wide = np.int64 if self.dtype == "int16" else np.int32
        bias = (self.rng.integers(-2000, 2000, channels) * (step < 0.01 or 1)).astype(wide)
        w = self.file.tensor("w", data=stored, scale=scale, zero=zero, axis=axis)
        return [w, self.file.tensor("b", data=bias, scale=scale * step)]


@dataclass(frozen=True)
class OperatorCase:
    """One operator between quantized tensors.

    Attributes:
        kind: In the schema.
        shape: Of the result.
        operands: Writes constants; returns all operands, given the input.
        scale, zero: Of the result as if it had 8 signed bits; None for those of the input.
        options: Table of options.
        fields: Its fields.
        note: Apart from other cases of the kind.
        source: Shape of the input.
        parts: Results, all of one shape.
        source_zero: Zero point of the input as if it had 8 signed bits; -128 for numbers that
            are not negative.
        usual: The usual kernels are compared with: LiteRT's reference has none that works.
        dtypes: Activations that LiteRT computes.
    """

    kind: str
    shape: tuple[int, ...] = IMAGE
    operands: Operands = lambda writer, x: [x]
    scale: float | None = None
    zero: int = ZERO
    options: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    source: tuple[int, ...] = IMAGE
    parts: int = 1
    source_zero: int = ZERO
    usual: bool = False
    dtypes: tuple[str, ...] = ALL

    @property
    def name(self) -> str:
        """Kind and note."""
        return f"{self.kind}, {self.note}" if self.note else self.kind

    def append(self, writer: Writer, label: str) -> tuple[int, list[int]]:
        """Add the operator, its input and its results, all named after a label."""
        x = writer.value(label, self.source, SCALE, self.source_zero)
        scale = SCALE if self.scale is None else self.scale
        results = [
            writer.value(f"{label}/{part}", self.shape, scale, self.zero)
            for part in range(self.parts)
        ]
        operands = self.operands(writer, x)
        writer.file.operator(self.kind, operands, results, self.options, **self.fields)
        return x, results


def build(
    cases: Sequence[OperatorCase], dtype: str, seed: int = 0
) -> tuple[bytes, dict[str, NDArray[Any]], dict[str, str]]:
    """Write one file with several operators, side by side.

    Args:
        cases: The operators.
        dtype: Type of activations.
        seed: Of all numbers.

    Returns:
        The file, inputs by name, and the operator of every output by name, in order.
    """
    writer = Writer(dtype, seed)
    inputs, outputs, feeds, names = [], [], {}, {}
    for index, case in enumerate(cases):
        label = f"{index:02}"
        x, results = case.append(writer, label)
        feeds[label] = writer.integers(case.source)
        if case.source_zero == LOWEST and dtype == "int16":
            feeds[label] = np.abs(feeds[label] // 2)
        inputs.append(x)
        outputs += results
        names |= {f"{label}/{part}": case.name for part in range(case.parts)}
    return writer.file.pack(inputs, outputs), feeds, names


def given(*values: Any) -> Operands:
    """The input and several constants of integers."""
    return lambda writer, x: [x, *(writer.ints(value) for value in values)]


def beside(*shape: int) -> Operands:
    """The input and a constant of its type."""
    return lambda writer, x: [x, writer.constant(shape)]


def alike(*shape: int) -> Operands:
    """The input and a constant with its scale and zero point."""
    return lambda writer, x: [x, writer.constant(shape, SCALE, ZERO)]


def divided(writer: Writer, x: int) -> list[int]:
    """The input and a constant of its type without zeros."""
    lowest = 1 if writer.dtype == "int16" else np.iinfo(writer.dtype).min + 1
    stored = np.maximum(writer.integers((12,)), lowest).astype(writer.dtype)
    return [x, writer.value("divisor", None, 0.05, LOWEST, stored)]


WINDOW = {"strideH": 1, "strideW": 1}
FACTORS = {"dilationHFactor": 1, "dilationWFactor": 1}
POOL = {"filterHeight": 3, "filterWidth": 2, "strideH": 2, "strideW": 2}
CASES = (
    *(OperatorCase("CONV_2D", (1, 9, 8, 7), lambda w, x: [x, *w.weights((7, 3, 3, 12), 0)],
                   scale, zero, "Conv2DOptions",
                   WINDOW | FACTORS | {"fusedActivationFunction": function}, note)
      for scale, zero, function, note in (
          (0.07, -5, 0, ""), (6 / 255, LOWEST, RELU6, "RELU6"))),
    OperatorCase("DEPTHWISE_CONV_2D", IMAGE, lambda w, x: [x, *w.weights((1, 3, 3, 12), 3)],
                 0.03, 9, "DepthwiseConv2DOptions", WINDOW | FACTORS | {"depthMultiplier": 1}),
    OperatorCase("TRANSPOSE_CONV", (1, 18, 16, 5),
                 lambda w, x: [w.ints([1, 18, 16, 5]), w.weights((5, 3, 3, 12), 0)[0], x],
                 0.05, -5, "TransposeConvOptions", {"strideH": 2, "strideW": 2}),
    OperatorCase("FULLY_CONNECTED", (72, 40), lambda w, x: [x, *w.weights((40, 12), 0)],
                 0.04, 1, "FullyConnectedOptions", source=(72, 12)),
    OperatorCase("FULLY_CONNECTED", (1, 72, 40), lambda w, x: [x, *w.weights((40, 12), 0)],
                 0.04, 1, "FullyConnectedOptions", {"keepNumDims": True}, "rank 3",
                 (1, 72, 12)),
    OperatorCase("BATCH_MATMUL", (2, 9, 20), beside(2, 12, 20), 0.2, 4,
                 "BatchMatMulOptions", {}, "constant", (2, 9, 12), dtypes=SIGNED),
    OperatorCase("BATCH_MATMUL", (2, 9, 9), lambda w, x: [x, x], 0.9, 4,
                 "BatchMatMulOptions", {"adjY": True}, "", (2, 9, 12), dtypes=SIGNED),
    *(OperatorCase(kind, IMAGE, beside(12), scale, 11, options, dtypes=dtypes)
      for kind, scale, options, dtypes in (
          ("ADD", 0.0371, "AddOptions", ALL), ("SUB", 0.0371, "SubOptions", ALL),
          ("MUL", 0.0371, "MulOptions", ALL),
          ("SQUARED_DIFFERENCE", 0.21, "SquaredDifferenceOptions", INT8))),
    OperatorCase("DIV", IMAGE, divided, 0.9, 11, "DivOptions"),
    OperatorCase("ADD", IMAGE, lambda w, x: [x, x], 0.0871, 11, "AddOptions", note="twice"),
    OperatorCase("ADD", IMAGE, beside(1, 1, 1, 1), 0.0371, LOWEST, "AddOptions",
                 {"fusedActivationFunction": 1}, "RELU"),
    OperatorCase("MAXIMUM", IMAGE, alike(12), options="MaximumMinimumOptions"),
    OperatorCase("MINIMUM", IMAGE, alike(12), options="MaximumMinimumOptions"),
    OperatorCase("AVERAGE_POOL_2D", (1, 5, 4, 12), options="Pool2DOptions", fields=POOL),
    OperatorCase("MAX_POOL_2D", (1, 5, 4, 12), options="Pool2DOptions", fields=POOL),
    OperatorCase("MEAN", (1, 12), given([1, 2]), 0.0191, 6, "ReducerOptions", note="image"),
    OperatorCase("MEAN", (1, 12), given([1, 2]), None, ZERO, "ReducerOptions",
                 note="image, one scale"),
    OperatorCase("MEAN", (1, 9, 8, 1), given([3]), 0.0191, 6, "ReducerOptions",
                 {"keepDims": True}, "features"),
    OperatorCase("SUM", (1, 8, 12), given([1]), 0.21, 6, "ReducerOptions", usual=True),
    OperatorCase("REDUCE_MAX", (1, 9, 12), given([2]), options="ReducerOptions"),
    OperatorCase("REDUCE_MIN", (1, 9, 12), given([2]), options="ReducerOptions"),
    OperatorCase("SOFTMAX", IMAGE, scale=1 / 256, zero=LOWEST, options="SoftmaxOptions",
                 fields={"beta": 1.0}, dtypes=BYTES),
    OperatorCase("LOG_SOFTMAX", IMAGE, scale=16 / 256, zero=127, options="LogSoftmaxOptions",
                 dtypes=BYTES),
    OperatorCase("LOGISTIC", IMAGE, scale=1 / 256, zero=LOWEST, dtypes=BYTES),
    OperatorCase("TANH", IMAGE, scale=1 / 128, zero=0),
    OperatorCase("HARD_SWISH", IMAGE, scale=0.0299, zero=-100, options="HardSwishOptions",
                 dtypes=BYTES),
    OperatorCase("LEAKY_RELU", IMAGE, scale=0.0411, zero=-80, options="LeakyReluOptions",
                 fields={"alpha": 0.13}),
    OperatorCase("PRELU", IMAGE, beside(1, 1, 12), 0.0411, -80, dtypes=BYTES),
    OperatorCase("ELU", IMAGE, scale=0.0311, zero=-90, usual=True, dtypes=INT8),
    *(OperatorCase("GELU", IMAGE, scale=0.0299, zero=-110, options="GeluOptions",
                   fields={"approximate": approximate}, note=note)
      for approximate, note in ((False, ""), (True, "approximate"))),
    OperatorCase("RELU", IMAGE, scale=0.0311, zero=LOWEST),
    OperatorCase("RELU", IMAGE, note="one scale"),
    OperatorCase("RELU6", IMAGE, scale=6 / 255, zero=LOWEST),
    OperatorCase("RELU_N1_TO_1", IMAGE, scale=2 / 255, zero=0, dtypes=BYTES),
    OperatorCase("RELU_0_TO_1", IMAGE, scale=1 / 255, zero=LOWEST, dtypes=BYTES),
    OperatorCase("ABS", IMAGE, scale=0.0311, zero=LOWEST, options="AbsOptions",
                 dtypes=SIGNED),
    *(OperatorCase(kind, IMAGE, scale=scale, zero=zero, source_zero=LOWEST, dtypes=SIGNED)
      for kind, scale, zero in (("RSQRT", 0.02, LOWEST), ("SQRT", 0.02, LOWEST),
                                ("LOG", 0.03, -20))),
    OperatorCase("EXP", IMAGE, scale=0.03, zero=-20, dtypes=SIGNED),
    OperatorCase("QUANTIZE", IMAGE, scale=0.0711, zero=-8, options="QuantizeOptions"),
    OperatorCase("CONCATENATION", (1, 9, 8, 24), alike(*IMAGE), options="ConcatenationOptions",
                 fields={"axis": 3}),
    OperatorCase("CONCATENATION", (1, 9, 8, 24), beside(*IMAGE), 0.0611, 1,
                 "ConcatenationOptions", {"axis": 3}, "several scales", dtypes=("uint8",)),
    OperatorCase("PACK", (2, *IMAGE), alike(*IMAGE), options="PackOptions",
                 fields={"axis": 0, "valuesCount": 2}),
    OperatorCase("PAD", (1, 12, 10, 12), given([[0, 0], [1, 2], [0, 2], [0, 0]])),
    OperatorCase("PADV2", (1, 12, 10, 12), lambda w, x: [
        x, w.ints([[0, 0], [1, 2], [0, 2], [0, 0]]), w.constant((), SCALE, ZERO)]),
    OperatorCase("RESHAPE", (72, 12), given([72, 12])),
    OperatorCase("SQUEEZE", (9, 8, 12)),
    OperatorCase("EXPAND_DIMS", (1, *IMAGE), given(0)),
    OperatorCase("TRANSPOSE", (1, 12, 9, 8), given([0, 3, 1, 2])),
    OperatorCase("SLICE", (1, 4, 8, 5), given([0, 2, 0, 3], [1, 4, -1, 5])),
    OperatorCase("STRIDED_SLICE", (1, 4, 8, 6),
                 given([0, 1, 0, 0], [1, 9, 8, 12], [1, 2, 1, 2]), None, ZERO,
                 "StridedSliceOptions"),
    OperatorCase("SPLIT", (1, 9, 8, 4), lambda w, x: [w.ints(3), x], options="SplitOptions",
                 fields={"numSplits": 3}, parts=3),
    OperatorCase("SPLIT_V", (1, 9, 8, 6), given([6, 6], 3), options="SplitVOptions",
                 fields={"numSplits": 2}, parts=2),
    OperatorCase("GATHER", (1, 9, 8, 3), given([2, 0, 2]), options="GatherOptions",
                 fields={"axis": 3}),
    *(OperatorCase("RESIZE_BILINEAR", (1, *size, 12), given(size),
                   options="ResizeBilinearOptions", fields=fields, note=note)
      for note, size, fields in (
          ("asymmetric", (13, 20), {}), ("corners", (17, 11), {"alignCorners": True}),
          ("half pixel", (18, 12), {"halfPixelCenters": True}),
          ("half pixel, down", (5, 3), {"halfPixelCenters": True}))),
    *(OperatorCase("RESIZE_NEAREST_NEIGHBOR", (1, *size, 12), given(size),
                   options="ResizeNearestNeighborOptions", fields=fields, note=note)
      for note, size, fields in (
          ("asymmetric", (13, 20), {}), ("corners", (17, 11), {"alignCorners": True}),
          ("half pixel", (4, 12), {"halfPixelCenters": True}))),
)  # fmt: skip
