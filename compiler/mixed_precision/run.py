"""Search for a model file: import, split the samples, search, build what was found."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from octavo.compiler.data_source import is_synthetic
from octavo.compiler.importer import InputShape, import_model
from octavo.compiler.mixed_precision.accuracy import DROP
from octavo.compiler.mixed_precision.evaluator import (
    EvaluatorMaker,
    Question,
    serialize,
)
from octavo.compiler.mixed_precision.folder import FRONT, open_folder, write_results
from octavo.compiler.mixed_precision.journal import Journal
from octavo.compiler.mixed_precision.network import Samples
from octavo.compiler.mixed_precision.options import SearchOptions
from octavo.compiler.mixed_precision.record import Found, search_record
from octavo.compiler.mixed_precision.search import (
    Search,
    SearchProgress,
    settings_of,
)
from octavo.compiler.mixed_precision.solvers import check_solver
from octavo.compiler.mixed_precision.split import open_split
from octavo.compiler.recipes import get_recipe, keep_float_overrides, read_overrides
from octavo.compiler.sensitivity.labels import UNKNOWN, Labels
from octavo.compiler.workers import Make, Workers, in_process
from octavo.errors import DataError
from octavo.targets import get_target

DEFAULT_ROUNDING = "second_order"  # of layers with fewer than 8 bits

Evaluate = Make[Question, Mapping[str, float]]
AnyWorkers = Workers[Question, Mapping[str, float]]


@dataclass(frozen=True)
class Executors:
    """Who works.

    Attributes:
        workers: Makes what measures accuracy; None: this process.
        on_device: Makes what measures latency; None: this process. The same as ``workers``:
            they are one.
        resource: What a latency occupies of a cluster.
    """

    workers: Callable[[Evaluate], AnyWorkers] | None = None
    on_device: Callable[[Evaluate], AnyWorkers] | None = None
    resource: str | None = None


@dataclass(frozen=True, eq=False)
class SearchResult:
    """What a search left.

    Attributes:
        directory: Its folder.
        record: The content of its search.json.
        found: What that was made of; ``check_limits`` refuses one without a best.
    """

    directory: Path
    record: dict[str, Any]
    found: Found


def search_model(
    model_path: Path,
    target: str,
    output: Path,
    samples: Path | str,
    options: SearchOptions,
    *,
    test_samples: Path | None = None,
    shapes: Mapping[str, InputShape] | None = None,
    maxima: Mapping[str, int] | None = None,
    recipe: str = "static_wi8_ai8",
    calibrator: str | None = None,
    rounding: str = DEFAULT_ROUNDING,
    keep_float: Sequence[str] = (),
    overrides: Any = None,
    requantize: str | None = None,
    max_samples: int | None = None,
    allow_external_data: bool = False,
    resume: bool = False,
    force: bool = False,
    executors: Executors | None = None,
    progress: SearchProgress | None = None,
) -> SearchResult:
    """Search which format each layer of a float model gets.

    Args:
        model_path: ONNX file, float.
        target: Target name, such as "host".
        output: Folder of the search; see docs/search.md.
        samples: Inferences, see ``open_samples``; an array of labels beside them makes
            accuracy the first objective. Every other one calibrates, the others judge.
            "synthetic": made up from what BatchNormalization nodes store.
        options: What is wanted.
        test_samples: To judge by instead; all of ``samples`` calibrate then.
        shapes: Sizes of dimensions that the model leaves open, by input name.
        maxima: Largest sizes of dimensions that are counted at run time, by name.
        recipe: How the network is quantized.
        calibrator: Observer of activations; None takes the recipe's.
        rounding: How integers of weights of fewer than 8 bits are chosen.
        keep_float: Layers to keep in float.
        overrides: TOML file or mapping of per-layer choices.
        requantize: Rounding contract; None takes the target's.
        max_samples: Calibrate and judge with at most so many samples in all.
        allow_external_data: Read weight files beside the model.
        resume: Go on with the search that ``output`` holds.
        force: Remove the search that ``output`` holds.
        executors: Who works; None: this process.
        progress: Told of every step.

    Raises:
        ModelError, DataError, RecipeError, TargetError, ArtifactError, StoreError: The user's
            input does not allow it.
        DeviceError: The device does not answer; resuming goes on from there.
        GateError: No configuration can meet the limit on bytes.
    """
    machine = get_target(target)
    mode = requantize or machine.requantize
    machine.check_requantize(mode)
    model = import_model(
        model_path, shapes=shapes, maxima=maxima, allow_external_data=allow_external_data
    )
    if DROP in options.limits and is_synthetic(samples) and test_samples is None:
        raise DataError(
            "synthetic samples have no labels, so there is no accuracy to limit; --min-sqnr"
            " limits noise, and --test-data judges by real samples")
    report = progress or _silent
    split = open_split(
        model,
        samples,
        test_samples,
        max_samples=max_samples,
        seed=options.seed,
        progress=lambda stage, done, total: report(stage, done, total, None),
    )
    if DROP in options.limits and split.labels is None:
        raise DataError(
            f"{test_samples or samples}: no array label or labels, so there is no accuracy"
            " to limit; --min-sqnr limits noise")
    check_solver(options)
    # TVM takes seconds to load: not before everything that the user gave is known to be good.
    from octavo.compiler.compile import model_identifier

    maker = EvaluatorMaker(
        model_identifier(model_path),
        serialize(model),
        split.calibration,
        split.judging,
        split.labels,
        get_recipe(recipe, calibrator=calibrator, rounding=rounding),
        (*read_overrides(overrides), *keep_float_overrides(keep_float)),
        target,
        mode,
        options.device,
    )
    with open_folder(output, resume=resume, force=force) as journal:
        journal.bind(settings_of(maker, options))
        found, search = _search(maker, options, journal, executors or Executors(), progress)
        facts = {
            "model": model_path.stem,
            "target": target,
            "notes": split.notes,
            "num_judging": _num_judging(split.judging, split.labels),
        }
        record = search_record(found, search.network, options, facts)
        _write(output, record, maker, search, found, options.seed)
    return SearchResult(output, record, found)


def _search(
    maker: EvaluatorMaker,
    options: SearchOptions,
    journal: Journal,
    executors: Executors,
    progress: SearchProgress | None,
) -> tuple[Found, Search]:
    here: AnyWorkers = in_process(maker)
    workers = here if executors.workers is None else executors.workers(maker)
    if executors.on_device is None:
        on_device = here
    elif executors.on_device is executors.workers:
        on_device = workers
    else:
        on_device = executors.on_device(maker)
    with here, workers, on_device:
        search = Search(
            maker,
            options,
            journal,
            workers,
            None if options.device is None else on_device,
            executors.resource,
            progress or _silent,
        )
        return search.run(), search


def _write(
    output: Path,
    record: dict[str, Any],
    maker: EvaluatorMaker,
    search: Search,
    found: Found,
    seed: int,
) -> None:
    from octavo.compiler.mixed_precision.artifacts import write_configuration
    from octavo.compiler.mixed_precision.programs import ProgramMaker
    from octavo.compiler.report.search_page import render_search_page

    programs = ProgramMaker(
        search.network, get_target(maker.target), maker.requantize, maker.name)
    makers = {}
    for point, finalist in zip(record["front"], found.finalists, strict=True):
        make = partial(
            write_configuration,
            search.network,
            programs,
            finalist.evaluation.configuration,
            samples=maker.judging,
            measured=point["objectives"],
            seed=seed,
        )
        makers[f"{FRONT}/{point['id']}"] = make
    write_results(output, record, render_search_page(record), makers)


def _num_judging(judging: Samples, labels: Labels | None) -> int:
    """What is judged: samples, or the rows of them that have labels."""
    if labels is None or labels.ndim == 1:
        return len(judging)
    return int((labels != UNKNOWN).sum())


def _silent(
    stage: str, done: int, total: int, front: Sequence[Mapping[str, float]] | None
) -> None:
    """Progress that nobody watches."""
