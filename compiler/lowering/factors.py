"""Float constants of kernels as integers times scales, which take less room in a file.

A kernel brings a weight into its own order by its own code. Given the integers and then the
scales instead, that code says where both of them go, and a product says whether that is what
the weight became: kernels that transform or round their weights are found out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.compiler.lowering.program import Factors
from octavo.compiler.lowering.qdq_graph import quantized_constant

INT8 = np.iinfo(np.int8)
WEIGHT = "weight"

Arrays = Mapping[str, NDArray[Any]]


def weight_factors(
    value: ir.Value | None, move: Callable[[NDArray[Any]], NDArray[Any]]
) -> Factors | None:
    """The integers and scales of a weight of a float layer.

    Args:
        value: DequantizeLinear of a constant, or anything else.
        move: Brings its elements into the order of the operation.

    Returns:
        None where it is something else, or its integers are wide.
    """
    found = quantized_constant(value)
    if found is None or found.values.size == 0:
        return None
    integers = replace(found, scale=np.ones_like(found.scale)).real()
    if np.abs(integers).max() > INT8.max:
        return None
    ones, zeros = np.ones_like(found.values), np.zeros_like(found.zero_point)
    scales = replace(found, values=ones, zero_point=zeros).real()
    return Factors(move(integers.astype(np.int8)), move(scales))


def factors_of_constants(
    constants: Callable[[Arrays], Sequence[NDArray[Any]]],
    arrays: Arrays,
    wanted: Sequence[NDArray[Any]],
    factors: Factors | None,
) -> list[Factors | None]:
    """What the constants of a kernel are products of.

    Args:
        constants: Brings arrays into the kernel's order.
        arrays: The operation's constants by name.
        wanted: What it made of them.
        factors: Of the weight, of its shape; None where it has none.

    Returns:
        For each constant, its factors or None.
    """
    if factors is None:
        return [None] * len(wanted)
    integers = constants({**arrays, WEIGHT: factors.integers.astype(np.float32)})
    scales = constants({**arrays, WEIGHT: factors.scales})
    return [_checked(*parts) for parts in zip(wanted, integers, scales, strict=True)]


def _checked(
    wanted: NDArray[Any], integers: NDArray[Any], scales: NDArray[Any]
) -> Factors | None:
    if not wanted.dtype == integers.dtype == scales.dtype == np.float32:
        return None
    if not wanted.shape == integers.shape == scales.shape:
        return None
    if not (np.isfinite(scales).all() and (np.abs(integers) <= INT8.max).all()):
        return None
    narrow = integers.astype(np.int8)
    product = narrow.astype(np.float32) * scales
    is_exact = (narrow == integers).all() and product.tobytes() == wanted.tobytes()
    return Factors(narrow, scales) if is_exact else None
