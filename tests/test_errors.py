"""Messages of user errors stay one printable line, whatever a model's names hold."""

import inspect

import pytest

from octavo import errors


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("two\nlines", r"two\nlines"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\u2028b\x85c", r"a\u2028b\x85c"),
        ("\u202ereversed", r"\u202ereversed"),
        ("\ud800", r"\ud800"),
        ("Größe/层", "Größe/层"),
    ],
)
def test_control_characters_are_shown_as_escapes(name, shown):
    message = str(errors.ModelError(f"initializer '{name}': too large"))
    assert message == f"initializer '{shown}': too large"
    message.encode("utf-8")


def test_every_error_is_an_octavo_error_with_an_exit_code():
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass)]
    assert all(issubclass(c, errors.OctavoError) for c in classes)
    assert all(c.exit_code in {1, 2, 3, 4} for c in classes)
