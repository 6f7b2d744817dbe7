"""LSTM and GRU with packed recurrent weights equal their references bit for bit."""

import numpy as np
import pytest
from tests.targets.test_recurrent import Case, layers, reference

from octavo.targets.instructions import ISAS
from octavo.targets.kernel import Slower
from octavo.targets.kernels.gru import GruNibbles
from octavo.targets.kernels.lstm import LstmNibbles
from octavo.targets.kernels.nibble_tile import FAR_BYTES
from octavo.targets.library import able_kernels, select
from octavo.targets.ops.lstm import Lstm


def narrow_case(op, seed):
    case = Case(op, seed, gain=2.0)
    case.recurrent = np.rint(case.recurrent / 127 * 7).astype(np.int8)
    case.recurrent_scale = case.recurrent_scale * 127 / 7
    return case


def kernel_of(op):
    return LstmNibbles() if isinstance(op, Lstm) else GruNibbles()


@pytest.mark.parametrize("hidden", [1, 4, 15, 16, 33, 70])
@pytest.mark.parametrize("kind", range(3))
def test_sizes_around_the_vector_width(run_kernel, isa, hidden, kind):
    op = layers(
        steps=3, batch=1 + hidden % 3, inputs=9, hidden=hidden, dtype=isa.activation_dtype,
        direction="bidirectional" if hidden == 33 else "forward",
    )[kind]  # fmt: skip
    case = narrow_case(op, kind)
    expected = reference(op, case.arrays)
    outputs = [np.zeros_like(expected[name]) for name in ("y", "y_h")]
    results = run_kernel.outputs(kernel_of(op), op, isa, [case.x], case.arrays, outputs)
    for name, result in zip(("y", "y_h"), results, strict=True):
        np.testing.assert_array_equal(result, expected[name])
    assert np.unique(results[0]).size > 1


@pytest.mark.parametrize("kind", range(3))
def test_they_serve_where_recurrent_weights_are_far_and_fit(kind):
    isa = ISAS["avx512_vnni"]
    (op, small), names = (
        [layers(steps=2, batch=1, inputs=4, hidden=hidden)[kind] for hidden in (128, 64)],
        ("lstm", "gru", "gru"),
    )
    assert op.gates * op.hidden**2 >= FAR_BYTES > small.gates * small.hidden**2
    case = narrow_case(op, 0)
    assert select(op, isa, case.arrays).name == f"{names[kind]}_nibbles"
    assert select(op, isa, Case(op, 0).arrays).name == f"{names[kind]}_gemm"
    assert isinstance(kernel_of(small).reject(small, isa), Slower)
    able = able_kernels(small, isa, narrow_case(small, 0).arrays)
    assert f"{names[kind]}_nibbles" in {kernel.name for kernel in able}
