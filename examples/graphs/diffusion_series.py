"""Heat that spreads over a graph of 20 nodes: a time series to forecast.

A known graph couples the nodes, so that a node's future depends on its neighbours' present:
x[t+1] = x[t] + rate (A x[t] - x[t]) - loss x[t] + drive[t] + noise, with A the adjacency whose
rows sum to 1. The drive is a slow wave with a phase of its own at every node.
"""

import numpy as np
from numpy.typing import NDArray

from examples.graphs.graph import Edges, both_directions

NUM_NODES = 20
RATE, LOSS, NOISE = 0.85, 0.05, 0.2
PERIOD = 24  # steps
WARM_UP = 100  # steps that are not returned: the start is forgotten


def series_graph() -> Edges:
    """Return (2, 60): a ring of 20 with ten chords, both directions of each."""
    nodes = np.arange(NUM_NODES, dtype=np.int64)
    ring = np.stack([nodes, (nodes + 1) % NUM_NODES])
    even = nodes[::2]
    chords = np.stack([even, (even + 7) % NUM_NODES])
    return both_directions(np.concatenate([ring, chords], axis=1))


def diffusion_series(num_steps: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return (num_steps, 20): the heat of every node at every step."""
    source, destination = series_graph()
    degrees = np.bincount(destination, minlength=NUM_NODES)
    phase = rng.uniform(0, 2 * np.pi, NUM_NODES)
    x = np.zeros(NUM_NODES)
    steps = []
    for t in range(WARM_UP + num_steps):
        received = np.bincount(destination, x[source], NUM_NODES) / degrees
        drive = 0.3 * np.maximum(np.sin(2 * np.pi * t / PERIOD + phase), 0)
        noise = NOISE * rng.standard_normal(NUM_NODES)
        x = x + RATE * (received - x) - LOSS * x + drive + noise
        steps.append(x)
    return np.array(steps[WARM_UP:], np.float32)


def windows(
    series: NDArray[np.float32], num_past: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cut a series (T, N) into pasts (S, num_past, N, 1) and the step after each (S, N, 1)."""
    num_samples = len(series) - num_past
    steps = np.arange(num_past) + np.arange(num_samples)[:, None]
    return series[steps][..., None], series[num_past:, :, None]
