"""Other ways to predict, on the same networks left out: why the predictor is as it is."""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.predictor.data import Program
from octavo.compiler.predictor.conformal import grouped_quantile
from octavo.compiler.predictor.cost_model import fit_cost_model
from octavo.compiler.predictor.features import Caches, codes
from octavo.compiler.predictor.latency_model import (
    TREES,
    Table,
    fit_latency_model,
    fit_spread_model,
    make_table,
)
from octavo.compiler.predictor.ranges import find_ranges
from octavo.compiler.predictor.training_set import TrainingSet, training_set

FloatArray = NDArray[np.float64]
NUM_FOLDS = 5
INTERVAL = 0.9
LARGE = 0.85  # of a kernel's calls are smaller
Way = Callable[[Table, FloatArray, Table], FloatArray]


def prices_alone(table: Table, latencies_us: FloatArray, left: Table) -> FloatArray:
    """The cost model without trees."""
    weights = np.ones(len(latencies_us))
    model = fit_cost_model(table.forms, table.kernels, table.terms, latencies_us, weights)
    return np.log(model.latency_us(left.forms, left.kernels, left.terms))


def trees_alone(table: Table, latencies_us: FloatArray, left: Table) -> FloatArray:
    """Trees that predict the time itself."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(
        **TREES, categorical_features=[0, 1], random_state=0)
    trees.fit(_inputs(table, table), np.log(latencies_us))
    return np.asarray(trees.predict(_inputs(left, table)))


def both(table: Table, latencies_us: FloatArray, left: Table) -> FloatArray:
    """What the predictor does."""
    model = fit_latency_model(table, latencies_us, np.ones(len(latencies_us)), 0)
    return model.log_latency(left)


def both_with_lightgbm(table: Table, latencies_us: FloatArray, left: Table) -> FloatArray:
    """The same with LightGBM's trees, of the same number and size."""
    import lightgbm

    priced, priced_left = (
        prices_alone(table, latencies_us, part) for part in (table, left))
    trees = lightgbm.LGBMRegressor(
        objective="l1", n_estimators=TREES["max_iter"], num_leaves=TREES["max_leaf_nodes"],
        learning_rate=TREES["learning_rate"], min_child_samples=TREES["min_samples_leaf"],
        reg_lambda=TREES["l2_regularization"], random_state=0, n_jobs=1, verbose=-1)
    inputs = np.column_stack([_inputs(table, table), priced])
    trees.fit(inputs, np.log(latencies_us) - priced, categorical_feature=[0, 1])
    left_inputs = np.column_stack([_inputs(left, table), priced_left])
    return priced_left + np.asarray(trees.predict(left_inputs))


def _inputs(table: Table, known: Table) -> FloatArray:
    kernels, forms = sorted(set(known.kernels)), sorted(set(known.forms))
    return np.column_stack([
        codes(table.kernels, kernels), codes(table.forms, forms), table.numbers])


def ways() -> dict[str, Way]:
    """By name; LightGBM's only where it is installed."""
    found: dict[str, Way] = {
        "prices alone": prices_alone, "trees alone": trees_alone, "prices and trees": both}
    if importlib.util.find_spec("lightgbm") is not None:
        found["prices and LightGBM's trees"] = both_with_lightgbm
    return found


def compare(programs: Sequence[Program], caches: Caches) -> dict[str, Any]:
    """Errors of each way, and widths of two kinds of intervals, for networks left out."""
    data = training_set([program.calls for program in programs])
    table = make_table(data.calls, data.sizes, caches)
    folds = _folds(data)
    logs = {name: _left_out(way, table, data, folds) for name, way in ways().items()}
    errors = {
        name: np.abs(np.exp(log) / data.latencies_us - 1) for name, log in logs.items()}
    return {
        "errors": {
            name: {"median": float(np.median(e)), "p90": float(np.percentile(e, 90))}
            for name, e in errors.items()},
        "intervals": {
            "residuals over their predicted size": _scaled(
                table, data, logs["prices and trees"], folds),
            "quantile trees (CQR)": _quantiles(table, data, folds),
        },
    }


def _folds(data: TrainingSet) -> list[NDArray[np.bool_]]:
    order = np.random.default_rng(1).permutation(np.unique(data.networks))
    return [np.isin(data.networks, part) for part in np.array_split(order, NUM_FOLDS)]


def _left_out(
    way: Way, table: Table, data: TrainingSet, folds: list[NDArray[np.bool_]]
) -> FloatArray:
    logs = np.empty(len(data.calls))
    for out in folds:
        kept, left = np.flatnonzero(~out), np.flatnonzero(out)
        logs[left] = way(table.rows(kept), data.latencies_us[kept], table.rows(left))
    return logs


def _scaled(
    table: Table, data: TrainingSet, logs: FloatArray, folds: list[NDArray[np.bool_]]
) -> dict[str, float]:
    residuals, ones = np.log(data.latencies_us) - logs, np.ones(len(logs))
    spreads = np.empty(len(logs))
    for out in folds:
        kept, left = np.flatnonzero(~out), np.flatnonzero(out)
        model = fit_spread_model(
            table.rows(kept), logs[kept], residuals[kept], ones[kept], 0)
        spreads[left] = model.spread(table.rows(left), logs[left])
    return _calibrated(np.abs(residuals) / spreads, lambda q: q * spreads, data, folds)


def _quantiles(
    table: Table, data: TrainingSet, folds: list[NDArray[np.bool_]]
) -> dict[str, float]:
    """Romano, Patterson and Candes 2019, "Conformalized Quantile Regression", sorted."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    ends = np.empty((2, len(data.calls)))
    for out in folds:
        kept, left = np.flatnonzero(~out), np.flatnonzero(out)
        part, rest, us = table.rows(kept), table.rows(left), data.latencies_us[kept]
        priced, priced_left = prices_alone(part, us, part), prices_alone(part, us, rest)
        for end, quantile in enumerate(((1 - INTERVAL) / 2, (1 + INTERVAL) / 2)):
            trees = HistGradientBoostingRegressor(
                **TREES | {"loss": "quantile", "min_samples_leaf": 20}, quantile=quantile,
                categorical_features=[0, 1], random_state=0)
            trees.fit(np.column_stack([_inputs(part, part), priced]), np.log(us) - priced)
            inputs = np.column_stack([_inputs(rest, part), priced_left])
            ends[end, left] = priced_left + trees.predict(inputs)
    low, high = np.sort(ends, axis=0)
    logs = np.log(data.latencies_us)
    scores = np.maximum(low - logs, logs - high)
    return _calibrated(scores, lambda q: (high - low) / 2 + q, data, folds)


def _calibrated(
    scores: FloatArray, half_width: Callable[[float], FloatArray], data: TrainingSet,
    folds: list[NDArray[np.bool_]],
) -> dict[str, float]:
    """Coverage and width where each fold is calibrated with the others."""
    covered, widths = np.empty(len(scores)), np.empty(len(scores))
    for out in folds:
        limit = grouped_quantile(scores[~out], data.networks[~out], INTERVAL)
        covered[out], widths[out] = scores[out] <= limit, half_width(limit)[out]
    return {
        "covered": float(covered.mean()), "median_half_width": float(np.median(widths)),
        "mean_half_width": float(widths.mean())}


def held_out_shapes(programs: Sequence[Program], caches: Caches) -> dict[str, Any]:
    """Errors of flagged and other calls when the largest calls of each kernel are new.

    A fifth of the networks is left out in turn, and of the others every call that does more
    than 85% of its kernel's calls.
    """
    data = training_set([program.calls for program in programs])
    table = make_table(data.calls, data.sizes, caches)
    is_large = _are_large(table, data)
    errors, is_flagged = np.empty(len(data.calls)), np.empty(len(data.calls), np.bool_)
    for out in _folds(data):
        kept, left = np.flatnonzero(~out & ~is_large), np.flatnonzero(out)
        known, new = table.rows(kept), table.rows(left)
        logs = both(known, data.latencies_us[kept], new)
        errors[left] = np.abs(np.exp(logs) / data.latencies_us[left] - 1)
        is_flagged[left] = find_ranges(known).are_outside(new)
    return {
        name: {
            "calls": int(mask.sum()), "large": float(is_large[mask].mean()),
            "median_error": float(np.median(errors[mask])),
            "mean_error": float(errors[mask].mean())}
        for name, mask in (("flagged", is_flagged), ("not flagged", ~is_flagged))}


def _are_large(table: Table, data: TrainingSet) -> NDArray[np.bool_]:
    kernels, works = np.array(table.kernels), [call.work for call in data.calls]
    sizes = np.array([w.macs + 10.0 * (w.read_bytes + w.written_bytes) for w in works])
    found = np.zeros(len(sizes), np.bool_)
    for name in sorted(set(table.kernels)):
        mask = kernels == name
        found[mask] = sizes[mask] > np.quantile(sizes[mask], LARGE)
    return found
