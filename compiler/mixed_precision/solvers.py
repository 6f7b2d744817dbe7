"""Which solver a search uses, with what it needs to know beforehand."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from octavo.compiler.mixed_precision.accuracy import DROP, NOISE
from octavo.compiler.mixed_precision.choices import Table
from octavo.compiler.mixed_precision.options import BYTES, LATENCY, SearchOptions
from octavo.compiler.search.ask_tell import Solver
from octavo.compiler.search.bisection import bisect, order_by_marginal_loss
from octavo.compiler.search.integer_program import integer_program
from octavo.compiler.search.predicted_front import search_front
from octavo.compiler.search.problem import Configuration, Problem
from octavo.compiler.search.random_search import search_randomly
from octavo.compiler.search.reinforce import reinforce
from octavo.errors import RecipeError
from octavo.passes.layer_format import LayerFormat

NUM_SOLUTIONS = 5  # of the integer program, evaluated

Couplings = Mapping[LayerFormat, Mapping[tuple[str, str], float]]


def check_solver(options: SearchOptions) -> None:
    """Refuse a solver that lacks what it needs, before anything is measured.

    Raises:
        RecipeError: As said.
    """
    limits, solver = options.limits, options.solver
    if solver == "bisection" and not {DROP, NOISE} & limits.keys():
        raise RecipeError(
            "solver bisection needs a limit on what is lost: --max-drop or --min-sqnr")
    if solver == "bisection" and options.by_component:
        raise RecipeError("solver bisection moves single layers; it has no components")
    if solver == "bisection" and not levels_of(options.formats):
        raise RecipeError(
            f"solver bisection needs a format of fewer bits than {options.formats[0]}")
    if solver == "reinforce" and not {LATENCY, BYTES} & limits.keys():
        raise RecipeError(
            "solver reinforce needs a limit to aim at: --max-latency-ms or --max-size")


def make_solver(
    problem: Problem[LayerFormat],
    options: SearchOptions,
    losses: Table,
    couplings: Couplings,
) -> Solver[LayerFormat]:
    """The solver that the user wants.

    Args:
        problem: What is chosen.
        options: With the solver's name.
        losses: What single layers lose, for an order of layers.
        couplings: What neighbours lose more together, by format; only bisection needs it.

    Raises:
        GateError: The limits cannot be met.
    """
    budget, seed = min(options.budget, problem.size), options.seed
    match options.solver:
        case "front":
            return search_front(problem, budget=budget, seed=seed)
        case "random":
            return search_randomly(problem, budget=budget, seed=seed)
        case "integer-program":
            return integer_program(
                _additive(problem), num_solutions=min(NUM_SOLUTIONS, budget))
        case "reinforce":
            cost = next(name for name in (LATENCY, BYTES) if name in problem.limits)
            return reinforce(
                problem, cost=cost, target=problem.limits[cost], num_samples=budget, seed=seed)
        case "bisection":
            return _bisection(problem, options, losses, couplings)
    raise RecipeError(f"unknown solver {options.solver!r}")


def levels_of(formats: Sequence[LayerFormat]) -> list[LayerFormat]:
    """What bisection moves layers to: fewer bits than the first format, mild to deep."""
    bits = (formats[0].weight_bits, formats[0].activation_bits)
    narrower = [f for f in formats if (f.weight_bits, f.activation_bits) < bits]
    return sorted(narrower, key=lambda f: (-f.weight_bits, -f.activation_bits))


def _bisection(
    problem: Problem[LayerFormat],
    options: SearchOptions,
    losses: Table,
    couplings: Couplings,
) -> Solver[LayerFormat]:
    levels = levels_of(options.formats)

    def order(state: Configuration[LayerFormat], level: LayerFormat) -> Sequence[str]:
        moved = [name for name, chosen in state.items() if chosen == level]
        left = {name: losses[name][level] for name in state if name not in moved}
        return order_by_marginal_loss(left, couplings.get(level, {}), moved)

    start = dict.fromkeys(problem.choices, options.formats[0])
    return bisect(problem, start, levels, order)


def _additive(problem: Problem[LayerFormat]) -> Problem[LayerFormat]:
    """Without the limit on the loss: sums of single losses rank, they do not predict."""
    loss = problem.objectives[0]
    return replace(
        problem, limits={name: v for name, v in problem.limits.items() if name != loss})

