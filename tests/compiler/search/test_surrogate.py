"""Predictors of objectives: what tables say well, few measurements are enough for."""

import math

import numpy as np

from octavo.compiler.search.problem import Evaluation, Problem
from octavo.compiler.search.surrogate import Surrogate

NUM_LAYERS, NUM_MEASURED, NUM_ASKED = 50, 20, 200


def test_decibels_of_a_sum_are_learned_from_fewer_measurements_than_layers() -> None:
    rng = np.random.default_rng(0)
    layers = [f"layer{i}" for i in range(NUM_LAYERS)]
    # Powers over three decades, as those of layers are.
    powers = {name: {8: 1e-6, 4: 10 ** rng.uniform(-5, -2)} for name in layers}
    problem = Problem(dict.fromkeys(layers, (8, 4)), ("noise",), tables={"noise": powers})

    def decibels(genomes: np.ndarray) -> np.ndarray:
        return 10 * np.log10(problem.totals("noise", genomes))

    measured = problem.sample(rng, NUM_MEASURED)
    evaluations = [
        Evaluation(problem.configuration(genome), {"noise": float(value)})
        for genome, value in zip(measured, decibels(measured), strict=True)
    ]
    asked = problem.sample(rng, NUM_ASKED)
    predicted = Surrogate(problem, evaluations, ("noise",), seed=0).predict(asked)[:, 0]
    error = np.abs(predicted - decibels(asked))
    spread = decibels(asked).std()
    assert float(np.median(error)) < 0.1 * spread
    assert math.isfinite(float(error.max()))
