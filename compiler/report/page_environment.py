"""How pages are made from templates: what is escaped, which filters there are."""

from functools import cache
from typing import Any

from octavo.compiler.report import charts, roofline_chart, search_chart
from octavo.compiler.report.comparison_text import change_text
from octavo.compiler.report.search_text import counts_text
from octavo.compiler.report.units import (
    added_text,
    count_text,
    decibel_text,
    printable,
    shorten,
    size_text,
    time_text,
)

NUM_SLOWEST = 15
NUM_CHANGES = 20
HEAT_COLUMNS = 28  # of a layer's name beside its formats
ARITHMETIC_LEGEND = (("int8", "int8"), ("float", "float"))
SEARCH_LEGEND = (
    ("chosen", "chosen"),
    ("front", "the front"),
    ("missed", "the front, above a limit"),
    ("evaluated", "other points"),
    ("reference", "to compare with"),
    ("refused", "above a limit"),
)


@cache
def page_environment() -> Any:
    """Templates with their filters, made once."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # Names in models are untrusted: all values are escaped, and the policy forbids scripts.
    environment = Environment(
        autoescape=True,
        loader=PackageLoader("octavo.compiler.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "added": added_text,
        "bytes": size_text,
        "capitalize_first": _capitalize_first,
        "change": change_text,
        "count": count_text,
        "decibel": decibel_text,
        "format_counts": counts_text,
        "shorten": shorten,
        "time": time_text,
    }
    environment.globals |= {
        "arithmetic_legend": ARITHMETIC_LEGEND,
        "chart_width": charts.WIDTH,
        "chart_height": charts.HEIGHT,
        "pareto_height": search_chart.HEIGHT,
        "search_legend": SEARCH_LEGEND,
        "heat_columns": HEAT_COLUMNS,
        "roofline_width": roofline_chart.WIDTH,
        "roofline_height": roofline_chart.HEIGHT,
        "num_slowest": NUM_SLOWEST,
        "num_changes": NUM_CHANGES,
    }
    # The one place where text becomes output, so that no name can bring control characters in.
    environment.finalize = lambda value: printable(value) if type(value) is str else value
    return environment


def _capitalize_first(text: str) -> str:
    return text[:1].upper() + text[1:]
