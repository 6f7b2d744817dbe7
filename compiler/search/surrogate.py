"""What a configuration will measure, learned from those that were measured."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.search.problem import C, Evaluation, Genomes, Problem

NUM_FOLDS = 5
RIDGE_STRENGTHS = (1e-4, 1e-2, 1e-1, 1.0, 10.0)
SVR_COSTS = (1.0, 10.0, 100.0)
SVR_WIDTHS = (0.3, 1.0)
SVR_MARGIN = 0.02  # of the values' spread: errors below count nothing
LEAST_TOTAL = 1e-12  # zero has no logarithm
EXACT = 1e-6  # share of the variance: what a line leaves less of, such as bytes, is known

Array = NDArray[np.float64]
Model = Callable[[Array], Array]  # features (n, num_features) to values (n,)


class Surrogate:
    """One model for each objective: ridge regression or support vectors, by cross-validation.

    Inputs are the choices, one of n each, and the totals of the problem's tables, with their
    logarithms: where a table is a good estimate of an objective, or of what an objective has
    in decibels, a few measurements are enough to know it.

    Args:
        problem: What is chosen.
        evaluations: Measured ones, without failed ones; four or more.
        names: Objectives to learn.
        seed: Of the folds.

    Source: Cummings et al., SimQ-NAS, arXiv:2312.13301 (predictors retrained on measurements);
        DyNAS-T (ridge or support vectors with radial kernel on one-hot genomes).
    """

    def __init__(
        self,
        problem: Problem[C],
        evaluations: Sequence[Evaluation[C]],
        names: Sequence[str],
        seed: int,
    ) -> None:
        self._num_choices = problem.num_choices
        self._totals = [partial(problem.totals, name) for name in problem.tables]
        genomes = np.array([problem.genome(e.configuration) for e in evaluations], np.int64)
        features = self._features(genomes)
        values = np.array([e.values(names) for e in evaluations], np.float64)
        count = 2 * len(self._totals)
        self._models = [_fit(features, column, count, seed) for column in values.T]

    def predict(self, genomes: Genomes) -> NDArray[np.float64]:
        """Objectives of genomes (n, num_layers): (n, num_objectives)."""
        features = self._features(genomes)
        return np.stack([model(features) for model in self._models], axis=1)

    def _features(self, genomes: Genomes) -> NDArray[np.float64]:
        columns = []
        for totals in self._totals:
            values = totals(genomes)[:, None]
            columns += [values, np.log(np.maximum(values, LEAST_TOTAL))]
        columns += [
            genomes[:, [layer]] == np.arange(count)
            for layer, count in enumerate(self._num_choices)
        ]
        return np.concatenate(columns, axis=1).astype(np.float64)


def _fit(features: Array, values: Array, num_totals: int, seed: int) -> Model:
    """The model of least squared error on the folds that it was not fitted to.

    Args:
        features: (n, num_features), those of the tables first.
        values: (n,).
        num_totals: Features that are of the tables.
        seed: Of the folds.
    """
    order = np.random.default_rng(seed).permutation(len(values))
    folds = np.array_split(order, min(NUM_FOLDS, len(values)))

    def error(kind: Callable[[Array, Array], Model]) -> float:
        squares = 0.0
        for fold in folds:
            others = np.setdiff1d(order, fold)
            model = kind(features[others], values[others])
            squares += float(np.sum((model(features[fold]) - values[fold]) ** 2))
        return squares

    linear: list[Callable[[Array, Array], Model]] = [
        partial(_ridge, strength=s) for s in RIDGE_STRENGTHS
    ]
    if num_totals:
        linear += [
            partial(_corrected, num_totals=num_totals, strength=s) for s in RIDGE_STRENGTHS
        ]
    radial: list[Callable[[Array, Array], Model]] = [
        partial(_support, cost=c, width=w) for c in SVR_COSTS for w in SVR_WIDTHS
    ]
    best = min(linear, key=error)
    if error(best) > EXACT * float(np.sum((values - values.mean()) ** 2)):
        best = min([best, *radial], key=error)
    return best(features, values)


def _ridge(features: Array, values: Array, *, strength: float) -> Model:
    """Least squares with a penalty on standardised coefficients."""
    center, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    x = (features - center) / scale
    mean = values.mean()
    penalty = strength * np.eye(x.shape[1])
    slopes = np.linalg.solve(x.T @ x + penalty, x.T @ (values - mean))
    return lambda new: (new - center) / scale @ slopes + mean


def _corrected(
    features: Array, values: Array, *, num_totals: int, strength: float
) -> Model:
    """What the tables say, and what choices add to it: few measurements teach the first."""
    tables = _ridge(features[:, :num_totals], values, strength=RIDGE_STRENGTHS[0])
    rest = _ridge(features, values - tables(features[:, :num_totals]), strength=strength)
    return lambda new: tables(new[:, :num_totals]) + rest(new)


def _support(features: Array, values: Array, *, cost: float, width: float) -> Model:
    """Support vectors with a radial kernel, on standardised features and values."""
    from sklearn.svm import SVR

    center, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    mean, deviation = values.mean(), values.std() or 1.0
    # The kernel's exponent is divided by the number of features, so that a width means the
    # same for few layers and for many.
    machine = SVR(C=cost, gamma=width / features.shape[1], epsilon=SVR_MARGIN)
    machine.fit((features - center) / scale, (values - mean) / deviation)
    return lambda new: machine.predict((new - center) / scale) * deviation + mean
