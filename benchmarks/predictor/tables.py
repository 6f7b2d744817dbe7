"""The verdict as Markdown."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.predictor.evaluate import kernel_summary

Rows = Sequence[dict[str, Any]]


def markdown(results: dict[str, Any]) -> str:
    """All tables.

    Args:
        results: Keys "cpu", "programs", "calls", "fit_s", "held_out", "cross_validated",
            "compared", "shapes".
    """
    parts = [
        f"{results['calls']} distinct kernel calls in {results['programs']} programs (INT8 and"
        f" float), one thread of {results['cpu']}; the median of the quietest round of runs"
        f" counts. One fit took {results['fit_s']:.0f} s of a core. Errors are |predicted /"
        " measured - 1|; intervals are of 90%. A program's time is the sum of its steps.",
        "## Networks that were never in the fit",
        "\n".join(_network_rows(results["held_out"])),
        _kernel_text(results["held_out"]),
        "## Every network left out in turn",
        _total_text(results["cross_validated"]),
        _kernel_text(results["cross_validated"]),
        "\n".join(_by_kernel(results["cross_validated"])),
        "The zoo's networks among them:",
        "\n".join(_network_rows([r for r in results["cross_validated"] if r["is_zoo"]])),
        "## Other ways",
        "\n".join(_ways(results["compared"])),
        "\n".join(_intervals(results["compared"])),
        "## Extrapolation",
        "A fifth of the networks is left out in turn, and of the others the largest 15% of the"
        " calls of each kernel.",
        "\n".join(_shapes(results["shapes"])),
    ]
    return "\n\n".join(parts) + "\n"


def _network_rows(rows: Rows) -> Iterator[str]:
    yield ("| network | precision | measured, us | predicted | 90% interval | error"
           " | kernels: median error | covered |")
    yield "|---|---|---|---|---|---|---|---|"
    for row in rows:
        kernels = kernel_summary(row["kernels"])
        flag = " (extrapolated)" if row["extrapolated"] else ""
        inside = "" if row["covered"] else " **missed**"
        yield (
            f"| {row['network']} | {row['precision']} | {row['measured_us']:.4g}"
            f" | {row['predicted_us']:.4g}{flag} | {row['low_us']:.4g} to"
            f" {row['high_us']:.4g}{inside} | {row['error']:+.1%}"
            f" | {kernels['median_error']:.1%} | {kernels['covered']:.0%} |")


def _kernel_text(rows: Rows) -> str:
    kernels = [k for row in rows for k in row["kernels"]]
    new = [k for k in kernels if not k["seen"]]
    every, unseen = kernel_summary(kernels), kernel_summary(new)
    by_network = np.mean([kernel_summary(row["kernels"])["covered"] for row in rows])
    return (
        f"Kernels: median error {every['median_error']:.1%}, 90% intervals cover"
        f" {every['covered']:.1%} (mean over networks {by_network:.1%}). Those"
        f" {unseen['kernels']} of {every['kernels']} that no network of the fit has as well:"
        f" {unseen['median_error']:.1%}, covered {unseen['covered']:.1%}.")


def _total_text(rows: Rows) -> str:
    errors = np.abs([row["error"] for row in rows])
    whole = np.abs([row["whole_error"] for row in rows])
    narrower = np.median([row["half_width"] / row["sum_of_half_widths"] for row in rows])
    large = [abs(row["error"]) for row in rows if row["measured_us"] >= 100]
    random = [row["covered"] for row in rows if not row["is_zoo"]]
    return (
        f"Whole programs: median error {np.median(errors):.1%}, {np.mean(errors <= 0.1):.0%}"
        f" within 10% (of those of 100 us and more: {np.mean(np.array(large) <= 0.1):.0%});"
        f" against runs without a clock between the steps {np.median(whole):.1%}. Intervals"
        f" cover {np.mean([row['covered'] for row in rows]):.1%} ({sum(random)} of"
        f" {len(random)} of the random networks) and are {narrower:.2f} times"
        " as wide as the sum of the 90% intervals of their kernels (Bonferroni's would be"
        " wider than that sum).")


def _by_kernel(rows: Rows) -> Iterator[str]:
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        for kernel in row["kernels"]:
            found[kernel["kernel"]].append(kernel)
    yield "| kernel / bits | calls | median error | 90% of errors below | covered |"
    yield "|---|---|---|---|---|"
    for name, kernels in sorted(found.items()):
        facts = kernel_summary(kernels)
        yield (
            f"| {name} | {facts['kernels']} | {facts['median_error']:.1%}"
            f" | {facts['p90_error']:.0%} | {facts['covered']:.0%} |")


def _ways(compared: dict[str, Any]) -> Iterator[str]:
    yield "| prediction | median error | 90% of errors below |"
    yield "|---|---|---|"
    for name, facts in compared["errors"].items():
        yield f"| {name} | {facts['median']:.1%} | {facts['p90']:.0%} |"


def _intervals(compared: dict[str, Any]) -> Iterator[str]:
    yield "| interval | covered | median half width | mean half width |"
    yield "|---|---|---|---|"
    for name, facts in compared["intervals"].items():
        yield (
            f"| {name} | {facts['covered']:.1%} | {np.expm1(facts['median_half_width']):.0%}"
            f" | {np.expm1(facts['mean_half_width']):.0%} |")


def _shapes(shapes: dict[str, Any]) -> Iterator[str]:
    yield "| | calls | of them among the largest | median error | mean error |"
    yield "|---|---|---|---|---|"
    for name, facts in shapes.items():
        yield (
            f"| {name} | {facts['calls']} | {facts['large']:.0%}"
            f" | {facts['median_error']:.1%} | {facts['mean_error']:.1%} |")
