"""Messages summed by a product with a constant matrix: ``MatMul(adjacency, features)``.

The matrix is on the left, so that its columns are nodes that send; on the right, as networks
over time write ``MatMul(features, adjacency)``, only one with edges in both directions is told
from a layer with few weights.
"""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from octavo.passes.message_passing.adjacency import Adjacency, matrix_adjacency
from octavo.passes.message_passing.stored_matrix import stored_numbers
from octavo.passes.wiring import float_attribute, int_attribute, is_op, static_shape

# Above it a dense product costs less than one by rows of numbers that are not 0.
MAX_DENSITY = 0.5
MIN_NODES = 4


def match_sparse_product(node: ir.Node) -> tuple[Adjacency, ir.Value] | None:
    """The adjacency and the features of a product with a constant graph, or None.

    Args:
        node: Any.
    """
    if is_op(node, "Gemm"):
        plain = float_attribute(node, "alpha", 1.0) == 1.0 and len(node.inputs) == 2
        if not plain or int_attribute(node, "transB", 0):
            return None
    elif not is_op(node, "MatMul"):
        return None
    left, right = node.inputs[0], node.inputs[1]
    if left is None or right is None:
        return None
    turned = is_op(node, "Gemm") and bool(int_attribute(node, "transA", 0))
    matrix = stored_numbers(left)
    if matrix is not None:
        fits = stored_numbers(right) is None and _is_sparse(matrix)
        return (matrix_adjacency(left, transposed=turned), right) if fits else None
    shape = static_shape(right)
    if is_op(node, "Gemm") or shape is None or len(shape) != 2 or shape[0] != shape[1]:
        return None
    matrix = stored_numbers(right)
    if matrix is not None and _is_sparse(matrix) and _goes_both_ways(matrix):
        # Rows of features times columns of the matrix: row s, column t is what t hears of s.
        return matrix_adjacency(right, transposed=True), left
    return None


def _is_sparse(matrix: NDArray[np.float32]) -> bool:
    if matrix.ndim != 2 or min(matrix.shape) < MIN_NODES:
        return False
    return 0 < int(np.count_nonzero(matrix)) <= MAX_DENSITY * matrix.size


def _goes_both_ways(matrix: NDArray[np.float32]) -> bool:
    return bool(np.array_equal(matrix != 0, matrix.T != 0))
