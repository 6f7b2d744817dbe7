"""A controller that learns which format each layer takes, by REINFORCE.

Each layer has a softmax over its choices. What is sampled is evaluated; choices of
configurations that did better than the moving average become likelier:

    reward = -loss - weight |cost / target - 1|
    logits += rate * ((reward - baseline) / spread * grad log p(sample) + e(t) * grad entropy)

where e(t) falls from its start to 0 along half a cosine.

Source: Dotzel et al., FLIQS, arXiv:2308.03290, 3.2 (controller, cosine schedule of entropy);
Bender et al., TuNAS, arXiv:2008.06120, 3 (absolute value of the cost term, moving baseline).
FLIQS trains the network meanwhile; here the loss is that of the network after quantization.
"""

import math
from dataclasses import dataclass
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.search.ask_tell import Solver
from octavo.compiler.search.binary_program import LIMIT_TOLERANCE
from octavo.compiler.search.problem import C, Evaluation, Genomes, Problem


@dataclass(frozen=True)
class Controller:
    """How the controller learns.

    Attributes:
        rate: Step of the logits.
        entropy: Weight of the entropy at the start.
        decay: Of the moving baseline, [0, 1).
        cost_weight: Loss that missing the target by all of it is worth.
    """

    rate: float = 0.2
    entropy: float = 0.1
    decay: float = 0.8
    cost_weight: float = 1.0


def reinforce(
    problem: Problem[C],
    *,
    cost: str,
    target: float,
    num_samples: int,
    seed: int,
    batch: int = 4,
    controller: Controller | None = None,
) -> Solver[C]:
    """Sample configurations, and make those likelier that lose little at the target's cost.

    Args:
        problem: The first objective is the loss; in units in which 1 is much, such as a share
            of wrong answers.
        cost: Another objective, or a table: milliseconds, bytes, operations.
        target: The cost to be had, > 0.
        num_samples: Samples, among them repeated ones, which are not evaluated again.
        seed: Of the samples.
        batch: Samples of a question, > 0.
        controller: How it learns; None: as usual.

    Returns:
        A solver; its result is all distinct evaluations that did not fail: first those that
        cost no more than the target, by rising loss, then the others by rising cost.
    """
    agent = _Agent(problem, controller or Controller(), np.random.default_rng(seed))
    found: dict[tuple[int, ...], Evaluation[C]] = {}
    for start in range(0, num_samples, batch):
        genomes = agent.sample(min(batch, num_samples - start))
        evaluations = yield [problem.configuration(genome) for genome in genomes]
        found |= {problem.genome(e.configuration): e for e in evaluations}
        rewards = [agent.reward(e, cost, target) for e in evaluations]
        agent.learn(genomes, np.array(rewards), start / num_samples)
    good = [e for e in found.values() if e.error is None]
    return tuple(sorted(good, key=lambda e: agent.place(e, cost, target)))


class _Agent(Generic[C]):
    """Logits of the layers that are free, and the moving average of the rewards."""

    def __init__(
        self, problem: Problem[C], controller: Controller, rng: np.random.Generator
    ) -> None:
        self._problem = problem
        self._controller = controller
        self._rng = rng
        self._logits = {int(i): np.zeros(problem.num_choices[i]) for i in problem.leaders}
        self._baseline: float | None = None
        self._spread = 0.0
        self._worst = math.nan  # of the rewards

    def sample(self, count: int) -> Genomes:
        genomes = np.zeros((count, len(self._problem.choices)), np.int64)
        for layer, logits in self._logits.items():
            genomes[:, layer] = self._rng.choice(len(logits), count, p=_softmax(logits))
        return genomes[:, self._problem.followed]

    def reward(self, evaluation: Evaluation[C], cost: str, target: float) -> float:
        if evaluation.error is not None:
            return math.nan
        (loss,) = evaluation.values(self._problem.objectives[:1])
        missed = abs(self._problem.cost(cost, evaluation) / target - 1)
        return -loss - self._controller.cost_weight * missed

    def place(self, evaluation: Evaluation[C], cost: str, target: float) -> tuple[float, ...]:
        """What evaluations are sorted by, the best first."""
        (loss,) = evaluation.values(self._problem.objectives[:1])
        spent = self._problem.cost(cost, evaluation)
        met = spent <= target * (1 + LIMIT_TOLERANCE)
        return (0.0, loss, spent) if met else (1.0, spent, loss)

    def learn(self, genomes: Genomes, rewards: NDArray[np.float64], progress: float) -> None:
        """One step.

        Args:
            genomes: What was sampled, (n, num_layers).
            rewards: (n,), NaN where the evaluation failed: it counts as the worst so far.
            progress: 0 at the start, to 1 at the end.
        """
        known = rewards[~np.isnan(rewards)]
        if not len(known) and math.isnan(self._worst):
            return
        self._worst = float(np.fmin(self._worst, known.min(initial=math.inf)))
        rewards = np.where(np.isnan(rewards), self._worst, rewards)
        decay = self._controller.decay
        mean = float(rewards.mean())
        if self._baseline is None:
            self._baseline, self._spread = mean, float(np.abs(rewards - mean).mean())
        advantages = (rewards - self._baseline) / (self._spread or 1.0)
        deviation = float(np.abs(rewards - self._baseline).mean())
        self._baseline += (1 - decay) * (mean - self._baseline)
        self._spread += (1 - decay) * (deviation - self._spread)
        entropy = self._controller.entropy * 0.5 * (1 + math.cos(math.pi * progress))
        for layer, logits in self._logits.items():
            p = _softmax(logits)
            chosen = np.eye(len(p))[genomes[:, layer]]
            gradient = (advantages[:, None] * (chosen - p)).mean(axis=0)
            surprise = np.log(np.maximum(p, 1e-12))
            # d entropy / d logit_k = -p_k (log p_k + entropy)
            gradient -= entropy * p * (surprise - float(p @ surprise))
            self._logits[layer] = logits + self._controller.rate * gradient


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    exponents: NDArray[np.float64] = np.exp(logits - logits.max())
    exponents /= exponents.sum()
    return exponents
