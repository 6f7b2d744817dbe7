"""From a network to its tables: who runs it, how fast, and how right."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import monotonic

from octavo.compiler.bench.agreement import Agreement, Outputs, compare_outputs
from octavo.compiler.bench.contestant import Contestant, Runtime
from octavo.compiler.bench.contestants import contestants, reference
from octavo.compiler.bench.entrant import Entrant
from octavo.compiler.bench.onnx_files import stored_bytes
from octavo.compiler.bench.program import Inputs
from octavo.compiler.bench.result import BenchTable, Row, speedup
from octavo.compiler.bench.subject import Subject
from octavo.compiler.bench.turns import TurnPlan, leave_out_slower, measure_in_turns
from octavo.compiler.counted_arrays import counted_dimensions, only_in_use
from octavo.compiler.devices.conditions import PATTERNS, Conditions, conditions_of
from octavo.compiler.devices.measurement import Measurement
from octavo.compiler.devices.noise import Surroundings, judge
from octavo.compiler.devices.system_files import local_files
from octavo.errors import ArtifactError, DataError, OctavoError

LOADED_FILES = ("libmodel.so", "weights.bin")  # of an artifact

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True)
class Race:
    """What is run, and how.

    Attributes:
        subject: The network.
        runtimes: Others that take part.
        inputs: The first is timed, the outputs of all are compared.
        cpus: That everything stays on; empty: all.
        plan: How to measure.
        is_silent: What the runtimes print is dropped.
    """

    subject: Subject
    runtimes: Collection[Runtime]
    inputs: tuple[Inputs, ...]
    cpus: tuple[int, ...]
    plan: TurnPlan
    is_silent: bool

    def inputs_of(self, contestant: Contestant) -> tuple[Inputs, ...]:
        """As it takes them: ONNX files have sizes that Octavo counts at run time open."""
        dimensions = counted_dimensions(self.subject.manifests[0])
        if contestant.runtime is Runtime.OCTAVO or not dimensions:
            return self.inputs
        return tuple(only_in_use(arrays, dimensions) for arrays in self.inputs)


@dataclass(frozen=True)
class _Answer:
    """What is right, and who said so; None where the reference failed."""

    contestant: Contestant | None
    outputs: tuple[Outputs, ...]


def run_race(
    race: Race, num_threads: Sequence[int], progress: Progress
) -> tuple[tuple[BenchTable, ...], tuple[str, ...]]:
    """Compare everybody with each number of threads.

    Args:
        race: What is run, and how.
        num_threads: One table for each.
        progress: Called with a stage, steps done and steps in all (0 when unknown).

    Returns:
        The tables, and a line for each thing that the user should know.

    Raises:
        OctavoError: The first artifact cannot be run.
    """
    answer, notes = _reference_answer(race)
    tables = tuple(_table(race, answer, number, progress) for number in num_threads)
    return tables, notes


def _reference_answer(race: Race) -> tuple[_Answer | None, tuple[str, ...]]:
    contestant = reference(race.subject)
    inputs = race.inputs_of(contestant)
    entrant = Entrant(contestant, 1, inputs, is_silent=race.is_silent)
    try:
        entrant.load()
    finally:
        entrant.close()
    if entrant.loaded is None:
        problem = f"{contestant.runtime.label} cannot say what is right: {entrant.problem}"
        return None, (f"{problem}; outputs are compared with Octavo's",)
    return _Answer(contestant, entrant.loaded.outputs), ()


def _table(
    race: Race, answer: _Answer | None, num_threads: int, progress: Progress
) -> BenchTable:
    everybody = contestants(race.subject, race.runtimes)
    with _loaded(race, everybody, num_threads, progress) as entrants:
        first = entrants[0]
        if first.loaded is None:
            if isinstance(first.error, OctavoError):
                raise first.error
            raise ArtifactError(f"{first.contestant.path}: {first.problem}")
        right = answer or _Answer(None, first.loaded.outputs)
        agreements = [_agreement(race.subject, right, entrant) for entrant in entrants]
        leave_out_slower(_kinds(entrants, agreements), num_threads)
        before, start_s = _conditions(), monotonic()
        measure_in_turns(
            entrants, race.plan, num_threads, lambda done: progress("rounds", done, 0)
        )
        around = Surroundings(
            before, _conditions(), monotonic() - start_s, num_threads, race.cpus
        )
    rows = tuple(
        _row(entrant, agreement, first.measurement, around)
        for entrant, agreement in zip(entrants, agreements, strict=True)
    )
    together = Measurement(computed_s=sum(e.measurement.computed_s for e in entrants))
    noise = judge(together, around)
    return BenchTable(
        num_threads=num_threads,
        rows=rows,
        reference=right.contestant,
        noise=(*noise.of_system, *noise.notes),
    )


@contextmanager
def _loaded(
    race: Race, everybody: Sequence[Contestant], num_threads: int, progress: Progress
) -> Iterator[list[Entrant]]:
    """Everybody in a process, loaded one after the other: load times are undisturbed."""
    entrants: list[Entrant] = []
    try:
        for index, contestant in enumerate(everybody):
            started = Entrant(
                contestant,
                num_threads,
                race.inputs_of(contestant),
                cpus=race.cpus,
                is_silent=race.is_silent,
            )
            entrants.append(started)
            started.load()
            progress("load", index + 1, len(everybody))
        yield entrants
    finally:
        for entrant in entrants:
            entrant.close()


def _kinds(
    entrants: Sequence[Entrant], agreements: Sequence[Agreement | None]
) -> Iterator[list[Entrant]]:
    """Entrants that differ only in how the file was made or is run; not Octavo's."""
    kinds: dict[tuple[Runtime, str], list[Entrant]] = {}
    for entrant, agreement in zip(entrants, agreements, strict=True):
        contestant = entrant.contestant
        if contestant.runtime is Runtime.OCTAVO or agreement is None:
            continue
        # One that computes something else must not win.
        if agreement.is_same_network(contestant.precision):
            kinds.setdefault((contestant.runtime, contestant.precision), []).append(entrant)
    yield from kinds.values()


def _agreement(subject: Subject, right: _Answer, entrant: Entrant) -> Agreement | None:
    if entrant.loaded is None:
        return None
    try:
        return compare_outputs(right.outputs, entrant.loaded.outputs, subject.grids())
    except DataError as error:
        entrant.problem = str(error)
        return None


def _row(
    entrant: Entrant, agreement: Agreement | None, base: Measurement, around: Surroundings
) -> Row:
    contestant, measured = entrant.contestant, entrant.measurement
    row = Row(
        contestant=contestant,
        model_bytes=_model_bytes(contestant),
        loaded=entrant.loaded,
        agreement=agreement,
        measurement=measured,
        problem=entrant.problem,
        lost=entrant.lost,
    )
    if not measured.rounds:
        return row
    noise = judge(measured, around)
    row = replace(row, noise=(*noise.of_rounds, *noise.of_program))
    if measured is base or row.problem or not row.is_same_network:
        return row
    ratio, verdict = speedup(base, measured)
    return replace(row, speedup=ratio, verdict=verdict)


def _model_bytes(contestant: Contestant) -> int:
    path = contestant.path
    match contestant.runtime:
        case Runtime.OCTAVO:
            return sum((path / name).stat().st_size for name in LOADED_FILES)
        case Runtime.LITERT | Runtime.LITERT_REFERENCE:
            return path.stat().st_size
        case _:
            return stored_bytes(path)


def _conditions() -> Conditions:
    return conditions_of(local_files(PATTERNS))
