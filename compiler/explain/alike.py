"""Equal layers together: networks repeat what they are made of."""

from collections.abc import Iterable
from dataclasses import replace

from octavo.compiler.explain.explanation import LayerExplanation
from octavo.compiler.explain.float_answer import sum_of


def alike(layers: Iterable[LayerExplanation]) -> list[tuple[LayerExplanation, int]]:
    """Put layers together that call the same function and have the same answer about float.

    Returns:
        The first of each kind in run order, with the times, shares and multiply-accumulates of
        all of them, and how many they are; those that take the most time together come first.
    """
    kinds: dict[object, list[LayerExplanation]] = {}
    for layer in layers:
        verdict = None if layer.float_answer is None else layer.float_answer.verdict
        kinds.setdefault((layer.function, verdict), []).append(layer)
    found = [(_together(group), len(group)) for group in kinds.values()]
    return sorted(found, key=lambda pair: -pair[0].latency_us)


def _together(group: list[LayerExplanation]) -> LayerExplanation:
    first, count = min(group, key=lambda layer: layer.step), len(group)
    answers = [layer.float_answer for layer in group if layer.float_answer is not None]
    roofs = [layer.roof_us for layer in group if layer.roof_us is not None]
    return replace(
        first,
        latency_us=sum(layer.latency_us for layer in group),
        share=sum(layer.share for layer in group),
        macs=sum(layer.macs for layer in group),
        roof_us=sum(roofs) if roofs else None,
        conversions_us=sum(layer.conversions_us for layer in group),
        causes=tuple(
            replace(c, cost_us=None if c.cost_us is None else c.cost_us * count)
            for c in first.causes),
        float_answer=sum_of(answers) if answers else None,
    )
