"""The integer program against trying every configuration."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.compiler.search.ask_tell import run
from octavo.compiler.search.integer_program import (
    integer_program,
    nearest_limits,
    solve_program,
)
from octavo.compiler.search.problem import Evaluation, Problem
from octavo.errors import GateError
from octavo.passes.layer_format import EIGHT_BITS, LayerFormat

FOUR_BITS = LayerFormat(4, 8)
LIMITED = ("ms", "bytes", "operations")


def every(problem):
    for chosen in product(*problem.choices.values()):
        configuration = dict(zip(problem.choices, chosen, strict=True))
        if all(
            configuration[n] == configuration[group[0]]
            for group in problem.tied
            for n in group
        ):
            yield configuration


def meets(problem, configuration):
    return all(
        problem.total(name, configuration) <= limit * (1 + 1e-9)
        for name, limit in problem.limits.items()
    )


def brute_force(problem):
    """Configurations within the limits: least loss first, then the preferred choices."""
    allowed = [c for c in every(problem) if meets(problem, c)]
    return sorted(allowed, key=lambda c: (problem.total("loss", c), sum(problem.genome(c))))


def fixed(costs, limits=(), tied=()):
    """A problem of two formats: costs[layer] = {table: (8 bits, 4 bits)}."""
    formats = (EIGHT_BITS, FOUR_BITS)
    names = sorted({name for row in costs.values() for name in row})
    tables = {
        name: {
            layer: dict(zip(formats, row[name], strict=True)) for layer, row in costs.items()
        }
        for name in names
    }
    return Problem(
        dict.fromkeys(costs, formats), limits=dict(limits), tables=tables, tied=tied
    )


@st.composite
def problems(draw, costs=None, max_layers=12):
    costs = st.integers(0, 30).map(float) if costs is None else costs
    num_layers = draw(st.integers(1, max_layers))
    rows = {
        f"l{i}": {name: (draw(costs), draw(costs)) for name in ("loss", *LIMITED)}
        for i in range(num_layers)
    }
    fractions = {name: draw(st.sampled_from([0.2, 0.5, 0.75, 1.0])) for name in LIMITED}
    limits = {
        name: fractions[name] * sum(max(row[name]) for row in rows.values())
        for name in LIMITED
    }
    tied = [("l0", "l1")] if num_layers > 1 and draw(st.booleans()) else []
    return fixed(rows, limits, tied)


@settings(max_examples=60, deadline=None)
@given(problems())
def test_it_equals_brute_force_or_says_that_there_is_nothing(problem):
    best = brute_force(problem)
    if not best:
        with pytest.raises(GateError, match="no configuration meets"):
            solve_program(problem)
        return
    (solution,) = solve_program(problem)
    assert meets(problem, solution.configuration)
    assert solution.costs["loss"] == problem.total("loss", best[0])
    # of equal losses, the one with the most layers at 8 bits
    assert sum(problem.genome(solution.configuration)) == sum(problem.genome(best[0]))


@settings(max_examples=40, deadline=None)
@given(problems(st.floats(1e-6, 1e3), max_layers=8))
def test_it_equals_brute_force_with_losses_of_any_size(problem):
    best = brute_force(problem)
    if not best:
        return
    (solution,) = solve_program(problem)
    assert meets(problem, solution.configuration)
    largest = max(c for row in problem.tables["loss"].values() for c in row.values())
    least = problem.total("loss", best[0])
    # what breaks ties costs at most STEP_COST / LOSS_SCALE of the largest loss per layer
    assert solution.costs["loss"] == pytest.approx(least, abs=8 * 2e-11 * largest, rel=0)


@settings(max_examples=20, deadline=None)
@given(problems(max_layers=6))
def test_the_best_solutions_come_in_order(problem):
    best = brute_force(problem)
    if not best:
        return
    solutions = solve_program(problem, num_solutions=5)
    assert len(solutions) == min(5, len(best))
    assert [s.costs["loss"] for s in solutions] == [
        problem.total("loss", c) for c in best[: len(solutions)]
    ]
    assert len({problem.genome(s.configuration) for s in solutions}) == len(solutions)


@settings(max_examples=20, deadline=None)
@given(problems(), st.sampled_from(LIMITED))
def test_a_tighter_limit_never_lowers_the_loss(problem, name):
    losses = []
    for fraction in (1.0, 0.8, 0.6, 0.4):
        limits = {**problem.limits, name: fraction * problem.limits[name]}
        tighter = Problem(
            problem.choices, limits=limits, tables=problem.tables, tied=problem.tied
        )
        try:
            losses.append(solve_program(tighter)[0].costs["loss"])
        except GateError:
            losses.append(math.inf)
    assert losses == sorted(losses)


def test_a_layer_whose_milliseconds_are_equal_keeps_8_bits():
    problem = fixed(
        {
            "gains": {"loss": (0.0, 1.0), "ms": (2.0, 1.0)},
            "does not": {"loss": (0.0, 1e-6), "ms": (2.0, 2.0)},
            "nor does": {"loss": (0.0, 0.0), "ms": (2.0, 2.0)},
        },
        {"ms": 5.0},
    )
    chosen = solve_program(problem)[0].configuration
    assert chosen == {"gains": FOUR_BITS, "does not": EIGHT_BITS, "nor does": EIGHT_BITS}


def test_tied_layers_take_one_format():
    problem = fixed(
        {
            "main": {"loss": (0.0, 1.0), "bytes": (10, 5)},
            "down-sample": {"loss": (0.0, 9.0), "bytes": (2, 1)},
            "other": {"loss": (0.0, 5.0), "bytes": (10, 5)},
        },
        {"bytes": 17},
        tied=[("main", "down-sample")],
    )
    chosen = solve_program(problem)[0].configuration
    assert chosen == {"main": EIGHT_BITS, "down-sample": EIGHT_BITS, "other": FOUR_BITS}


def test_an_impossible_limit_is_refused_with_the_least_value():
    problem = fixed(
        {f"l{i}": {"loss": (0, 1), "bytes": (100, 50), "ms": (4, 3)} for i in range(4)},
        {"bytes": 199, "ms": 13},
    )
    with pytest.raises(GateError, match=r"meets bytes <= 199 \(least: 200\)$"):
        solve_program(problem)


def test_limits_that_exclude_each_other_are_refused_with_what_would_do():
    """4 bits save bytes and cost time."""
    problem = fixed(
        {f"l{i}": {"loss": (0, 1), "bytes": (100, 50), "ms": (3, 4)} for i in range(4)},
        {"bytes": 250, "ms": 13},
    )
    assert nearest_limits(problem) == {"bytes": 350, "ms": 15}
    with pytest.raises(
        GateError, match="together; least with the others kept: bytes 350 or ms 15"
    ):
        solve_program(problem)


def test_a_limit_of_a_byte_in_ten_million_is_kept():
    """Relative to the limit, one byte is less than the tolerance of HiGHS."""
    weights = [9_999_991, 9_999_973, 9_999_971, 9_999_943]
    problem = fixed(
        {f"l{i}": {"loss": (0, 1), "bytes": (n, n // 2)} for i, n in enumerate(weights)},
        {"bytes": sum(weights) - 1},
    )
    solution = solve_program(problem)[0]
    assert solution.costs["loss"] == 1
    assert solution.costs["bytes"] <= sum(weights) - 1
    exact = Problem(problem.choices, limits={"bytes": sum(weights)}, tables=problem.tables)
    assert solve_program(exact)[0].costs["loss"] == 0


def test_sixty_layers_of_four_formats_are_solved():
    rng = np.random.default_rng(0)
    formats = tuple(LayerFormat(b, 8) for b in (8, 4, 3, 2))
    layers = [f"l{i}" for i in range(60)]
    macs = {layer: float(rng.integers(1_000, 1_000_000)) for layer in layers}
    tables = {
        "loss": {
            n: {f: rng.uniform(0.5, 2) * 4.0**-f.weight_bits for f in formats} for n in layers
        },
        "bytes": {n: {f: macs[n] * f.weight_bits / 8 for f in formats} for n in layers},
    }
    limits = {"bytes": 0.5 * sum(macs.values())}
    problem = Problem(dict.fromkeys(layers, formats), limits=limits, tables=tables)
    solution = solve_program(problem)[0]
    assert solution.costs["bytes"] <= limits["bytes"]
    # the bound of the relaxation by a multiplier: no configuration can be below it
    bounds = [
        sum(
            min(tables["loss"][n][f] + m * tables["bytes"][n][f] for f in formats)
            for n in layers
        )
        - m * limits["bytes"]
        for m in np.geomspace(1e-14, 1e-6, 400)
    ]
    assert max(bounds) <= solution.costs["loss"] <= 1.02 * max(bounds)


def test_the_best_of_several_estimates_is_the_one_that_measures_best():
    """Additive tables prefer both of a pair that do harm together."""
    problem = fixed(
        {
            "a": {"loss": (0, 1), "bytes": (2, 1)},
            "b": {"loss": (0, 1), "bytes": (2, 1)},
            "c": {"loss": (0, 2), "bytes": (2, 1)},
        },
        {"bytes": 4},
    )

    def evaluate(configuration):
        together = configuration["a"] == configuration["b"] == FOUR_BITS
        loss = problem.total("loss", configuration) + 10 * together
        return Evaluation(configuration, {"loss": loss})

    first = run(integer_program(problem), evaluate)
    assert first.result[0].objectives["loss"] == 12
    several = run(integer_program(problem, num_solutions=3), evaluate)
    assert several.result[0].objectives["loss"] == 3
    assert len(several.evaluations) == 3
