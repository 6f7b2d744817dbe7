"""NSGA-II over indices of choices, with objectives that cost nothing to compute.

Source: Deb, Pratap, Agarwal, Meyarivan, A fast and elitist multiobjective genetic algorithm:
NSGA-II, IEEE Transactions on Evolutionary Computation 6(2), 2002. Its genes are real numbers;
ours are choices, with uniform crossover and a random other choice as the mutation.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.search.front import Points, crowding, ranks
from octavo.compiler.search.problem import C, Genomes, Problem

CROSSOVER_RATE = 0.9
# Points of n genomes and what they have above the limits: (n, num_objectives), (n,).
Predict = Callable[[Genomes], tuple[Points, NDArray[np.float64]]]


def evolve(
    problem: Problem[C],
    predict: Predict,
    rng: np.random.Generator,
    *,
    first: Genomes,
    population: int = 60,
    generations: int = 30,
) -> Genomes:
    """Let a population approach the front.

    Args:
        problem: What is chosen.
        predict: Objectives of genomes.
        rng: Source of chance.
        first: Genomes to begin with, (n, num_layers); random ones are added, or the worst left
            out.
        population: Genomes that survive a generation.
        generations: How many.

    Returns:
        Every genome that occurred, each once, sorted, (n, num_layers).
    """
    missing = max(0, population - len(first))
    alive = np.unique(np.concatenate([first, problem.sample(rng, missing)]), axis=0)
    visited = alive
    for _ in range(generations):
        points, excess = predict(alive)
        parents = alive[_tournament(points, excess, rng, population)]
        children = _mutate(problem, _cross(parents, rng), rng)[:, problem.followed]
        visited = np.unique(np.concatenate([visited, children]), axis=0)
        alive = np.unique(np.concatenate([alive, children]), axis=0)
        alive = alive[survivors(*predict(alive), population)]
    return visited


def survivors(points: Points, excess: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Choose the best fronts, and of the last one that fits in part, the least crowded.

    Args:
        points: (n, num_objectives), less is better.
        excess: (n,), what is above the limits.
        count: How many, at most.

    Returns:
        Indices, the best first.
    """
    rank = ranks(points, excess)
    order = np.lexsort((-_spacing(points, rank), rank))
    return order[:count].astype(np.int64)


def _spacing(points: Points, rank: NDArray[np.int64]) -> NDArray[np.float64]:
    spacing = np.zeros(len(points))
    for value in np.unique(rank):
        spacing[rank == value] = crowding(points[rank == value])
    return spacing


def _tournament(
    points: Points, excess: NDArray[np.float64], rng: np.random.Generator, count: int
) -> NDArray[np.int64]:
    """Of two drawn at random, the better one wins; an even number of winners."""
    order = survivors(points, excess, len(points))
    place = np.empty(len(points), np.int64)
    place[order] = np.arange(len(points))
    drawn = rng.integers(0, len(points), (count + count % 2, 2))
    return np.where(place[drawn[:, 0]] <= place[drawn[:, 1]], drawn[:, 0], drawn[:, 1])


def _cross(parents: Genomes, rng: np.random.Generator) -> Genomes:
    """Pairs exchange each gene with probability one half, most pairs at all."""
    left, right = parents[0::2], parents[1::2]
    swap = rng.random(left.shape) < 0.5
    swap &= rng.random((len(left), 1)) < CROSSOVER_RATE
    return np.concatenate([np.where(swap, right, left), np.where(swap, left, right)])


def _mutate(problem: Problem[C], genomes: Genomes, rng: np.random.Generator) -> Genomes:
    """One gene of a genome, on average, becomes another choice."""
    num_layers = genomes.shape[1]
    other = rng.integers(1, np.maximum(problem.num_choices, 2), genomes.shape)
    changed = (genomes + other) % problem.num_choices
    return np.where(rng.random(genomes.shape) < 1 / num_layers, changed, genomes)
