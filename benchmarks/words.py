"""Activations of 16 bits against float32 and 8 bits: python -m benchmarks.words.

Compiles each network in three formats for a level of x86-64 that this machine runs, and lets
the artifacts' own programs take turns, one thread on the last CPU. Errors are those of the
compiled programs on new samples, against the float32 one. Writes benchmarks/results/words.json
and words.md.
"""

from collections.abc import Mapping
from typing import Any

from benchmarks.format_builds import measure_formats
from benchmarks.result_rows import rows_command

TARGETS = ("x86-64-avx512vnni", "x86-64-avx2")
NETWORKS = ("mobilenet_v2", "resnet50", "ds_cnn")
USUAL = tuple(f"{network}@{target}" for target in TARGETS for network in NETWORKS)
BUILDS: Mapping[str, Mapping[str, Any]] = {
    "float32": {"float_only": True},
    "w8a16": {"activation_bits": 16},
    "w8a8": {},
}
KERNELS = ("word_gemm_parts", "word_gemm", "word_depthwise")


def measure(row: str) -> dict[str, Any]:
    """Compile one network in every format and compare.

    Args:
        row: Zoo entry and a level that this machine runs: "resnet50@x86-64-avx2".

    Returns:
        By format: what ``measure_formats`` says, and by kernel its share of the products.
    """
    rows, manifests = measure_formats(*row.split("@"), BUILDS)
    return {
        build: {**found, "shares": _shares(manifests[build]["steps"])}
        for build, found in rows.items()
    }


def _shares(steps: list[Any]) -> dict[str, float]:
    """Share of the multiply-accumulates that each kernel of 16 bits computes."""
    total = sum(step["macs"] for step in steps)
    found = dict.fromkeys(KERNELS, 0)
    for step in steps:
        kernel = step["variant"].split(".")[0]
        if kernel in found:
            found[kernel] += step["macs"]
    return {kernel: round(macs / total, 4) for kernel, macs in found.items()}


def table(rows: dict[str, Any]) -> str:
    """Markdown: milliseconds of one thread, what is won and what is lost."""
    lines = [
        "Weights of 8 bits with activations of 16, against float32 and 8 bits: one thread,",
        "fastest round of each program, milliseconds; medians in brackets. Shares of the",
        "products by kernel. `python -m benchmarks.words` writes it.",
        "",
        "| network | target | float32 | w8a16 | w8a8 | float32 / w8a16 | w8a16 dB | w8a8 dB"
        " | word_gemm | word_gemm_parts | word_depthwise |",
        "|---" * 11 + "|",
    ]
    for name, row in rows.items():
        wide, words, small = (row[build] for build in BUILDS)
        cells = [
            *name.split("@"),
            *(f"{b['best_ms']:.3g} ({b['median_ms']:.3g})" for b in (wide, words, small)),
            f"{wide['best_ms'] / words['best_ms']:.2f}x",
            *(f"{b['sqnr_db']:.1f}" for b in (words, small)),
            *(
                f"{words['shares'][kernel]:.0%}"
                for kernel in ("word_gemm", "word_gemm_parts", "word_depthwise")
            ),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    rows_command("words", USUAL, measure, table)()
