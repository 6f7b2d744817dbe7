"""The integer program against trying every choice."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.compiler.selection.layers import IntegerTensor
from octavo.compiler.selection.solve import Conversion, Option, solve

COSTS = st.integers(0, 40).map(float)


@st.composite
def problems(draw):
    names = [f"l{i}" for i in range(draw(st.integers(1, 5)))]
    options = {
        name: [
            Option(f"o{i}", draw(st.booleans()), draw(COSTS))
            for i in range(draw(st.integers(1, 3)))
        ]
        for name in names
    }
    conversions = []
    for index in range(draw(st.integers(0, 5))):
        readers = tuple(draw(st.lists(st.sampled_from(names), max_size=3, unique=True)))
        writer = draw(st.sampled_from([None, *names]))
        tensor = IntegerTensor(f"t{index}", 10, writer, readers, draw(st.booleans()))
        conversions.append(Conversion(tensor, draw(COSTS), draw(COSTS)))
    return options, conversions


def total(options, conversions, choice):
    """Costs of a choice, by the meaning of the words."""
    cost = sum(option.latency_us for option in choice.values())
    for conversion in conversions:
        tensor = conversion.tensor
        writes_integers = tensor.writer is not None and choice[tensor.writer].is_integer
        reads = [choice[reader].is_integer for reader in tensor.readers]
        if writes_integers and (tensor.has_float_reader or not all(reads)):
            cost += conversion.dequantize_us
        if not writes_integers and any(reads):
            cost += conversion.quantize_us
    return cost


@settings(max_examples=150, deadline=None)
@given(problems())
def test_it_finds_the_least_of_all_choices(problem):
    options, conversions = problem
    every = [dict(zip(options, c, strict=True)) for c in product(*options.values())]
    best = min(total(options, conversions, choice) for choice in every)
    solution = solve(options, conversions)
    chosen = {
        layer: next(o for o in offered if o.name == solution.options[layer])
        for layer, offered in options.items()
    }
    assert total(options, conversions, chosen) == pytest.approx(best, abs=1e-6)
    assert solution.latency_us == pytest.approx(best, abs=1e-6)


def test_a_float_layer_that_wins_less_than_its_conversions_stays_in_integers():
    options = {
        name: [Option("int8", True, 10.0), Option("float32", False, cost)]
        for name, cost in (("a", 20.0), ("b", 7.0), ("c", 20.0))
    }

    def chain(cost):
        return [
            Conversion(IntegerTensor("ab", 1, "a", ("b",)), cost, cost),
            Conversion(IntegerTensor("bc", 1, "b", ("c",)), cost, cost),
        ]

    assert solve(options, chain(2.0)).options["b"] == "int8"
    cheap = solve(options, chain(1.0))
    assert cheap.options == {"a": "int8", "b": "float32", "c": "int8"}
    assert cheap.latency_us == pytest.approx(10 + 7 + 10 + 2)
