import pytest

from octavo.compiler.report.units import (
    count_text,
    decibel_text,
    printable,
    shape_text,
    size_text,
    time_text,
)


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (3 << 20, "3.00 MiB"),
        (5 << 30, "5.00 GiB"),
    ],
)
def test_sizes_have_binary_units(num_bytes, text):
    assert size_text(num_bytes) == text


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(0.5, "0.50 us"), (9.996, "10.0 us"), (999.4, "999 us"), (999.6, "1.00 ms"),
     (27_340, "27.3 ms"), (2e6, "2.00 s")],
)  # fmt: skip
def test_times_have_three_digits(microseconds, text):
    assert time_text(microseconds) == text


def test_counts_have_decimal_prefixes():
    assert [count_text(n) for n in (999, 1000, 4_090_000_000)] == ["999", "1.00 k", "4.09 G"]


def test_no_noise_is_exact():
    assert (decibel_text(float("inf")), decibel_text(-3.21)) == ("exact", "-3.2 dB")


def test_shapes():
    assert (shape_text((1, 3, 8, 8)), shape_text(())) == ("1x3x8x8", "scalar")


def test_escapes_and_direction_marks_are_spelled_out():
    assert printable("a\x1b[31m\u202eb\né") == "a\\x1b[31m\\u202eb\\né"
