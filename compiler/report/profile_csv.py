"""A profile as a table for spreadsheets and scripts: one line for each step, in run order."""

import csv
from collections.abc import Callable
from io import StringIO

from octavo.compiler.report.measured_steps import MeasuredStep, measured_steps
from octavo.compiler.report.records import Report

# docs/command.md says what they mean.
COLUMNS: dict[str, Callable[[MeasuredStep], object]] = {
    "index": lambda row: row.step.index,
    "step": lambda row: row.step.name,
    "nodes": lambda row: " ".join(row.step.nodes),
    "operators": lambda row: " ".join(row.step.op_types),
    "arithmetic": lambda row: row.step.placement,
    "kernel": lambda row: row.step.variant,
    "function": lambda row: row.step.function,
    "macs": lambda row: row.step.macs,
    "bytes": lambda row: row.step.traffic.num_bytes,
    "min_us": lambda row: row.latency.min_us,
    "p25_us": lambda row: row.latency.low_us,
    "p50_us": lambda row: row.latency.median_us,
    "p75_us": lambda row: row.latency.high_us,
    "p95_us": lambda row: row.latency.p95_us,
    "max_us": lambda row: row.latency.max_us,
    "share": lambda row: row.latency.share,
    "cumulative": lambda row: row.cumulative,
    "gmacs_per_s": lambda row: row.gmacs_per_s,
    "gbytes_per_s": lambda row: row.gbytes_per_s,
    "peak_share": lambda row: row.roof.peak_share if row.roof else None,
    "roof_us": lambda row: row.roof.roof_us if row.roof else None,
    "roof_share": lambda row: row.roof.roof_share if row.roof else None,
    "bound_by": lambda row: row.roof.bound_by if row.roof else None,
    "gain_us": lambda row: row.roof.gain_us if row.roof else None,
}


def profile_csv(report: Report) -> str:
    """Write the measured steps as comma-separated values.

    Args:
        report: With latencies.

    Returns:
        A line with the names of the columns, then one for each step; what is not known is
        empty.

    Source: RFC 4180, which ends lines with CR LF.
    """
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for row in measured_steps(report):
        writer.writerow([column(row) for column in COLUMNS.values()])
    return text.getvalue()
