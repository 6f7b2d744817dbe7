"""Steps change their place as rarely as what they read and write allows."""

from itertools import groupby

import numpy as np

from octavo.compiler.lowering.place_order import with_few_changes
from octavo.compiler.lowering.program import Buffer, Operand, Step


def step(name, reads, writes, on_accelerator):
    operands = [Operand(buffer) for buffer in reads]
    operands += [Operand(buffer, is_written=True) for buffer in writes]
    return Step(name, name, tuple(operands), (), (), "int8", "",
                on_accelerator=on_accelerator)


def names(steps):
    return "".join(step.name for step in steps)


def buffers(count):
    return [Buffer(f"b{i}", 8) for i in range(count)]


def test_independent_steps_of_a_place_come_together():
    b = buffers(6)
    steps = [
        step("a", [b[0]], [b[1]], False),
        step("B", [b[1]], [b[2]], True),
        step("c", [b[0]], [b[3]], False),
        step("D", [b[2], b[3]], [b[4]], True),
    ]
    assert names(with_few_changes(steps)) == "acBD"


def test_what_is_overwritten_has_been_read():
    b = buffers(4)
    steps = [
        step("A", [b[0]], [b[1]], True),
        step("b", [b[0]], [b[2]], False),
        step("C", [b[3]], [b[2]], True),  # writes what b wrote
        step("d", [b[3]], [b[0]], False),  # writes what A and b read
    ]
    order = names(with_few_changes(steps))
    assert order.index("b") < order.index("C")
    assert order.index("A") < order.index("d")
    assert order.index("b") < order.index("d")


def test_nothing_moves_where_it_saves_no_change():
    b = buffers(4)
    steps = [
        step("A", [b[0]], [b[1]], True),
        step("b", [b[1]], [b[2]], False),
        step("C", [b[2]], [b[3]], True),
    ]
    assert with_few_changes(steps) == steps


def test_random_programs_keep_every_dependence():
    rng = np.random.default_rng(3)
    for _ in range(30):
        b = buffers(9)
        steps = []
        for i in range(25):
            reads = [b[j] for j in rng.choice(9, 2, replace=False)]
            writes = [b[rng.integers(9)]]
            steps.append(step(chr(65 + i), reads, writes, bool(rng.integers(2))))
        found = with_few_changes(steps)
        assert sorted(names(found)) == sorted(names(steps))
        assert _values(found) == _values(steps)
        assert _changes(found) <= _changes(steps)


def _values(steps):
    """What every buffer holds at the end: the history of what was computed."""
    values = {}
    for one in steps:
        read = tuple(values.get(o.buffer.name, "") for o in one.operands if not o.is_written)
        for operand in one.operands:
            if operand.is_written:
                values[operand.buffer.name] = hash((one.name, read))
    return values


def _changes(steps):
    return sum(1 for _ in groupby(one.on_accelerator for one in steps))
