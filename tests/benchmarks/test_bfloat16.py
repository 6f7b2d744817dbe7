"""The table of precisions holds what was measured."""

import numpy as np
from benchmarks import bfloat16, format_builds


def row(best_ms, sqnr_db, weights_bytes, share):
    return {"best_ms": best_ms, "sqnr_db": sqnr_db, "weights_bytes": weights_bytes,
            "share": share}  # fmt: skip


def test_ratios_are_of_the_fastest_rounds():
    rows = {"net": {"float32": row(4.0, 150.0, 8e6, 0.0), "bf16": row(2.5, 48.0, 4e6, 0.9),
                    "int8": row(1.0, 30.0, 2e6, 1.0)}}  # fmt: skip
    assert "| net | 4 | 2.5 | 1 | 1.60x | 2.50x | 90.0% | 48.0 | 30.0 | 8 / 4 / 2 |" in (
        bfloat16.table(rows))


def test_the_worst_output_counts():
    exact = [{"a": np.ones(4, np.float32), "b": np.ones(4, np.float32)}]
    found = [{"a": np.full(4, 1.1, np.float32), "b": np.full(4, 1.01, np.float32)}]
    assert format_builds.worst_decibels(exact, found) == 20.0


def test_the_share_is_of_products_that_are_not_of_float32():
    steps = [{"macs": 30, "placement": "bfloat16"}, {"macs": 10, "placement": "float32"}]
    assert bfloat16._share(steps) == 0.75
