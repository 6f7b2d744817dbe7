"""Import a model whose sizes vary: which axes, constants and nodes depend on a dimension.

Exporters write sizes as Shape, Concat and Reshape; importing folds them, and afterwards
nobody can tell a size from any other number. So a model is imported twice, with the largest
size and with one less: what differs depends on the size. Axes may, and constants along such an
axis, and operands that only say a shape; all else is refused.
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import onnx

from octavo.compiler.importer.draft import Draft
from octavo.compiler.importer.request import Varying
from octavo.compiler.importer.tensors import Array
from octavo.errors import ModelError

# Where a size is only a size: the operand by operator.
_SHAPE_OPERANDS = {"ConstantOfShape": 0, "Expand": 1, "Range": 1, "Reshape": 1, "Slice": 2}


def find_varying(
    draft: Draft, maxima: Mapping[str, int], read: Callable[[Mapping[str, int]], Draft]
) -> tuple[Varying, ...]:
    """Find what has the size of each dimension.

    Args:
        draft: Imported with the largest sizes.
        maxima: Those sizes, by the dimensions' names.
        read: Imports the same model with other sizes.

    Raises:
        ModelError: The model does not let a dimension vary.
    """
    axes = {}
    for name, maximum in maxima.items():
        try:
            smaller = read({**maxima, name: maximum - 1})
        except ModelError as error:
            raise ModelError(
                f"dimension '{name}' cannot have another size: {error}"
            ) from error
        axes[name] = varying_axes(draft, smaller, name, maximum)
    return tuple(
        Varying(
            dimension=name,
            input=draft.fresh(name),
            maximum=maximum,
            axes=axes[name],
            constants=_beginning_axes(draft, axes[name]),
        )
        for name, maximum in maxima.items()
    )


def varying_axes(draft: Draft, smaller: Draft, dimension: str, maximum: int) -> dict[str, int]:
    """The axis of every value that a dimension is the size of.

    Args:
        draft: Imported with the dimension's largest size.
        smaller: With one less, and all else the same.
        dimension: Its name, for messages.
        maximum: That size.

    Raises:
        ModelError: Something else depends on the size; the message names it.
    """
    if not _same_nodes(draft, smaller):
        raise ModelError(
            f"the operators of the model depend on the size of dimension '{dimension}', which"
            " is known only at run time"
        )
    axes: dict[str, int] = {}
    for name, value in draft.types.items():
        other = smaller.types[name].shape
        if value.shape != other:
            axes[name] = _axis(draft, name, value.shape, other, dimension, maximum)
    for name, array in draft.constants.items():
        if not _begins_alike(array, smaller.constants[name], axes.get(name)):
            _check_is_shape(draft, name, dimension)
    return axes


def _same_nodes(draft: Draft, smaller: Draft) -> bool:
    same_names = draft.types.keys() == smaller.types.keys()
    return (
        same_names
        and draft.constants.keys() == smaller.constants.keys()
        and draft.nodes == smaller.nodes
    )


def _axis(
    draft: Draft,
    name: str,
    shape: tuple[int, ...],
    other: tuple[int, ...],
    dimension: str,
    maximum: int,
) -> int:
    if len(shape) == len(other):
        differing = [i for i, size in enumerate(shape) if size != other[i]]
        sizes = [(shape[i], other[i]) for i in differing]
        if sizes == [(maximum, maximum - 1)]:
            return differing[0]
    raise ModelError(
        f"{_maker(draft, name)}: its size {list(shape)} is computed from dimension"
        f" '{dimension}', which is known only at run time; it may be one of the sizes, once"
    )


def _begins_alike(array: Array, smaller: Array, axis: int | None) -> bool:
    if axis is not None:
        array = np.take(array, range(smaller.shape[axis]), axis)
    return array.shape == smaller.shape and bool(
        np.array_equal(array, smaller, equal_nan=array.dtype.kind == "f")
    )


def _check_is_shape(draft: Draft, name: str, dimension: str) -> None:
    for node, position in _readers(draft, name):
        if _SHAPE_OPERANDS.get(node.op_type) != position:
            raise ModelError(
                f"{node.op_type} '{node.name}' computes with the size of dimension"
                f" '{dimension}', which is known only at run time"
            )


def _readers(draft: Draft, name: str) -> Iterator[tuple[onnx.NodeProto, int]]:
    for node in draft.nodes:
        for position, operand in enumerate(node.input):
            if operand == name:
                yield node, position


def _maker(draft: Draft, name: str) -> str:
    node = draft.producers().get(name)
    return f"constant '{name}'" if node is None else f"{node.op_type} '{node.name}'"


def _beginning_axes(draft: Draft, axes: Mapping[str, int]) -> dict[str, int]:
    """Of those values the ones that are constants, or computed of what has no such axis.

    Args:
        draft: With the largest size.
        axes: See ``varying_axes``.
    """
    found = {name: axis for name, axis in axes.items() if name in draft.constants}
    for node in draft.nodes:
        if axes.keys().isdisjoint(node.input):
            found |= {name: axes[name] for name in node.output if name in axes}
    return found
