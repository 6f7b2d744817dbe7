"""Every form of the dot product gives the same bits, and divisions are corrected."""

import numpy as np
import pytest
from tests.targets.opencl.test_conv import PAD, make_arrays, run

from octavo.compiler.artifact.opencl_source import Launch
from octavo.errors import TargetError
from octavo.targets import TARGETS
from octavo.targets.accelerator import Accelerator
from octavo.targets.opencl.prelude import prelude
from octavo.targets.ops.conv import Conv, reference
from octavo.targets.ops.requantize import Requantize

# What a driver with the extension has, written out; the preprocessor then takes that form. The
# products are doubled, so that the result tells which form was taken.
EMULATIONS = {
    "arm": """
#define cl_arm_integer_dot_product_accumulate_int8 1
int arm_dot_acc(char4 a, char4 b, int c) {
  int4 p = convert_int4(a) * convert_int4(b);
  return c + 2 * (p.s0 + p.s1 + p.s2 + p.s3);
}
""",
    "qcom": """
#define cl_qcom_dot_product8 1
int qcom_dot8_acc(uint a, uint b, int c) {
  int4 p = convert_int4(as_char4(a)) * convert_int4(as_uchar4(b));
  return c + 2 * (p.s0 + p.s1 + p.s2 + p.s3);
}
""",
    "khr": """
#define cl_khr_integer_dot_product 1
int dot_4x8packed_us_int(uint a, uint b) {
  int4 p = convert_int4(as_uchar4(a)) * convert_int4(as_char4(b));
  return 2 * (p.s0 + p.s1 + p.s2 + p.s3);
}
int dot_4x8packed_ss_int(uint a, uint b) {
  int4 p = convert_int4(as_char4(a)) * convert_int4(as_char4(b));
  return 2 * (p.s0 + p.s1 + p.s2 + p.s3);
}
""",
}


@pytest.mark.parametrize(
    ("extension", "dtype"),
    [("arm", "int8"), ("qcom", "uint8"), ("khr", "uint8"), ("khr", "int8")],
)
def test_extensions_give_the_same_bits(run_gpu, extension, dtype):
    op = Conv(1, 5, 6, 7, 9, 3, 3, dtype=dtype, requantize=Requantize(dtype=dtype), **PAD)
    arrays = make_arrays(op, np.random.default_rng(1), zero_point=0)
    arrays["weight"] //= 2
    accelerator = Accelerator(name="emulated", dot_products=(extension,))
    result = run(run_gpu, op, arrays, accelerator=accelerator,
                 before=EMULATIONS[extension])
    doubled = arrays | {"weight": 2 * arrays["weight"]}
    np.testing.assert_array_equal(result, reference(op, doubled))


@pytest.mark.parametrize(
    ("target", "call"), [("adreno", "qcom_dot8_acc("), ("mali", "arm_dot_acc(")])
def test_phones_multiply_four_bytes_at_a_time(target, call):
    record = TARGETS[target]
    assert record.accelerator.needs_gpu
    assert call in prelude(record.accelerator)
    assert record.triple.startswith("aarch64")


def test_the_portable_form_is_always_there():
    text = prelude(Accelerator(name="plain"))
    assert "mad24" in text
    assert "#if" not in text


def test_unknown_extensions_are_refused():
    with pytest.raises(TargetError, match="allowed: khr, qcom, arm"):
        Accelerator(name="odd", dot_products=("nv",))


@pytest.mark.parametrize("error", [-3, -1, 0, 2, 3])
def test_approximate_divisions_and_roots_are_corrected(device, error):
    """OpenCL allows 2.5 units in the last place for a quotient, and 3 for a root."""
    text = prelude(Accelerator(name="plain"))
    for exact in ("quotient = a / b;", "root = sqrt(x);"):
        assert text.count(exact) == 1
        name, value = exact.rstrip(";").split(" = ")
        text = text.replace(exact, f"{name} = as_float(as_int({value}) + ({error}));")
    text += """
__kernel void arithmetic(__global float *a, __global float *b, __global float *q,
                         __global float *r) {
  int i = get_global_id(0);
  q[i] = octavo_divide(a[i], b[i]);
  r[i] = octavo_root(b[i]);
}
"""
    rng, count = np.random.default_rng(2), 1 << 14
    a = (rng.normal(size=count) * np.exp2(rng.integers(-20, 20, count))).astype(np.float32)
    b = np.exp2(rng.uniform(-20, 20, count)).astype(np.float32)
    a[:4], b[4:8] = [0.0, -0.0, 1.0, -3.0], [1.0, 4.0, 0.25, np.nextafter(np.float32(2), 0)]
    quotient, root = np.zeros((2, count), np.float32)
    program = device.build(text, "")
    launch = Launch("arithmetic", (0, 1, 2, 3), (count, 1, 1), (64, 1, 1))
    device.launch(program, launch, [a, b, quotient, root], [])
    np.testing.assert_array_equal(quotient, a / b)
    np.testing.assert_array_equal(root, np.sqrt(b))
