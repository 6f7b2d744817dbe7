"""Problems whose every configuration can be evaluated: costs add up, losses interact."""

from itertools import product

import numpy as np
import pytest

from octavo.compiler.search.front import hypervolume
from octavo.compiler.search.problem import Evaluation, Problem

ERRORS = {8: 0.003, 4: 0.12, 2: 1.0}  # of a layer, by its bits


class Planted:
    """Layers of random sizes; errors of pairs add to or compensate each other.

    The share of wrong answers grows with the errors and saturates at 1.
    """

    def __init__(self, seed, num_layers=6, objectives=("loss", "bytes"), tied=(), **limits):
        rng = np.random.default_rng(seed)
        layers = [f"l{i}" for i in range(num_layers)]
        macs = np.exp(rng.uniform(0, 4, num_layers))
        sizes = np.exp(rng.uniform(0, 4, num_layers))
        self.harm = np.exp(rng.uniform(-2, 1, num_layers))
        self.coupling = np.triu(rng.normal(0, 0.7, (num_layers, num_layers)), 1)
        bits = tuple(ERRORS)
        tables = {
            "bytes": {
                n: {b: float(s * b / 8) for b in bits}
                for n, s in zip(layers, sizes, strict=True)
            },
            "ms": {
                n: {b: float(m * (b + 0.3)) for b in bits}
                for n, m in zip(layers, macs, strict=True)
            },
        }
        choices = dict.fromkeys(layers, bits)
        self.problem = Problem(choices, objectives, limits=limits, tables=tables, tied=tied)
        self.every = [self.evaluate(self.problem.configuration(g)) for g in self._genomes()]

    def _genomes(self):
        genomes = np.array(list(product(*(range(n) for n in self.problem.num_choices))))
        return genomes[(genomes == genomes[:, self.problem.followed]).all(axis=1)]

    def evaluate(self, configuration):
        errors = self.harm * [ERRORS[bits] for bits in configuration.values()]
        together = np.abs(self.coupling @ errors) @ np.sqrt(errors)
        costs = {name: self.problem.total(name, configuration) for name in ("bytes", "ms")}
        return Evaluation(
            configuration, {"loss": 1 - np.exp(-errors.sum() - together), **costs}
        )

    def volume(self, evaluations):
        """Share of the hypervolume of all configurations, from the worst of each objective."""
        names = self.problem.objectives
        points = np.array([e.values(names) for e in self.every])
        low, high = points.min(axis=0), points.max(axis=0)
        reference = [1.0] * len(names)

        def of(found):
            return hypervolume(
                (np.array([e.values(names) for e in found]) - low) / (high - low), reference
            )

        return of(evaluations) / of(self.every)


@pytest.fixture(scope="session")
def planted():
    """729 configurations."""
    return Planted(0)


@pytest.fixture(scope="session")
def make_planted():
    """Others of these problems."""
    return Planted


@pytest.fixture(scope="session")
def small():
    """81 configurations."""
    return Planted(2, num_layers=4)


@pytest.fixture(scope="session")
def large():
    """6561 configurations."""
    return Planted(3, num_layers=8)


@pytest.fixture(scope="session")
def tied():
    """Two of four layers take the same bits."""
    return Planted(2, num_layers=4, tied=[("l0", "l2")])
