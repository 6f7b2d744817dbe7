"""From configurations to evaluations: by workers, by the device, and from the journal."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from octavo.compiler.mixed_precision.evaluator import ACCURACY, LATENCY, Question, question
from octavo.compiler.mixed_precision.journal import Journal, Measured
from octavo.compiler.mixed_precision.network import Formats
from octavo.compiler.mixed_precision.options import BYTES
from octavo.compiler.search.problem import Evaluation, Problem
from octavo.compiler.workers import Workers
from octavo.errors import DeviceError, OctavoError
from octavo.passes.layer_format import LayerFormat

DEVICE_LOST = DeviceError.exit_code

Mixed = Evaluation[LayerFormat]
AnswerWorkers = Workers[Question, Mapping[str, float]]


class EvaluationError(OctavoError):
    """Nothing that was asked could be evaluated."""


@dataclass
class Measuring:
    """Answers questions once; what is in the journal is not asked again.

    Attributes:
        journal: Where answers are kept.
        workers: Measure accuracy.
        on_device: Measures latency; None: nobody does.
        resource: What a latency occupies; None: nothing that is shared.
        advance: Called with the number of answers of each question so far and in all.
    """

    journal: Journal
    workers: AnswerWorkers
    on_device: AnswerWorkers | None
    resource: str | None = None
    advance: Callable[[str, int, int], None] = lambda kind, done, total: None
    _known: dict[Question, Measured] = field(init=False)

    def __post_init__(self) -> None:
        self._known = self.journal.measurements()

    def losses(self, chosen: Sequence[Formats]) -> list[Measured]:
        """What configurations lose; those that are not known are measured."""
        asked = [question(ACCURACY, formats) for formats in chosen]
        self._answer(asked, self.workers, None)
        return [self._known[one] for one in asked]

    def on_the_device(self, kind: str, chosen: Sequence[Formats]) -> list[Measured]:
        """What the device measures of configurations; see ``losses``.

        Raises:
            DeviceError: The device does not answer; what was measured before is kept.
        """
        assert self.on_device is not None
        asked = [question(kind, formats) for formats in chosen]
        self._answer(asked, self.on_device, self.resource)
        return [self._known[one] for one in asked]

    def evaluate(
        self, problem: Problem[LayerFormat], chosen: Sequence[Formats]
    ) -> list[Mixed]:
        """Evaluate configurations.

        Raises:
            DeviceError: The device does not answer; what was measured before is kept.
            EvaluationError: All of them failed.
        """
        losses = self.losses(chosen)
        if self.on_device is not None:
            worth = [f for f, lost in zip(chosen, losses, strict=True) if lost.error is None]
            self.on_the_device(LATENCY, worth)
        done = [self.known(problem, formats) for formats in chosen]
        evaluations = [evaluation for evaluation in done if evaluation is not None]
        failed = [e.error for e in evaluations if e.error is not None]
        if failed and len(failed) == len(evaluations):
            raise EvaluationError(f"no configuration could be evaluated: {failed[0]}")
        return evaluations

    def known(self, problem: Problem[LayerFormat], formats: Formats) -> Mixed | None:
        """The evaluation of a configuration; None while a part of it was not measured."""
        kinds = (ACCURACY, *((LATENCY,) if self.on_device is not None else ()))
        values: dict[str, float] = {}
        for kind in kinds:
            part = self._known.get(question(kind, formats))
            if part is None:
                return None
            if part.error is not None:
                return Evaluation(formats, {}, part.error)
            values.update(part.values)
        values[BYTES] = problem.total(BYTES, formats)
        return Evaluation(formats, values)

    def evaluations(self, problem: Problem[LayerFormat]) -> Iterator[Mixed]:
        """Everything that is wholly known of the problem's configurations."""
        for asked in list(self._known):
            if asked.kind != ACCURACY:
                continue
            (formats,) = asked.formats
            if formats.keys() == problem.choices.keys() and all(
                chosen in problem.choices[layer] for layer, chosen in formats.items()
            ):
                found = self.known(problem, formats)
                if found is not None:
                    yield found

    def _answer(
        self, asked: Sequence[Question], workers: AnswerWorkers, resource: str | None
    ) -> None:
        missing = [one for one in dict.fromkeys(asked) if one not in self._known]
        for done, (index, outcome) in enumerate(workers.run(missing, resource=resource), 1):
            if outcome.exit_code == DEVICE_LOST:
                raise DeviceError(outcome.error or "")
            measured = Measured(outcome.value or {}, outcome.error)
            self.journal.keep(missing[index], measured)
            self._known[missing[index]] = measured
            self.advance(missing[index].kind, done, len(missing))
