"""Networks of the zoo in 8 and 4 bits: smaller than 8 bits throughout with no more noise?"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.zoo.registry import find_entry
from benchmarks.zoo.store import model_path
from octavo.compiler.importer import import_model
from octavo.compiler.mixed_precision.accuracy import NOISE
from octavo.compiler.mixed_precision.evaluator import EvaluatorMaker, serialize
from octavo.compiler.mixed_precision.journal import FILE_NAME, Journal
from octavo.compiler.mixed_precision.options import SearchOptions
from octavo.compiler.mixed_precision.record import Found
from octavo.compiler.mixed_precision.run import DEFAULT_ROUNDING
from octavo.compiler.mixed_precision.search import Search, check_limits
from octavo.compiler.mixed_precision.verdict import why_not_better
from octavo.compiler.recipes import get_recipe
from octavo.compiler.selection.options import SelectionOptions
from octavo.compiler.workers import in_process
from octavo.passes.layer_format import EIGHT_BITS, LayerFormat
from octavo.targets import get_target

TARGET = "host"
FOUR_BITS = LayerFormat(4, 8)
NUM_CALIBRATION, NUM_JUDGING = 16, 8
JUDGING_SEED = 1  # of other samples than those of calibration
BUDGET = 32
SECONDS = 2.0


def smaller_than_uniform(name: str) -> dict[str, Any]:
    """Search within the noise of 8 bits throughout.

    Args:
        name: Of a zoo entry with images.
    """
    maker = _maker(name)
    evaluator = maker()
    uniform = dict.fromkeys(evaluator.network.layers, EIGHT_BITS)
    noise = evaluator.accuracy.measure(uniform)[NOISE]
    evaluator.close()
    found, num_evaluated = _search(maker, noise)
    check_limits(found)
    assert found.best is not None
    best = found.best.evaluation
    return {
        "num_layers": len(uniform),
        "num_evaluated": num_evaluated,
        "references": found.references,
        "best": best.objectives,
        "spread": found.best.spread,
        "formats": {layer: str(chosen) for layer, chosen in best.configuration.items()},
        "num_narrow": list(best.configuration.values()).count(FOUR_BITS),
        "front": [f.evaluation.objectives for f in found.finalists],
        "why_not_better": list(
            why_not_better(found.problem, found.evaluations, found.references, found.unit)
        ),
    }


def _maker(name: str) -> EvaluatorMaker:
    entry = find_entry(name)
    model = import_model(model_path(name))
    return EvaluatorMaker(
        name,
        serialize(model),
        entry.samples(NUM_CALIBRATION),
        entry.samples(NUM_JUDGING, seed=JUDGING_SEED),
        None,
        get_recipe("static_wi8_ai8", rounding=DEFAULT_ROUNDING),
        (),
        TARGET,
        get_target(TARGET).requantize,
        SelectionOptions("local", seconds=SECONDS),
    )


def _search(maker: EvaluatorMaker, noise: float) -> tuple[Found, int]:
    """What is found, and how many configurations were evaluated, sensitivities included."""
    options = SearchOptions(
        (EIGHT_BITS, FOUR_BITS), budget=BUDGET, limits={NOISE: noise}, device=maker.device
    )
    with (
        TemporaryDirectory() as folder,
        Journal(Path(folder) / FILE_NAME) as journal,
        in_process(maker) as workers,
    ):
        found = Search(maker, options, journal, workers, workers).run()
        asked = [one for one in journal.measurements() if one.kind == "accuracy"]
    return found, len(asked)
