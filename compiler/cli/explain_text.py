"""What ``octavo explain`` says, in words."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from octavo.compiler.cli.width_lines import width_text
from octavo.compiler.report.units import count_text, printable, shorten, time_text

if TYPE_CHECKING:
    from octavo.compiler.explain.explanation import Explanation, LayerExplanation
    from octavo.compiler.explain.float_answer import FloatAnswer

MAX_NAME, ALIKE_COLUMNS = 32, 13
NUM_ALTERNATIVES = 6
NUM_CAUSES, NUM_NAMES = 2, 4
MIN_COST_SHARE = 0.1  # of a layer's time: less is not worth a word
BOUNDS = ("compute", "memory", "overhead")


def overview(found: "Explanation", limit: int) -> list[Any]:
    """The most expensive layers, and whether float would be faster for any.

    Args:
        found: The facts.
        limit: Layers to show; equal ones are one.
    """
    from rich.table import Table

    from octavo.compiler.explain.alike import alike

    table = Table(box=None, pad_edge=False)
    width = MAX_NAME + ALIKE_COLUMNS
    table.add_column("layer", overflow="ellipsis", no_wrap=True, max_width=width)
    for header in ("time", "share", "of roof"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("because of")
    table.add_column("faster in float?", overflow="fold")
    kinds = alike(found.layers)
    for layer, count in kinds[:limit]:
        name = printable(layer.name)
        if count > 1:
            name = f"{shorten(name, MAX_NAME)} and {count - 1} alike"
        roof = "" if not layer.roof_us else f"{layer.roof_us / layer.latency_us:.0%}"
        table.add_row(
            name, time_text(layer.latency_us), f"{layer.share:.1%}", roof,
            main_causes(layer), short_float_text(layer))
    lines: list[Any] = [table]
    if len(kinds) > limit:
        lines.append(f"{len(kinds) - limit} more take less time (-v shows them)")
    return [*lines, "", *_totals(found)]


def layer_page(found: "Explanation", layer: "LayerExplanation") -> list[Any]:
    """All that is known of one layer."""
    operators = "+".join(layer.op_types)
    lines = [
        f"{printable(layer.name)} ({printable(operators)}), {layer.variant or 'generic'}",
        f"takes           {time_text(layer.latency_us)}, {layer.share:.1%} of"
        f" {time_text(found.latency_us)}, {count_text(layer.macs)} MACs",
    ]
    if layer.roof_us:
        lines.append(
            f"could take      {time_text(layer.roof_us)}, bound by {layer.bound_by}:"
            f" {layer.roof_us / layer.latency_us:.0%} of its roof")
    lines.append(f"in float?       {float_text(layer)}")
    if layer.conversions_us:
        lines.append(
            f"conversions     {time_text(layer.conversions_us)} next to it, because the other"
            " side is float")
    lines += ["", "why"]
    for cause in layer.causes:
        cost = "" if cause.cost_us is None else time_text(cause.cost_us)
        lines.append(f"  {cost:>9}  {printable(cause.text)}")
    for width in layer.widths:
        lines.append(f"  {'':>9}  {width_text(width)}")
    return [*lines, *_alternative_lines(layer), "", *_totals(found)]


def float_text(layer: "LayerExplanation") -> str:
    """The answer to "would float be faster?"."""
    found = layer.float_answer
    if found is None:
        return _already_float_text(layer)
    times = f"{time_text(found.float_us)} against {time_text(found.int8_us)}"
    conversions = _conversions_text(found)
    if found.verdict == "yes":
        return f"yes, by {found.ratio:.1f}x: {times}{conversions}"
    if found.verdict == "same":
        return f"no difference: {times}{conversions}"
    if found.layer_us < found.int8_us:
        return (
            f"no: {time_text(found.layer_us)} alone, but {times} with conversions")
    return f"no: {found.ratio:.1f}x slower ({times}{conversions})"


def _already_float_text(layer: "LayerExplanation") -> str:
    if layer.placement == "int8":
        return "not known"
    integers = [way for way in layer.alternatives if way.placement == "int8"]
    chosen = [way for way in layer.alternatives if way.is_chosen]
    if not (integers and chosen):
        return "is float"
    return (
        f"is float: {time_text(chosen[0].latency_us)} against"
        f" {time_text(integers[0].latency_us)} in INT8")


def short_float_text(layer: "LayerExplanation") -> str:
    """The same for a table, which has the time of the layer as it is."""
    found = layer.float_answer
    if found is None:
        return float_text(layer)
    time = time_text(found.float_us)
    if found.verdict == "yes":
        return f"yes, by {found.ratio:.1f}x: {time}"
    if found.verdict == "same":
        return f"no difference: {time}"
    if found.layer_us < found.int8_us:
        return f"no: {time_text(found.layer_us)}, {time} with conversions"
    return f"no, {found.ratio:.1f}x slower: {time}"


def _conversions_text(found: "FloatAnswer") -> str:
    if found.conversions_us < 0.05 * found.float_us:
        return ""
    return f", {time_text(found.conversions_us)} of it conversions"


def main_causes(layer: "LayerExplanation") -> str:
    """The causes that weigh most beside what the layer must take, or else what bounds it."""
    beside = [c for c in layer.causes if c.kind not in (*BOUNDS, "rest")]
    kinds = [
        c.kind for c in beside
        if c.cost_us is None or c.cost_us >= MIN_COST_SHARE * layer.latency_us]
    if layer.bound_by == "overhead":
        kinds.insert(0, "a small layer")
    return ", ".join(dict.fromkeys(kinds[:NUM_CAUSES])) or layer.bound_by


def _totals(found: "Explanation") -> Iterator[str]:
    faster = [
        layer for layer in found.layers
        if layer.float_answer is not None and layer.float_answer.verdict == "yes"]
    if found.float_us:
        yield (
            f"all layers      {time_text(found.latency_us)}; all of it in float"
            f" {time_text(found.float_us)}, {found.float_us / found.latency_us:.2f}x")
    else:
        yield f"all layers      {time_text(found.latency_us)}, all of it float"
    if faster:
        gain_us = sum(
            layer.float_answer.int8_us - layer.float_answer.float_us
            for layer in faster if layer.float_answer is not None)
        names = ", ".join(printable(layer.name) for layer in faster[:4])
        more = f" and {len(faster) - 4} more" if len(faster) > 4 else ""
        yield f"faster in float {names}{more}: {time_text(gain_us)} in all"
    when = "measured now" if found.is_new else f"measured {found.measured_at[:16]}Z"
    threads = f"{found.num_threads} thread{'s' if found.num_threads > 1 else ''}"
    yield f"times           {when}, INT8 and float in turns, {threads}, {found.device}"


def _alternative_lines(layer: "LayerExplanation") -> Iterator[str]:
    if not layer.alternatives:
        return
    yield ""
    yield "measured ways to compute it, without conversions"
    for way in layer.alternatives[:NUM_ALTERNATIVES]:
        chosen = "  (chosen)" if way.is_chosen else ""
        what = printable(f"{way.placement} {way.variant} {way.what}")
        yield f"  {time_text(way.latency_us):>9}  {what}{chosen}"
