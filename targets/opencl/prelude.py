"""OpenCL C that every generated kernel may call: what TVM's generator has no words for.

Bytes are multiplied four at a time, packed in an int as they lie in memory. Each extension has
its own name for that; which one the driver has is known only when it compiles, so the choice
is the preprocessor's.

Sources: Khronos, OpenCL extension specification: cl_khr_integer_dot_product, whose
CL_DEVICE_INTEGER_DOT_PRODUCT_INPUT_4x8BIT_PACKED_KHR is always set, and
cl_arm_integer_dot_product; cl_qcom_dot_product8 takes signed bytes first and unsigned ones
second (TensorFlow Lite's OpenCL delegate, fully_connected.cc).
"""

from octavo.targets.accelerator import Accelerator
from octavo.targets.ops.attention import OCTAVE_BITS, POWER_COEFFICIENTS

# Results are equal bit for bit on every device, so nothing may be rounded once instead of
# twice. Division and square root are only approximate in OpenCL (2.5 and 3 units in the last
# place): their results are corrected by exact remainders. A quotient next to the right one
# has a remainder of one sign too large; Tuckerman's test does the same for roots.
_ARITHMETIC = """\
#pragma OPENCL FP_CONTRACT OFF

/* An index: see octavo.targets.opencl.grid.bind. */
int octavo_index(int i) { return i; }

float octavo_next(float x) { return as_float(as_int(x) + 1); }
float octavo_previous(float x) { return as_float(as_int(x) - 1); }

/* a / b, correctly rounded; both are positive and finite, and so is the quotient. */
float octavo_ratio(float a, float b) {
  float quotient = a / b;
  for (int i = 0; i < 4; ++i) {
    float rest = fabs(fma(-quotient, b, a));
    float above = octavo_next(quotient), below = octavo_previous(quotient);
    if (fabs(fma(-above, b, a)) < rest) quotient = above;
    else if (fabs(fma(-below, b, a)) < rest) quotient = below;
  }
  return quotient;
}

/* a / b, correctly rounded; b is positive and finite, so is the quotient's magnitude, or 0. */
float octavo_divide(float a, float b) {
  return a == 0.0f ? 0.0f : copysign(octavo_ratio(fabs(a), b), a);
}

/* a / b to be rounded to an integer: nothing for a NaN. */
float octavo_steps(float a, float b) { return isnan(a) ? 0.0f : octavo_divide(a, b); }

/* The square root of a positive number, correctly rounded. */
float octavo_root(float x) {
  float root = sqrt(x);
  for (int i = 0; i < 4; ++i) {
    float above = octavo_next(root), below = octavo_previous(root);
    if (fma(-root, above, x) > 0.0f) root = above;
    else if (fma(-below, root, x) <= 0.0f) root = below;
  }
  return root;
}

int octavo_pick(int condition, int a, int b) { return condition ? a : b; }
int4 octavo_pick4(int condition, int4 a, int4 b) { return condition ? a : b; }
int4 octavo_quad(int a, int b, int c, int d) { return (int4)(a, b, c, d); }
int octavo_lane(int4 v, int i) { return i == 0 ? v.s0 : i == 1 ? v.s1 : i == 2 ? v.s2 : v.s3; }
"""

_WEIGHT = """\
/* Weight of a score by its distance from the largest one, 0 to 255: see ops/attention.py. */
int octavo_weight(int distance, int limit, int significand, int shift) {{
  uint octaves = (uint)min(distance, limit) * (uint)significand >> shift;
  uint x = (octaves & {fraction}u) << {to_16};
  uint power = {c0}u - (x * ({c1}u - (x * ({c2}u - (x * {c3}u >> 16)) >> 16)) >> 16);
  return (int)(((power >> (octaves >> {bits})) + 128u) >> 8);
}}
"""

# Activations are unsigned or signed, weights always signed. Every driver with the Khronos
# extension multiplies packed bytes.
_PRODUCTS = {
    ("khr", "uint8"): (
        "cl_khr_integer_dot_product",
        "dot_4x8packed_us_int((uint)(x), (uint)(w)) + (acc)",
    ),
    ("khr", "int8"): (
        "cl_khr_integer_dot_product",
        "dot_4x8packed_ss_int((uint)(x), (uint)(w)) + (acc)",
    ),
    ("qcom", "uint8"): (
        "cl_qcom_dot_product8",
        "qcom_dot8_acc((uint)(w), (uint)(x), acc)",
    ),
    ("arm", "int8"): (
        "cl_arm_integer_dot_product_accumulate_int8",
        "arm_dot_acc(as_char4(x), as_char4(w), acc)",
    ),
}
_VECTORS = {"uint8": "uchar4", "int8": "char4"}
_PORTABLE = """\
int {name}(int x, int w, int acc) {{
  int4 a = convert_int4(as_{vector}(x)), b = convert_int4(as_char4(w));
  acc = mad24(a.s0, b.s0, acc);
  acc = mad24(a.s1, b.s1, acc);
  acc = mad24(a.s2, b.s2, acc);
  return mad24(a.s3, b.s3, acc);
}}
"""
_QUADS = """\
int4 {quads}(int x, int4 w, int4 acc) {{
  acc.s0 = {name}(x, w.s0, acc.s0);
  acc.s1 = {name}(x, w.s1, acc.s1);
  acc.s2 = {name}(x, w.s2, acc.s2);
  acc.s3 = {name}(x, w.s3, acc.s3);
  return acc;
}}
"""


def prelude(accelerator: Accelerator) -> str:
    """Text in front of the kernels.

    Args:
        accelerator: Whose extensions may be used.
    """
    c0, c1, c2, c3 = POWER_COEFFICIENTS
    weight = _WEIGHT.format(
        c0=c0, c1=c1, c2=c2, c3=c3, bits=OCTAVE_BITS, to_16=16 - OCTAVE_BITS,
        fraction=(1 << OCTAVE_BITS) - 1)  # fmt: skip
    return "".join((_ARITHMETIC, weight, *(_products(accelerator, d) for d in _VECTORS)))


def _products(accelerator: Accelerator, dtype: str) -> str:
    """Products of four activations of a type with four weights."""
    lines, keyword = [], "#if"
    for name in accelerator.dot_products:
        if (name, dtype) not in _PRODUCTS:
            continue
        macro, product = _PRODUCTS[name, dtype]
        lines.append(f"{keyword} defined({macro})\n")
        lines.append(f"#pragma OPENCL EXTENSION {macro} : enable\n")
        lines.append(f"int {dot(dtype)}(int x, int w, int acc) {{ return {product}; }}\n")
        keyword = "#elif"
    portable = _PORTABLE.format(name=dot(dtype), vector=_VECTORS[dtype])
    lines.append(portable if keyword == "#if" else f"#else\n{portable}#endif\n")
    return "".join((*lines, _QUADS.format(name=dot(dtype), quads=dots(dtype))))


def dot(dtype: str) -> str:
    """Name of the function that adds the products of a word of activations and of weights."""
    return f"octavo_dot_{dtype}"


def dots(dtype: str) -> str:
    """Name of the function that does so with the weights of four channels."""
    return f"octavo_dots_{dtype}"
