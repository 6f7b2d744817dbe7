"""Numbers and names as people read them."""

from collections.abc import Iterable

from octavo.compiler.calibration.signal_to_noise import MAX_DB

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
KIB = 1024
THOUSAND = 1000
MICROSECONDS = "us"  # of costs; emulators count instructions instead


def size_text(num_bytes: int) -> str:
    """Bytes in the largest binary unit that leaves at least 1: "3.40 MiB"."""
    value = float(num_bytes)
    for unit in ("B", "KiB", "MiB"):
        if value < KIB:
            return f"{num_bytes} B" if unit == "B" else f"{value:.2f} {unit}"
        value /= KIB
    return f"{value:.2f} GiB"


def count_text(count: int) -> str:
    """A count with a decimal prefix: "4.09 G"."""
    value = float(count)
    for prefix in ("", " k", " M"):
        if value < THOUSAND:
            return f"{count}" if prefix == "" else f"{value:.2f}{prefix}"
        value /= THOUSAND
    return f"{value:.2f} G"


def time_text(microseconds: float) -> str:
    """A time in us, ms or s with three digits: "1.00 ms"."""
    value = microseconds
    for unit in ("us", "ms"):
        # The limit is where three digits would be rounded to 1000.
        if value < THOUSAND - 0.5:
            return f"{_three_digits(value)} {unit}"
        value /= THOUSAND
    return f"{_three_digits(value)} s"


def added_text(microseconds: float) -> str:
    """A difference of times with its sign: "+3.20 us"."""
    return f"{'+' if microseconds >= 0 else '-'}{time_text(abs(microseconds))}"


def cost_text(cost: float, unit: str) -> str:
    """A time where the unit is "us", else a count of what the unit names."""
    return time_text(cost) if unit == MICROSECONDS else f"{count_text(round(cost))} {unit}"


def added_cost_text(cost: float, unit: str) -> str:
    """The same with its sign."""
    if unit == MICROSECONDS:
        return added_text(cost)
    return f"{'-' if cost < 0 else '+'}{cost_text(abs(cost), unit)}"


def _three_digits(value: float) -> str:
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f}"


def decibel_text(decibels: float) -> str:
    """A signal-to-noise ratio; "exact" when there is no noise."""
    return "exact" if decibels >= MAX_DB else f"{decibels:.1f} dB"


def shape_text(shape: Iterable[object]) -> str:
    """A shape: "1x3x224x224"; "scalar" when it has no dimension."""
    return "x".join(str(d) for d in shape) or "scalar"


def printable(text: str) -> str:
    """Text of a model or of the system, safe to show.

    Names are untrusted: control characters, terminal escapes and marks that turn the writing
    direction are each written as their escape.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def shorten(text: str, width: int) -> str:
    """Text without its beginning: names of steps differ at their ends."""
    return text if len(text) <= width else ELLIPSIS + text[len(text) - width + 1 :]
