"""Random valid float models made of the operators that we claim, for the fuzz tests.

Sizes are small and prime-ish, values are used several times, weights are shared, outputs are
read inside, and may be inputs or constants.
"""

import onnx
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tests.compiler.random_models.builder import Builder
from tests.compiler.random_models.elementwise import (
    activation,
    batch_norm,
    binary,
    choose,
    clip,
    normalize,
)
from tests.compiler.random_models.moves import (
    concat,
    gather,
    pad,
    reshape,
    slices,
    split,
    transpose,
    unsqueeze,
)
from tests.compiler.random_models.products import conv, conv_transpose, gemm, matmul
from tests.compiler.random_models.windows import global_pool, pool, reduce, resize

OPSET, IR_VERSION = 20, 10

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
