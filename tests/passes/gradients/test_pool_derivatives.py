"""Rules of pools, in onnxruntime: the reference evaluator is wrong about some windows."""

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.passes.gradients.central_differences import derive


@settings(max_examples=40, deadline=None)
@given(
    op=st.sampled_from(["MaxPool", "AveragePool", "AveragePool<count_include_pad = 1"]),
    size=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    kernel=st.tuples(st.integers(2, 3), st.integers(2, 3)),
    strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    pads=st.tuples(*[st.integers(0, 1)] * 4),
    ceil_mode=st.integers(0, 1),
    seed=st.integers(0, 2**16),
)
def test_pools_of_any_window(op, size, kernel, strides, pads, ceil_mode, seed):
    """Pools are linear where the same inputs stay the largest, so <dy, y> = <dx, x>."""
    rng = np.random.default_rng(seed)
    attributes = (
        f"kernel_shape = {list(kernel)}, strides = {list(strides)}, pads = {list(pads)},"
        f" ceil_mode = {ceil_mode}>(x)"
    )
    node = f"{op}{', ' if '<' in op else '<'}{attributes}"
    text = f"g (float[2,3,{size[0]},{size[1]}] x) => (float[N,C,H,W] y) {{ y = {node} }}"
    _, backward, names = derive(text)
    session = ort.InferenceSession(
        backward.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    shape = tuple(dim.dim_value for dim in backward.graph.output[0].type.tensor_type.shape.dim)
    # A window that starts behind the input counts for the checker, not for onnxruntime.
    starts = [(shape[2 + i] - 1) * strides[i] - pads[i] for i in range(2)]
    assume(all(start < extent for start, extent in zip(starts, size, strict=True)))
    x = rng.normal(size=(2, 3, *size)).astype(np.float32)
    dy = rng.normal(size=shape).astype(np.float32)
    y, dx = session.run(["y", *names], {"x": x, "dy": dy})
    sums = [float((a.astype(np.float64) * b).sum()) for a, b in ((dy, y), (dx, x))]
    assert sums[0] == pytest.approx(sums[1], abs=1e-6 * float(np.abs(dy * y).sum()))
