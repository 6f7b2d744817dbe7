"""QOperator models: quantized operator -> DequantizeLinear, operator, QuantizeLinear."""

from octavo.compiler.importer.qoperator.convolution import expand_qlinear_conv
from octavo.compiler.importer.qoperator.elementwise import (
    expand_qlinear_add,
    expand_qlinear_concat,
    expand_qlinear_leaky_relu,
    expand_qlinear_mul,
    expand_qlinear_sigmoid,
    expand_qlinear_softmax,
    expand_qlinear_where,
)
from octavo.compiler.importer.qoperator.linear_algebra import (
    expand_dynamic_quantize_matmul,
    expand_matmul_integer_to_float,
    expand_qgemm,
    expand_qlinear_matmul,
)
from octavo.compiler.importer.qoperator.operands import (
    Expansion,
    expand_dequantize_linear,
    expand_quantize_linear,
)
from octavo.compiler.importer.qoperator.pooling import (
    expand_qlinear_average_pool,
    expand_qlinear_global_average_pool,
    expand_qlinear_reduce_mean,
)

__all__ = ["CONTRIB_QOPERATORS", "STANDARD_QOPERATORS", "Expansion"]

STANDARD_QOPERATORS: dict[str, Expansion] = {
    "QLinearConv": expand_qlinear_conv,
    "QLinearMatMul": expand_qlinear_matmul,
}
CONTRIB_QOPERATORS: dict[str, Expansion] = {
    "DequantizeLinear": expand_dequantize_linear,
    "DynamicQuantizeMatMul": expand_dynamic_quantize_matmul,
    "MatMulIntegerToFloat": expand_matmul_integer_to_float,
    "QGemm": expand_qgemm,
    "QLinearAdd": expand_qlinear_add,
    "QLinearAveragePool": expand_qlinear_average_pool,
    "QLinearConcat": expand_qlinear_concat,
    "QLinearConv": expand_qlinear_conv,
    "QLinearGlobalAveragePool": expand_qlinear_global_average_pool,
    "QLinearLeakyRelu": expand_qlinear_leaky_relu,
    "QLinearMul": expand_qlinear_mul,
    "QLinearReduceMean": expand_qlinear_reduce_mean,
    "QLinearSigmoid": expand_qlinear_sigmoid,
    "QLinearSoftmax": expand_qlinear_softmax,
    "QLinearWhere": expand_qlinear_where,
    "QuantizeLinear": expand_quantize_linear,
}
