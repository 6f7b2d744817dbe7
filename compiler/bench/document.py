"""A comparison as data, for ``--json``."""

from dataclasses import asdict
from typing import Any

from octavo import __version__
from octavo.compiler.bench.result import BenchResult, BenchTable, Row


def bench_document(result: BenchResult) -> dict[str, Any]:
    """Everything that a comparison found, as JSON values but for infinite numbers."""
    return {
        "octavo": __version__,
        "machine": result.machine,
        "inputs": result.inputs,
        "notes": list(result.notes),
        "warnings": result.warnings(),
        "tables": [_table(table) for table in result.tables],
    }


def _table(table: BenchTable) -> dict[str, Any]:
    return {
        "num_threads": table.num_threads,
        "rounds": table.num_rounds,
        "reference": None if table.reference is None else table.reference.title,
        "rows": [_row(row) for row in table.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    contestant, loaded, measured = row.contestant, row.loaded, row.measurement
    low_us, high_us = row.spread_us or (None, None)
    ratio = row.speedup
    return {
        "runtime": contestant.runtime,
        "version": loaded and loaded.version,
        "precision": contestant.precision,
        "note": contestant.note,
        "problem": row.problem,
        "lost_trial": None if row.lost is None else asdict(row.lost),
        "latency_us": row.latency_us,
        "interval_us": measured.interval_us,
        "p10_us": low_us,
        "p90_us": high_us,
        "min_us": float(measured.runs_us.min()) if measured.rounds else None,
        "runs": int(measured.runs_us.size),
        "rounds_us": list(measured.medians_us),
        "load_us": loaded and loaded.load_us,
        "first_run_us": loaded and loaded.first_run_us,
        "peak_bytes": loaded and loaded.peak_bytes,
        "model_bytes": row.model_bytes,
        "agreement": None if row.agreement is None else asdict(row.agreement),
        "is_same_network": row.is_same_network,
        "verdict": row.verdict,
        "speedup": None if ratio is None else ratio.latency_us,
        "speedup_low": None if ratio is None else ratio.low_us,
        "speedup_high": None if ratio is None else ratio.high_us,
        "noise": list(row.noise),
    }
