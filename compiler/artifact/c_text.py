"""Python values as C tokens. Names come from untrusted models: everything is escaped."""

import re
from collections.abc import Iterable

import numpy as np

# Of C and C++, and what a generated function calls its own.
_RESERVED = frozenset(
    """
    alignas alignof and asm auto bool break case catch char class const constexpr continue
    default delete do double else enum explicit export extern false float for friend goto
    if inline int long main model mutable namespace new not nullptr operator or private
    protected public register restrict return short signed sizeof static static_assert
    struct switch template this thread_local throw true try typedef typename typeof union
    unsigned using virtual void volatile while xor int8_t int16_t int32_t int64_t uint8_t
    uint16_t uint32_t uint64_t size_t inputs outputs
    """.split()  # noqa: SIM905  a list of a hundred quoted words is no easier to read
)
_MAX_COMMENT = 200  # characters; names in fused graphs run to thousands


def is_identifier(text: str) -> bool:
    """Whether ``text`` is a C identifier that may be a part of longer ones."""
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", text) is not None


def unique_identifiers(names: Iterable[str]) -> list[str]:
    """One C identifier per name, in order: readable, none a keyword, none twice."""
    taken: set[str] = set()
    identifiers = []
    for name in names:
        stem = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:60] or "tensor"
        if stem[0].isdigit():
            stem = f"t_{stem}"
        if stem in _RESERVED:
            stem = f"{stem}_"
        identifier, number = stem, 2
        # Macros are made from the upper case, so names must differ in that as well.
        while identifier.upper() in taken:
            identifier, number = f"{stem}_{number}", number + 1
        taken.add(identifier.upper())
        identifiers.append(identifier)
    return identifiers


def string_literal(text: str) -> str:
    """A C string literal of the UTF-8 bytes of ``text``, pure ASCII."""
    escaped = []
    for byte in text.encode("utf-8", "replace").replace(b"\0", b"?"):
        char = chr(byte)
        if char in '"\\?':  # "?" could begin a trigraph
            escaped.append("\\" + char)
        elif char.isascii() and char.isprintable():
            escaped.append(char)
        else:
            escaped.append(f"\\{byte:03o}")
    return '"' + "".join(escaped) + '"'


def comment_text(text: str) -> str:
    """``text`` so that it cannot end a comment: one printable ASCII line."""
    # A backslash could join lines, and two question marks begin a trigraph.
    plain = "".join(c if c.isascii() and c.isprintable() and c != "\\" else "." for c in text)
    safe = re.sub(r"\*(?=/)|/(?=\*)|\?(?=\?)", lambda match: match.group() + " ", plain)
    return safe if len(safe) <= _MAX_COMMENT else safe[: _MAX_COMMENT - 3] + "..."


def unsigned_literal(value: int) -> str:
    """A C constant of a non-negative integer."""
    return f"{value}u" if value < 1 << 32 else f"{value}ull"


def float_literal(value: float) -> str:
    """A C float constant that reads back as exactly the same finite float32."""
    return f"{np.float32(value)!s}f"
