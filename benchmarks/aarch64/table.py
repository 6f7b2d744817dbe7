"""The counts as Markdown."""

from typing import Any

from benchmarks.aarch64.cores import CORES

PEERS = ("ONNX Runtime", "LiteRT")
OURS = "Octavo"
TITLES = {
    "cortex-a72": "Cortex-A72 (NEON)",
    "cortex-a76": "Cortex-A76 (dot products)",
    "i8mm": "matrix products, no SVE",
}


def best(cells: dict[str, Any], program: str) -> int | None:
    """Instructions of the best variant of a program; None when it was not counted."""
    counts = [
        cell["instructions"] for key, cell in cells.items() if key.split(", ")[0] == program
    ]
    return min(counts, default=None)


def table(record: dict[str, Any]) -> str:
    """One line for each network and core, and the variants of the peers below.

    Args:
        record: Keys ``versions`` and ``networks``, as in aarch64.json.
    """
    lines = [
        "Millions of executed instructions of one INT8 inference, one thread, all under one"
        " emulator; the best",
        "of signed and unsigned activations. "
        + ", ".join(f"{name} {version}" for name, version in record["versions"].items())
        + ".",
        "",
        "| network | core | Octavo | ONNX Runtime | LiteRT | best peer / Octavo |",
        "|---|---|---|---|---|---|",
    ]
    for network, rows in record["networks"].items():
        for core in [c.name for c in CORES if c.name in rows]:
            cells = rows[core]
            ours, peers = best(cells, OURS), [best(cells, peer) for peer in PEERS]
            known = [count for count in peers if count is not None]
            is_complete = ours is not None and len(known) == len(PEERS)
            ratio = f"{min(known) / ours:.2f}" if is_complete else ""
            texts = " | ".join(_millions(count) for count in (ours, *peers))
            lines.append(f"| {network} | {TITLES[core]} | {texts} | {ratio} |")
    lines += ["", "| network | core | program | millions | cosine to this file here |"]
    lines += ["|---|---|---|---|---|"]
    for network, rows in record["networks"].items():
        for core, cells in rows.items():
            for key, cell in cells.items():
                if "cosine" in cell:
                    where = f"| {network} | {TITLES[core]} | {key}"
                    count = _millions(cell["instructions"])
                    lines.append(f"{where} | {count} | {cell['cosine']} |")
    return "\n".join(lines)


def _millions(count: int | None) -> str:
    return "" if count is None else f"{count / 1e6:.4g}"
