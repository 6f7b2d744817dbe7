"""Ask a solver for configurations, tell it what they measured, in any order.

A solver is a generator: it yields configurations, receives their evaluations in the same
order, and returns evaluations, the best ones first. All that it remembers follows from its
seed and what it was told: telling the same again leads to the same next question.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Generic

from octavo.compiler.search.problem import C, Configuration, Evaluation

Solver = Generator[
    Sequence[Configuration[C]], Sequence[Evaluation[C]], tuple[Evaluation[C], ...]
]
Key = frozenset[tuple[str, C]]


class AskTell(Generic[C]):
    """Holds a solver between its questions and their answers.

    No configuration is asked for twice: what is known answers the solver at once. Evaluations
    may be told one by one and in any order, as parallel workers deliver them. The solver goes
    on when all of its question is answered, and sees the answers in the order of its question.

    Attributes:
        evaluations: All that were told, in the order of telling.
        result: What the solver returned, the best first; None while it has questions.
    """

    def __init__(self, solver: Solver[C]) -> None:
        self.evaluations: list[Evaluation[C]] = []
        self.result: tuple[Evaluation[C], ...] | None = None
        self._solver = solver
        self._known: dict[Key[C], Evaluation[C]] = {}
        self._question: Sequence[Configuration[C]] = ()
        self._advance(start=True)

    def ask(self) -> list[Configuration[C]]:
        """What is to be evaluated now, each once; empty when the solver has finished."""
        if self.result is not None:
            return []
        waiting = {_key(c): c for c in self._question if _key(c) not in self._known}
        return list(waiting.values())

    def tell(self, evaluations: Iterable[Evaluation[C]]) -> None:
        """Answer, wholly or in part.

        Raises:
            ValueError: A configuration was not asked for, or was told before.
        """
        waiting = {_key(c) for c in self.ask()}
        for evaluation in evaluations:
            key = _key(evaluation.configuration)
            if key not in waiting:
                raise ValueError(f"not asked for: {dict(evaluation.configuration)}")
            waiting.remove(key)
            self._known[key] = evaluation
            self.evaluations.append(evaluation)
        if not waiting:
            self._advance()

    def replay(self, evaluations: Iterable[Evaluation[C]]) -> None:
        """Tell what an interrupted search had been told, in any order.

        What the solver does not ask for (it was made with another seed, say) is left out.
        """
        stored = {_key(e.configuration): e for e in evaluations}
        while found := [stored[_key(c)] for c in self.ask() if _key(c) in stored]:
            self.tell(found)

    def _advance(self, start: bool = False) -> None:
        """Let the solver go on until it asks for something that is not known."""
        try:
            while self.result is None:
                if start:
                    self._question, start = next(self._solver), False
                else:
                    answers = [self._known[_key(c)] for c in self._question]
                    self._question = self._solver.send(answers)
                if any(_key(c) not in self._known for c in self._question):
                    return
        except StopIteration as end:
            self.result = end.value


def run(
    solver: Solver[C], evaluate: Callable[[Configuration[C]], Evaluation[C]]
) -> AskTell[C]:
    """Evaluate what a solver asks for, here and now, until it has finished."""
    search = AskTell(solver)
    while question := search.ask():
        search.tell([evaluate(configuration) for configuration in question])
    return search


def _key(configuration: Configuration[C]) -> Key[C]:
    return frozenset(configuration.items())
