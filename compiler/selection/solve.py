"""The choice of least latency, as an integer program that HiGHS solves exactly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from octavo.compiler.selection.costs import DEQUANTIZE, QUANTIZE
from octavo.compiler.selection.layers import IntegerTensor


@dataclass(frozen=True)
class Option:
    """One way to compute a layer.

    Attributes:
        name: Of the candidate.
        is_integer: It reads and writes integers; else float.
        latency_us: Cost, microseconds.
    """

    name: str
    is_integer: bool
    latency_us: float


@dataclass(frozen=True)
class Conversion:
    """What the ends of an integer tensor cost where they differ.

    Attributes:
        tensor: Between layers.
        dequantize_us: Where integers are written and float is read.
        quantize_us: Where float is written and integers are read.
    """

    tensor: IntegerTensor
    dequantize_us: float
    quantize_us: float


@dataclass(frozen=True)
class Solution:
    """A choice.

    Attributes:
        options: Name of the option of each layer.
        latency_us: Sum of its costs, microseconds.
    """

    options: Mapping[str, str]
    latency_us: float


def solve(
    options: Mapping[str, Sequence[Option]], conversions: Sequence[Conversion]
) -> Solution:
    """Choose an option for each layer so that all costs together are least.

    With x[l, o] = 1 where layer l takes option o, and y[t, k] = 1 where tensor t is converted:

        min  sum c[l, o] x[l, o] + sum d[t, k] y[t, k]
        s.t. sum_o x[l, o] = 1                                 for every layer
             y[t, dequantize] >= int(writer) - int(reader)     for every reader
             y[t, quantize]   >= int(reader) - int(writer)     for every reader
             x in {0, 1}, y in [0, 1]

    where int(l) is the sum of x[l, o] over the options in integers. A tensor is converted once
    for all of its readers. With x integral and d >= 0, y is integral by itself.

    Args:
        options: Of each layer, at least one.
        conversions: Of each integer tensor.

    Returns:
        The optimum, not only near it.
    """
    index = {(layer, o.name): i for i, (layer, o) in enumerate(_flat(options))}
    costs = [option.latency_us for _, option in _flat(options)]
    rows: list[dict[int, float]] = []
    lows: list[float] = []
    highs: list[float] = []

    def constrain(row: dict[int, float], low: float, high: float = np.inf) -> None:
        rows.append(row)
        lows.append(low)
        highs.append(high)

    def integers(layer: str, sign: float) -> dict[int, float]:
        return {index[layer, o.name]: sign for o in options[layer] if o.is_integer}

    for layer, offered in options.items():
        constrain({index[layer, o.name]: 1.0 for o in offered}, 1.0, 1.0)
    for conversion in conversions:
        tensor = conversion.tensor
        for kind, cost in (
            (DEQUANTIZE, conversion.dequantize_us),
            (QUANTIZE, conversion.quantize_us),
        ):
            converted = len(costs)
            costs.append(max(0.0, cost))
            sign = 1.0 if kind == DEQUANTIZE else -1.0
            # An end that nothing decides on is float: it adds nothing.
            written = {} if tensor.writer is None else integers(tensor.writer, -sign)
            read = [integers(r, sign) for r in tensor.readers if r != tensor.writer]
            for end in (*read, *([{}] if tensor.has_float_reader else [])):
                constrain({converted: 1.0, **written, **end}, 0.0)
    num_choices = len(index)
    triples = [(r, c, v) for r, row in enumerate(rows) for c, v in row.items()]
    at, columns, values = zip(*triples, strict=True)
    matrix = coo_array((values, (at, columns)), shape=(len(rows), len(costs)))
    result = milp(
        np.array(costs),
        integrality=np.arange(len(costs)) < num_choices,
        bounds=Bounds(0.0, 1.0),
        constraints=LinearConstraint(matrix.tocsc(), lows, highs),
        options={"mip_rel_gap": 0.0},
    )
    if result.x is None:
        raise RuntimeError(f"HiGHS: {result.message}")
    chosen = {
        layer: option.name
        for (layer, option), taken in zip(_flat(options), result.x, strict=False)
        if taken > 0.5
    }
    return Solution(chosen, float(result.fun))


def _flat(options: Mapping[str, Sequence[Option]]) -> list[tuple[str, Option]]:
    return [(layer, option) for layer, offered in options.items() for option in offered]
