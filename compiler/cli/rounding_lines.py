"""What rounding weights anew did, as lines of text."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from octavo.compiler.report.units import decibel_text, printable

if TYPE_CHECKING:
    from octavo.compiler.calibration.round_model import RoundingResult
    from octavo.compiler.recipes import Recipe


def rounding_lines(
    recipe: "Recipe", rounding: "RoundingResult", limit: int | None
) -> Iterator[str]:
    """One line about all layers, and one for each that was left as it was.

    Args:
        recipe: Names the method.
        rounding: What it did; no line when it looked at nothing.
        limit: Most layers to name; None: all.
    """
    layers = rounding.layers
    if layers:
        better = [layer for layer in layers if layer.error_after < layer.error_before]
        changed = sum(layer.num_changed for layer in layers)
        total = sum(layer.num_weights for layer in layers)
        yield (
            f"rounding        {recipe.rounding}, {recipe.rounding_mode}: {len(better)} of"
            f" {len(layers)} layers nearer to float, {changed / total:.0%} of the integers"
            " changed"
        )
    retuning = rounding.retuning
    if retuning is not None and retuning.kind != "none":
        before, after = retuning.before, retuning.after
        yield (
            f"retuned         {retuning.kind}: {before.share:.1%} of the answers as in float"
            f" became {after.share:.1%}, {decibel_text(before.sqnr_db)} became"
            f" {decibel_text(after.sqnr_db)}"
        )
    for name, reason in list(rounding.skipped.items())[:limit]:
        yield f"not rounded     {printable(name)}: {reason}"
