"""Which ONNX nodes become which kernel: one family of operators, one file.

A matcher is called with each node in graph order and returns a region with that node, or None.
The first match wins; all integer matchers see the whole graph before any float one does.
"""

from collections.abc import Callable

import onnx_ir as ir

from octavo.compiler.lowering.context import Region
from octavo.compiler.lowering.regions import (
    attention,
    binary,
    concat,
    conv,
    conv_transpose,
    float_layer_norm,
    float_pool,
    gather,
    integers,
    layer_norm,
    matmul,
    pad,
    pool,
    product,
    quantize,
    recurrent,
    resize,
    softmax,
    table,
    views,
)
from octavo.compiler.lowering.view import QdqView

Matcher = Callable[[ir.Node, QdqView], Region | None]

INTEGER_MATCHERS: tuple[Matcher, ...] = (
    table.match,
    float_layer_norm.match_rounded,
    attention.match,  # before its own rounding is taken for a lone QuantizeLinear
    integers.match,
    quantize.match,
    conv.match_integer,
    conv_transpose.match_integer,
    product.match_integer,
    matmul.match_integer,
    binary.match_integer,
    pool.match_max_pool,
    pool.match_average_pool,
    pool.match_reduce,
    concat.match,
    pad.match,
    layer_norm.match,
    recurrent.match,
    resize.match_linear,
    resize.match_nearest,
    softmax.match,
)

# Of tensors without elements: nothing is moved. Islands fold what else is made of them.
EMPTY_MATCHERS: tuple[Matcher, ...] = (views.match, concat.match)

FLOAT_MATCHERS: tuple[Matcher, ...] = (
    gather.match,
    views.match,
    conv.match_float,
    conv_transpose.match_float,
    product.match_float,
    matmul.match_float,
    binary.match_float,
    float_layer_norm.match,
    float_pool.match_average_pool,
    float_pool.match_reduce,
)
