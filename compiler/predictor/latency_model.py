"""Latency of calls: prices of what they do, corrected by trees.

Trees: scikit-learn's histogram gradient boosting, on the logarithm of measured over priced
time. Its absolute error is what a user sees as the median error, and outliers of a busy
machine do not bend it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.predictor.call import Call
from octavo.compiler.predictor.cost_model import CostModel, fit_cost_model
from octavo.compiler.predictor.features import Caches, ProgramSize, codes, cost_terms, numbers

FloatArray = NDArray[np.float64]

# Chosen on networks that were left out; twice as many trees or leaves change nothing.
TREES: dict[str, Any] = {
    "loss": "absolute_error", "max_iter": 150, "learning_rate": 0.1, "max_leaf_nodes": 16,
    "min_samples_leaf": 8, "l2_regularization": 1.0, "early_stopping": False}
SPREAD_TREES = TREES | {"max_iter": 60, "max_leaf_nodes": 8, "min_samples_leaf": 20}
LEAST_SPREAD = 0.01  # of a logarithm: what two measurements of one kernel differ by at least


@dataclass(frozen=True, eq=False)
class Table:
    """Calls as numbers.

    Attributes:
        terms: (calls, terms), see ``cost_terms``.
        numbers: (calls, numbers), see ``features.numbers``.
        kernels: Of each call, see ``Call.kernel``.
        forms: Of each call.
    """

    terms: FloatArray
    numbers: FloatArray
    kernels: tuple[str, ...]
    forms: tuple[str, ...]

    def rows(self, places: NDArray[np.int64]) -> "Table":
        """Some of the calls."""
        return Table(
            self.terms[places], self.numbers[places],
            tuple(self.kernels[i] for i in places), tuple(self.forms[i] for i in places))


def make_table(
    calls: Sequence[Call], programs: Sequence[ProgramSize], caches: Caches
) -> Table:
    """Work out what the models are told.

    Args:
        calls: Not empty.
        programs: For each call, its whole program.
        caches: Of the device.
    """
    pairs = list(zip(calls, programs, strict=True))
    return Table(
        np.array([cost_terms(call, size, caches) for call, size in pairs]),
        np.array([numbers(call, size) for call, size in pairs]),
        tuple(call.kernel for call in calls),
        tuple(call.form for call in calls),
    )


@dataclass(frozen=True, eq=False)
class LatencyModel:
    """A fitted model.

    Attributes:
        cost_model: Prices.
        trees: What corrects them.
        kernels: Known kernels, sorted.
        forms: Known forms, sorted.
    """

    cost_model: CostModel
    trees: Any
    kernels: tuple[str, ...]
    forms: tuple[str, ...]

    def log_latency(self, table: Table) -> FloatArray:
        """Predict the logarithm of microseconds, (calls,)."""
        priced = np.log(self.cost_model.latency_us(table.forms, table.kernels, table.terms))
        inputs = _inputs(table, self.kernels, self.forms, priced)
        return np.asarray(priced + self.trees.predict(inputs), np.float64)


def fit_latency_model(
    table: Table, latencies_us: FloatArray, weights: FloatArray, seed: int
) -> LatencyModel:
    """Fit prices, and trees to what they leave.

    Args:
        table: The calls.
        latencies_us: (calls,) measured, > 0.
        weights: (calls,) how much each counts, > 0.
        seed: Of the trees.
    """
    cost_model = fit_cost_model(
        table.forms, table.kernels, table.terms, latencies_us, weights)
    priced = np.log(cost_model.latency_us(table.forms, table.kernels, table.terms))
    kernels, forms = (
        tuple(sorted(set(names))) for names in (table.kernels, table.forms))
    inputs = _inputs(table, kernels, forms, priced)
    trees = _boosted(TREES, inputs, np.log(latencies_us) - priced, weights, seed)
    return LatencyModel(cost_model, trees, kernels, forms)


@dataclass(frozen=True, eq=False)
class SpreadModel:
    """How far predictions of calls like these are off.

    Attributes:
        trees: Predict the logarithm of the residual's size.
        kernels: Known kernels, sorted.
        forms: Known forms, sorted.
    """

    trees: Any
    kernels: tuple[str, ...]
    forms: tuple[str, ...]

    def spread(self, table: Table, log_latency: FloatArray) -> FloatArray:
        """Typical distance of the logarithms of measured and predicted time, (calls,)."""
        inputs = _inputs(table, self.kernels, self.forms, log_latency)
        return np.asarray(np.exp(self.trees.predict(inputs)), np.float64)


def fit_spread_model(
    table: Table, log_latency: FloatArray, residuals: FloatArray, weights: FloatArray,
    seed: int,
) -> SpreadModel:
    """Learn the size of residuals of calls that were left out of the fit.

    Args:
        table: The calls.
        log_latency: (calls,) as predicted.
        residuals: (calls,) logarithm of measured over predicted.
        weights: (calls,).
        seed: Of the trees.
    """
    kernels, forms = (
        tuple(sorted(set(names))) for names in (table.kernels, table.forms))
    inputs = _inputs(table, kernels, forms, log_latency)
    sizes = np.log(np.abs(residuals) + LEAST_SPREAD)
    return SpreadModel(
        _boosted(SPREAD_TREES, inputs, sizes, weights, seed), kernels, forms)


def _inputs(
    table: Table, kernels: tuple[str, ...], forms: tuple[str, ...], priced: FloatArray
) -> FloatArray:
    return np.column_stack([
        codes(table.kernels, kernels), codes(table.forms, forms), priced,
        table.numbers])


def _boosted(
    settings: dict[str, Any], inputs: FloatArray, targets: FloatArray, weights: FloatArray,
    seed: int,
) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor

    trees = HistGradientBoostingRegressor(
        **settings, categorical_features=[0, 1], random_state=seed)
    # Equal weights change nothing, but the median of a leaf then takes a tenth of the time.
    is_weighted = bool((weights != weights[0]).any())
    return trees.fit(inputs, targets, sample_weight=weights if is_weighted else None)
