"""Tables of a comparison: each peer's best, the rival of a row, ratios and their mean."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

OURS, OUR_PRECISION = "Octavo", "int8"
PEERS = ("ONNX Runtime", "OpenVINO", "LiteRT")

Entries = list[dict[str, Any]]  # as `compare` returns them for one number of threads
Rows = Mapping[str, Mapping[str, Entries]]  # workload, then number of threads


@dataclass(frozen=True)
class Verdict:
    """One network at one number of threads.

    Attributes:
        name: Of the workload.
        ours_ms: Median of our INT8 artifact.
        best: By peer, its fastest entry in any precision; None where it has none.
        rival: The fastest of these.
    """

    name: str
    ours_ms: float
    best: Mapping[str, dict[str, Any] | None]
    rival: dict[str, Any]

    @property
    def speedup(self) -> float:
        """How many times faster than the rival we are."""
        return float(self.rival["median_ms"]) / self.ours_ms


def judge(name: str, entries: Entries) -> Verdict:
    """Find the rival: the fastest peer in any precision.

    Raises:
        ValueError: We were not measured, or nobody else was.
    """
    measured = [entry for entry in entries if entry["median_ms"] is not None]
    ours = [e for e in measured if (e["peer"], e["precision"]) == (OURS, OUR_PRECISION)]
    others = [entry for entry in measured if entry["peer"] != OURS]
    if not ours or not others:
        raise ValueError(f"{name}: {'nobody to compare with' if ours else 'we did not run'}")
    best = {peer: _fastest(e for e in others if e["peer"] == peer) for peer in PEERS}
    rival = _fastest(others)
    assert rival is not None
    return Verdict(name, ours[0]["median_ms"], best, rival)


def _fastest(entries: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    return min(entries, key=lambda entry: float(entry["median_ms"]), default=None)


def verdicts(rows: Rows, threads: int) -> list[Verdict]:
    """Judge every network that was measured with so many threads."""
    return [
        judge(name, row[str(threads)]) for name, row in rows.items() if row.get(str(threads))
    ]


def geometric_mean(values: Iterable[float]) -> float:
    """Return exp of the mean logarithm of positive numbers."""
    logarithms = [math.log(value) for value in values]
    return math.exp(sum(logarithms) / len(logarithms))


def table(rows: Rows, threads: int) -> str:
    """Markdown: our INT8, each peer's best with its precision, and the ratio to the rival."""
    lines = [
        f"| {threads} thread{'s' * (threads > 1)}, ms | Octavo INT8 | "
        + " | ".join(PEERS)
        + " | against the fastest |",
        "|---|---|" + "---|" * len(PEERS) + "---|",
    ]
    found = verdicts(rows, threads)
    for verdict in found:
        cells = [_cell(verdict.best[peer], verdict.rival) for peer in PEERS]
        lines.append(
            f"| {verdict.name} | {_number(verdict.ours_ms)} | "
            + " | ".join(cells)
            + f" | {verdict.speedup:.2f}x |"
        )
    mean = geometric_mean(verdict.speedup for verdict in found)
    lines.append("| geometric mean | " + " | " * (len(PEERS) + 1) + f"{mean:.2f}x |")
    return "\n".join(lines)


def _cell(entry: dict[str, Any] | None, rival: dict[str, Any]) -> str:
    if entry is None:
        return "-"
    text = f"{_number(entry['median_ms'])} ({entry['precision']})"
    return f"**{text}**" if entry is rival else text


def _number(milliseconds: float) -> str:
    """Write three digits, without an exponent."""
    digits = max(0, 2 - math.floor(math.log10(milliseconds)))
    return f"{milliseconds:.{digits}f}"


def details(rows: Rows) -> str:
    """Markdown: every candidate with quartiles and quality, or why it is out."""
    lines = []
    for name, row in rows.items():
        for threads, entries in row.items():
            lines += [
                f"### {name}, {threads} thread{'s' * (threads != '1')}",
                "",
                "| program | median ms | quartiles | SQNR to float, dB | note |",
                "|---|---|---|---|---|",
            ]
            lines += [_detail(entry) for entry in entries]
            lines.append("")
    return "\n".join(lines).rstrip()


def _detail(entry: dict[str, Any]) -> str:
    name = f"{entry['peer']} {entry['precision']}"
    name += f", {entry['variant']}" if entry["variant"] else ""
    if entry["median_ms"] is not None:
        median = _number(entry["median_ms"])
        quartiles, note = f"{_number(entry['low_ms'])} to {_number(entry['high_ms'])}", ""
    else:
        median = quartiles = "-"
        note = entry["problem"] or f"slower in the trial: {_number(entry['trial_ms'])} ms"
    quality = "-" if entry["sqnr_db"] is None else entry["sqnr_db"]
    return f"| {name} | {median} | {quartiles} | {quality} | {note} |"
