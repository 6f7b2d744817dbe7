"""Matrix products."""

import math

from octavo.compiler.importer.tflite.container import Operator
from octavo.compiler.importer.tflite.network import Network
from octavo.errors import ModelError


def fully_connected(network: Network, operator: Operator) -> None:
    """FULLY_CONNECTED: Gemm, or MatMul (+ Add) where the input keeps its rank."""
    x, weight = (network.required(operator, position) for position in (0, 1))
    output, options = operator.outputs[0], operator.options
    shape = network.shape(x)
    if len(network.shape(weight)) != 2 or options["weights_format"]:
        raise ModelError(f"{network.where(operator)}: its weights must be plain, of rank 2")
    rows, columns = network.shape(weight)
    value = network.real(x)
    is_flat = not options["keep_num_dims"] or len(shape) <= 2
    if (is_flat and len(shape) != 2) or shape[-1:] != (columns,):
        if columns == 0 or math.prod(shape) % columns:
            raise ModelError(
                f"{network.where(operator)}: shape {list(shape)} for {columns} columns"
            )
        value = network.reshaped(value, [math.prod(shape) // columns, columns])
        is_flat = True
    hint = network.hint(output)
    bias = network.bias(operator, 2, network.product_scale(x, weight))
    if network.tensors[weight].data is None:
        right = network.moved(network.real(weight), (rows, columns), (1, 0))
        value = _product(network, value, right, bias, hint)
    elif is_flat:
        inputs = [value, network.weight(operator, 1, (0, 1))]
        inputs += [] if bias is None else [bias]
        value = network.node("Gemm", inputs, hint, transB=1)
    else:
        value = _product(network, value, network.weight(operator, 1, (1, 0)), bias, hint)
    declared = network.shape(output)
    value = network.activated(value, options["fused_activation_function"], output)
    if is_flat and len(declared) != 2:
        # the product of the flattened input, in the shape that the file declares
        value = network.reshaped(value, declared)
    network.define(output, value)


def _product(network: Network, left: str, right: str, bias: str | None, hint: str) -> str:
    if bias is None:
        return network.node("MatMul", [left, right], hint)
    product = network.node("MatMul", [left, right], f"{hint}/product")
    return network.node("Add", [product, bias], hint)


def batch_matmul(network: Network, operator: Operator) -> None:
    """BATCH_MATMUL -> MatMul, each operand with its last axes exchanged if it says so."""
    operands = []
    for position, flag in enumerate(("adj_x", "adj_y")):
        index = network.required(operator, position)
        shape, value = network.shape(index), network.real(index)
        rank = len(shape)
        if rank < 2:
            raise ModelError(f"{network.where(operator)}: an operand has rank {rank}")
        if operator.options[flag]:
            perm = [*range(rank - 2), rank - 1, rank - 2]
            value = network.node("Transpose", [value], f"{value}/moved", perm=perm)
        operands.append(value)
    output = operator.outputs[0]
    network.define(output, network.node("MatMul", operands, network.hint(output)))
