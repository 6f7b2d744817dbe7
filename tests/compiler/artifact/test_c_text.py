import shutil
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.compiler.artifact.c_text import (
    comment_text,
    float_literal,
    is_identifier,
    string_literal,
    unique_identifiers,
    unsigned_literal,
)

NASTY = [
    '"',
    "\\",
    "??/",
    "*/",
    "/*",
    "\n",
    "\x01f",
    "é\u4e2d",
    "%s%n",
    "a\\",
    "//",
    "\x7f0",
    "??)",
]


def test_strings_read_back_in_c_and_comments_stay_comments(tmp_path):
    gcc = shutil.which("gcc") or pytest.skip("needs gcc")
    source = tmp_path / "strings.c"
    body = "".join(
        f"  puts({string_literal(text)}); /* {comment_text(text)} */\n  putchar(0);\n"
        for text in NASTY
    )
    source.write_text("#include <stdio.h>\nint main(void) {\n" + body + "  return 0;\n}\n")
    flags = ["-std=c11", "-trigraphs", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    subprocess.run([gcc, *flags, source, "-o", tmp_path / "strings"], check=True)
    output = subprocess.run([tmp_path / "strings"], check=True, capture_output=True).stdout
    assert output.split(b"\n\0") == [*(t.encode() for t in NASTY), b""]


@given(st.text())
def test_comments_cannot_be_left(text):
    safe = comment_text(text)
    assert safe.isascii()
    assert all(sequence not in safe for sequence in ("*/", "/*", "\\", "\n", "??"))
    assert len(safe) <= 200


@given(st.lists(st.text()))
def test_identifiers_are_valid_and_distinct_in_any_case(names):
    identifiers = unique_identifiers(names)
    assert len({i.upper() for i in identifiers}) == len(names)
    assert all(i.isidentifier() and i.isascii() for i in identifiers)


def test_identifiers_avoid_keywords_and_keep_what_they_can():
    names = ["int", "model", "images:0", "0", "", "A", "a"]
    assert unique_identifiers(names) == [
        "int_",
        "model_",
        "images_0",
        "t_0",
        "tensor",
        "A",
        "a_2",
    ]


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_floats_read_back_exactly(value):
    literal = float_literal(value)
    assert literal.endswith("f")
    assert any(c in literal for c in ".e")
    assert np.float32(literal[:-1]) == np.float32(value)


def test_unsigned_constants_say_their_width():
    assert unsigned_literal(2**32 - 1) == "4294967295u"
    assert unsigned_literal(2**32) == "4294967296ull"


@pytest.mark.parametrize("name", ["", "1a", "a-b", "_a", "a b", "é", "a\n"])
def test_malformed_names_are_no_identifiers(name):
    assert not is_identifier(name)
