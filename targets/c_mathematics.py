"""Functions of C's mathematics that generated code may call, and every C library has."""

_NAMES = (
    "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "cos", "cosh",
    "erf", "erfc", "exp", "exp2", "expm1", "fabs", "floor", "fma", "fmax", "fmin", "fmod",
    "log", "log10", "log1p", "log2", "nearbyint", "pow", "rint", "round", "sin", "sinh",
    "sqrt", "tan", "tanh", "tgamma", "trunc",
)  # fmt: skip

MATHEMATICS = tuple(f"{name}{suffix}" for name in _NAMES for suffix in ("", "f"))
