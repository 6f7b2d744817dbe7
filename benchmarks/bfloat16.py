"""Networks in float32, with products of bfloat16, and in INT8: python -m benchmarks.bfloat16.

Compiles each network three times for this machine, and lets the artifacts' own programs take
turns, one thread on the last CPU. Errors are those of the compiled programs on new samples,
against the float32 one. Writes benchmarks/results/bfloat16.json and bfloat16.md.
"""

from typing import Any

from benchmarks.format_builds import measure_formats
from benchmarks.result_rows import rows_command

USUAL = ("resnet50", "mobilenet_v2", "vit_tiny", "efficientnet_lite0", "lstm")
BUILDS: dict[str, dict[str, Any]] = {
    "float32": {"float_only": True},
    "bf16": {"float_only": True, "float_precision": "bf16"},
    "int8": {},
}


def measure(name: str) -> dict[str, Any]:
    """Compile one network in every precision and compare.

    Args:
        name: Name of a zoo entry.

    Returns:
        By precision: what ``measure_formats`` says, bytes of weights, share of the products in
        bfloat16 or INT8.
    """
    rows, manifests = measure_formats(name, "host", BUILDS)
    return {
        build: {
            **row,
            "weights_bytes": manifests[build]["memory"]["weights_bytes"],
            "share": round(_share(manifests[build]["steps"]), 4),
        }
        for build, row in rows.items()
    }


def _share(steps: list[Any]) -> float:
    """Share of the multiply-accumulates that are not of float32 numbers."""
    rounded = sum(step["macs"] for step in steps if step["placement"] != "float32")
    return float(rounded / sum(step["macs"] for step in steps))


def table(rows: dict[str, Any]) -> str:
    """Markdown: milliseconds of one thread, what is won, and what is lost.

    Of the fastest round of each program: other work on the machine takes caches and memory
    from those with the most weights.
    """
    lines = [
        "| network | float32 ms | bf16 ms | int8 ms | float32 / bf16 | bf16 / int8"
        " | bf16 products | bf16 dB | int8 dB | weights MB, float32 / bf16 / int8 |",
        "|---" * 10 + "|",
    ]
    for name, row in rows.items():
        wide, half, byte = (row[build] for build in BUILDS)
        cells = [
            *(f"{build['best_ms']:.3g}" for build in (wide, half, byte)),
            f"{wide['best_ms'] / half['best_ms']:.2f}x",
            f"{half['best_ms'] / byte['best_ms']:.2f}x",
            f"{half['share']:.1%}",
            *(f"{build['sqnr_db']:.1f}" for build in (half, byte)),
            " / ".join(f"{b['weights_bytes'] / 1e6:.3g}" for b in (wide, half, byte)),
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    rows_command("bfloat16", USUAL, measure, table)()
