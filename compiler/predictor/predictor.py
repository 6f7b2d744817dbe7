"""Latencies of kernels that were not measured, with intervals that hold."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.predictor.call import Call
from octavo.compiler.predictor.conformal import enough_groups, grouped_quantile
from octavo.compiler.predictor.cost_model import FASTEST_US
from octavo.compiler.predictor.features import Caches, program_size
from octavo.compiler.predictor.latency_model import (
    LatencyModel,
    SpreadModel,
    Table,
    fit_latency_model,
    fit_spread_model,
    make_table,
)
from octavo.compiler.predictor.ranges import Ranges, find_ranges
from octavo.compiler.predictor.training_set import TrainingSet
from octavo.errors import DataError

FloatArray = NDArray[np.float64]

NUM_FOLDS = 5  # networks are left out a fifth at a time
MIN_CALLS = 100
MIN_NETWORKS = 10  # enough for an interval of 90%
DEFAULT_INTERVAL = 0.9
# Conv layers are predicted better than pools: each kernel that twice as many networks as an
# interval takes have gets a calibration of its own, and the others get one together.
OWN_NETWORKS = 2
KNOWN_SPREAD = 0.03  # of a logarithm: what one kernel differs by between two programs
EXTRAPOLATED_SHARE = 0.1  # of a program's time


@dataclass(frozen=True)
class Prediction:
    """Of one kernel call, or of a whole program.

    Attributes:
        latency_us: Median, microseconds.
        low_us: The interval's lower end.
        high_us: Its upper end.
        is_extrapolated: Nothing like it was measured: the interval may be too narrow. Of a
            program: such calls make up more than a tenth of it.
    """

    latency_us: float
    low_us: float
    high_us: float
    is_extrapolated: bool



@dataclass(frozen=True, eq=False)
class Predictor:
    """Fitted to what one device measured. See ``fit_predictor``.

    Attributes:
        caches: Of the device.
        latency_model: Fitted to everything.
        spread_model: Of the residuals that were left when a network was left out.
        ranges: What was measured.
        scores: (calls,) residuals over their predicted size, of calls left out of the fit.
        kernels: (calls,) kernel of each.
        networks: (calls,) network of each.
        total_scores: (programs,) the same of whole programs.
        total_networks: (programs,) network of each.
    """

    caches: Caches
    latency_model: LatencyModel
    spread_model: SpreadModel
    ranges: Ranges
    scores: FloatArray
    kernels: tuple[str, ...]
    networks: NDArray[np.int64]
    total_scores: FloatArray
    total_networks: NDArray[np.int64]

    def predict(
        self, calls: Sequence[Call], interval: float = DEFAULT_INTERVAL
    ) -> list[Prediction]:
        """Predict every call of one program.

        Args:
            calls: All calls of the program: where its constants lie between two runs depends
                on how many there are.
            interval: Probability that a measured median lies in the interval, in (0, 1).

        Raises:
            DataError: Too few networks were measured for such an interval.
        """
        if not calls:
            return []
        factors = self._factors([call.kernel for call in calls], interval)
        logs, spreads, far = self._predict(calls)
        lows, highs = np.exp(logs - factors * spreads), np.exp(logs + factors * spreads)
        return [
            Prediction(float(np.exp(log)), float(low), float(high), bool(is_far))
            for log, low, high, is_far in zip(logs, lows, highs, far, strict=True)]

    def predict_total(
        self, calls: Sequence[Call], interval: float = DEFAULT_INTERVAL,
        known_us: Sequence[float | None] = (),
    ) -> Prediction:
        """Predict the latency of a program: the sum of its calls.

        Errors of one program's calls go together, so the interval is that of programs that
        were left out, and not a sum of intervals.

        Args:
            calls: All calls of the program, at least one.
            interval: Probability that the measured sum lies in the interval, in (0, 1).
            known_us: Of each call, the latency that was measured in another program, if any;
                empty for none.

        Raises:
            DataError: Too few networks were measured for such an interval.
        """
        factor = _finite(
            grouped_quantile(self.total_scores, self.total_networks, interval), interval)
        logs, spreads, far = self._predict(calls)
        for place, latency_us in enumerate(known_us):
            if latency_us is not None:
                logs[place] = math.log(max(latency_us, FASTEST_US))
                spreads[place], far[place] = min(spreads[place], KNOWN_SPREAD), False
        latencies = np.exp(logs)
        total, spread = _total(latencies, spreads, np.ones(len(calls), np.int64))
        is_far = float(latencies[far].sum()) > EXTRAPOLATED_SHARE * total
        low, high = total * math.exp(-factor * spread), total * math.exp(factor * spread)
        return Prediction(total, low, high, is_far)

    def _factors(self, kernels: Sequence[str], interval: float) -> FloatArray:
        """Spreads that an interval reaches to: of each kernel's own scores if they suffice."""
        names, enough = np.array(self.kernels), OWN_NETWORKS * enough_groups(interval)
        networks_of = {
            name: len(np.unique(self.networks[names == name])) for name in set(self.kernels)}
        own = {name for name, count in networks_of.items() if count >= enough}
        rest = ~np.isin(names, sorted(own))
        if len(np.unique(self.networks[rest])) < enough:
            rest = np.ones(len(names), np.bool_)

        def factor(mask: NDArray[np.bool_]) -> float:
            quantile = grouped_quantile(self.scores[mask], self.networks[mask], interval)
            return _finite(quantile, interval)

        found = {
            name: factor(names == name if name in own else rest)
            for name in dict.fromkeys(kernels)}
        return np.array([found[name] for name in kernels])

    def _predict(
        self, calls: Sequence[Call]
    ) -> tuple[FloatArray, FloatArray, NDArray[np.bool_]]:
        size = program_size((call, 1) for call in calls)
        table = make_table(calls, [size] * len(calls), self.caches)
        logs = self.latency_model.log_latency(table)
        return logs, self.spread_model.spread(table, logs), self.ranges.are_outside(table)


def _finite(factor: float, interval: float) -> float:
    if not math.isfinite(factor):
        raise DataError(
            f"an interval of {interval:.0%} takes profiles of {enough_groups(interval)}"
            " different networks; measure more, or ask for a smaller one")
    return factor


def _total(
    latencies: FloatArray, spreads: FloatArray, counts: NDArray[np.int64]
) -> tuple[float, float]:
    """Sum of latencies, and how far it is off if all calls are in the same direction."""
    parts = latencies * counts
    total = float(parts.sum())
    return total, float((parts * spreads).sum()) / total


def fit_predictor(data: TrainingSet, caches: Caches, seed: int = 0) -> Predictor:
    """Fit the models, and calibrate their intervals on networks that were left out.

    Args:
        data: What was measured, on one device with one kind of code.
        caches: Of the device.
        seed: Equal data and seeds give equal predictors.

    Raises:
        DataError: There is too little.
    """
    if data.num_networks < MIN_NETWORKS or len(data.calls) < MIN_CALLS:
        raise DataError(
            f"{len(data.calls)} measured kernels of {data.num_networks} networks are too few"
            f" to predict others; {MIN_CALLS} of {MIN_NETWORKS} are needed:"
            " octavo profile measures them")
    table = make_table(data.calls, data.sizes, caches)
    weights = data.weights
    folds = _folds(data.networks, seed)
    logs = _left_out(table, data, folds, seed)
    residuals = np.log(data.latencies_us) - logs
    spreads = _left_out_spreads(table, logs, residuals, weights, folds, seed)
    total_scores, total_networks = _total_scores(data, logs, spreads)
    return Predictor(
        caches,
        fit_latency_model(table, data.latencies_us, weights, seed),
        fit_spread_model(table, logs, residuals, weights, seed),
        find_ranges(table),
        np.abs(residuals) / spreads,
        table.kernels,
        data.networks,
        total_scores,
        total_networks,
    )


def _folds(networks: NDArray[np.int64], seed: int) -> list[NDArray[np.bool_]]:
    """Which calls are left out together: those of a fifth of the networks."""
    names = np.unique(networks)
    shuffled = np.random.default_rng(seed).permutation(names)
    parts = np.array_split(shuffled, min(NUM_FOLDS, len(names)))
    return [np.isin(networks, part) for part in parts]


def _left_out(
    table: Table, data: TrainingSet, folds: list[NDArray[np.bool_]], seed: int
) -> FloatArray:
    """Predict every call by a model that saw nothing of its network."""
    logs = np.empty(len(data.calls))
    for out in folds:
        kept, left = np.flatnonzero(~out), np.flatnonzero(out)
        model = fit_latency_model(
            table.rows(kept), data.latencies_us[kept], data.weights[kept], seed)
        logs[left] = model.log_latency(table.rows(left))
    return logs


def _left_out_spreads(
    table: Table, logs: FloatArray, residuals: FloatArray, weights: FloatArray,
    folds: list[NDArray[np.bool_]], seed: int,
) -> FloatArray:
    """The same of the size of residuals."""
    spreads = np.empty(len(logs))
    for out in folds:
        kept, left = np.flatnonzero(~out), np.flatnonzero(out)
        model = fit_spread_model(
            table.rows(kept), logs[kept], residuals[kept], weights[kept], seed)
        spreads[left] = model.spread(table.rows(left), logs[left])
    return spreads


def _total_scores(
    data: TrainingSet, logs: FloatArray, spreads: FloatArray
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Residuals of whole programs over their predicted size, and the programs' networks."""
    scores, networks = [], []
    for program in np.unique(data.programs):
        mask = data.programs == program
        counts = data.counts[mask]
        total, spread = _total(np.exp(logs[mask]), spreads[mask], counts)
        measured = float((data.latencies_us[mask] * counts).sum())
        scores.append(abs(math.log(measured / total)) / spread)
        networks.append(int(data.networks[mask][0]))
    return np.array(scores), np.array(networks)
