"""Winograd's F(4x4, 3x3) in integers: the three transforms along one axis, on vectors.

Four outputs of a correlation with three taps take six products instead of twelve, along each
axis: A^T ((G w) * (B^T x)). G has denominators; its rows are multiplied by 4, 6, 6, 24, 24 and
1 to clear them, and A^T makes up for it, so that all outputs come out 24 times too large, or
a quarter or half of that where A^T has a common factor. All sums are modulo 2**32, in which
that factor can be divided out: exactly, if the output itself is small enough.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2016), section 4.2,
interpolation points 0, 1, -1, 2, -2 and infinity; rows 2 and 3 of G change their signs here.
"""

from collections.abc import Sequence

from tvm.tirx.script import builder as T  # noqa: N812  the name used throughout TVM

from octavo.targets import vector
from octavo.targets.isa import Expr

OUTPUTS = 4  # along one axis
TAPS = 3
POINTS = OUTPUTS + TAPS - 1
# Outputs are 24 / 2**shift times too large: 3 * 2**(3 - shift).
OUTPUT_SHIFTS = (0, 1, 2, 2)
SCALE_BITS = 3
INVERSE_OF_NINE = 0x38E38E39  # 9 * INVERSE_OF_NINE == 1 modulo 2**32
# The largest output that 576 times itself modulo 2**32 still tells.
MAX_OUTPUT = (1 << (31 - 2 * SCALE_BITS)) - 1
assert 9 * INVERSE_OF_NINE % (1 << 32) == 1


def input_line(x: Sequence[Expr]) -> list[Expr]:
    """B^T x.

    Args:
        x: Six int16 vectors.

    Returns:
        Six, at most ten times as large.
    """
    near, far = vector.bind(x[0] - x[2]), vector.bind(x[5] - x[3])
    even, odd = vector.bind(x[4] - _left(x[2], 2)), vector.bind(x[3] - _left(x[1], 2))
    inner, outer = vector.bind(x[4] - x[2]), vector.bind(_left(x[3] - x[1], 1))
    return [
        _left(near, 2) + inner,
        even + odd,
        even - odd,
        inner + outer,
        inner - outer,
        far - _left(outer, 1),
    ]


def weight_line(w: Sequence[Expr]) -> list[Expr]:
    """G w, cleared of denominators.

    Args:
        w: Three int16 vectors.

    Returns:
        Six, at most seven times as large.
    """
    ends = vector.bind(w[0] + w[2])
    powers, twice = vector.bind(w[0] + _left(w[2], 2)), vector.bind(_left(w[1], 1))
    return [w[0], ends + w[1], ends - w[1], powers + twice, powers - twice, w[2]]


def output_line(m: Sequence[Expr]) -> list[Expr]:
    """A^T m, with the factors that G lacks, without those of ``OUTPUT_SHIFTS``.

    Args:
        m: Six int32 vectors.

    Returns:
        Four, modulo 2**32.
    """
    s, d = vector.bind(_add(m[1], m[2])), vector.bind(_sub(m[1], m[2]))
    p, q = vector.bind(_add(m[3], m[4])), vector.bind(_sub(m[3], m[4]))
    return [
        _add(_six_times(m[0]), _sub(p, _left(s, 2))),
        _sub(q, _left(d, 1)),
        _sub(p, s),
        _add(_six_times(m[5]), _sub(_left(q, 1), d)),
    ]


def output_value(value: Expr, row: int, column: int) -> Expr:
    """Divide out what an output is too large by.

    Args:
        value: int32 vector, from ``output_line`` along both axes.
        row: Which of the outputs along the first axis.
        column: Which along the second.
    """
    lanes = vector.num_lanes(value)
    shift = 2 * SCALE_BITS - OUTPUT_SHIFTS[row] - OUTPUT_SHIFTS[column]
    inverse = vector.splat(T.int32(INVERSE_OF_NINE), lanes)
    even = vector.wrapping("mul", value, inverse)
    return T.shift_right(even, vector.splat(T.int32(shift), lanes))


def _left(value: Expr, bits: int) -> Expr:
    lanes = vector.num_lanes(value)
    dtype = str(value.ty).split("x", maxsplit=1)[0]
    return T.shift_left(value, vector.splat(vector.cast(T.int32(bits), dtype, 1), lanes))


def _six_times(value: Expr) -> Expr:
    return _add(_left(value, 2), _left(value, 1))


def _add(a: Expr, b: Expr) -> Expr:
    return vector.wrapping("add", a, b)


def _sub(a: Expr, b: Expr) -> Expr:
    return vector.wrapping("sub", a, b)
