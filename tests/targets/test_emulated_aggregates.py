"""Message passing on every emulated family, and on every level of x86-64 that runs here."""

import shutil

import pytest
from tests.targets import (
    test_csr_aggregate,
    test_edge_order,
    test_edge_softmax,
    test_given_aggregate,
)
from tests.targets.emulation import cases_of, emulated_targets, not_kept, run_cases
from tests.targets.graphs import EPILOGUES

from octavo.targets.host import CPUINFO, LEVELS, cpu_flags
from octavo.targets.instructions import isa_of
from octavo.targets.kernel import Slower
from octavo.targets.kernels.edge_partition import PartitionedSort
from octavo.targets.ops.csr_aggregate import CsrAggregate

# Here the kernels multiply lane by lane: levels that multiply faster are no other code.
TARGETS = {target.family: target for target in reversed(emulated_targets().values())}

# Kind, type, weights, epilogue, channels: a few vectors and a part of one.
GIVEN = [("sum", "uint8", None, "float32", 70), ("mean", "int8", "int8", "dyadic", 19),
         ("max", "uint8", None, "dyadic", 64), ("mean", "float32", "float32", "real", 37)]


@pytest.mark.parametrize("index", range(len(GIVEN)))
def constant_graphs(run_kernel, isa, index):
    kind, dtype, weight, epilogue, channels = GIVEN[index]
    test_csr_aggregate.check(run_kernel, isa, CsrAggregate(
        kind=kind, channels=channels, dtype=dtype, weight_dtype=weight,
        has_bias=weight is not None, per_node=weight is not None,
        requantize=EPILOGUES[epilogue], **test_csr_aggregate.GRAPH))


# Indices into the cases of the other tests: bytes and floats, by edge, of heads and pairs.
@pytest.mark.parametrize("index", [1, 3, 4, 6, 8, 9, 10])
def given_edges(run_kernel, isa, index):
    case = test_given_aggregate.CASES[index]
    epilogue = "dyadic" if index % 2 else "float32"
    op = test_given_aggregate.make(case, epilogue, has_bias=case[0] == "sum")
    test_given_aggregate.check(run_kernel, isa, op)


@pytest.mark.parametrize("index", [0, 1, 2, 4])
def softmax_of_edges(run_kernel, isa, index):
    test_edge_softmax.check(run_kernel, isa, test_edge_softmax.CASES[index])


@pytest.mark.parametrize("index", [0, 1])
def order_of_edges(run_kernel, isa, index):
    test_edge_order.check(run_kernel, isa, test_edge_order.CASES[index], 290)


class AnyPartition(PartitionedSort):
    """Takes few edges as well, which emulators compute in less time."""

    def reject(self, op, isa):
        reason = super().reject(op, isa)
        return "" if isinstance(reason, Slower) else reason


@pytest.mark.parametrize("index", [1, 4, 5])
def order_of_edges_by_blocks(run_kernel, isa, index):
    test_edge_order.check(run_kernel, isa, test_edge_order.CASES[index], 290, AnyPartition())


@pytest.mark.parametrize("name", TARGETS)
def test_kernels_equal_their_references(name, tmp_path):
    target = TARGETS[name]
    if shutil.which(target.emulator.program) is None:
        pytest.skip(f"needs {target.emulator.program} (Debian package qemu-user)")
    cases = [case for test in (constant_graphs, given_edges, softmax_of_edges, order_of_edges,
                         order_of_edges_by_blocks)
             for case in cases_of(test, target)]
    # Of the kernel that serves few edges.
    wrong = test_edge_order.test_wrong_edges_are_a_status
    cases.append(cases_of(wrong, target)[2])
    assert run_cases(cases, target, tmp_path) == {}
    refused = {not_kept(mode) for mode in ("float32", "dyadic")
               if mode not in target.requantize_modes}
    assert {case.refusal for case in cases} <= {"", *refused}
    assert sum(bool(case.answers) for case in cases) >= 10


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level[0].name)
def test_every_level_equals_the_references(run_kernel, level):
    target, needed = level
    if missing := needed - cpu_flags(CPUINFO):
        pytest.skip(f"this CPU lacks {', '.join(sorted(missing))}")
    for index in range(len(GIVEN)):
        constant_graphs(run_kernel, isa_of(target), index)
    for index in (2, 3, 4, 6, 9):
        given_edges(run_kernel, isa_of(target), index)
    for index in (0, 2):
        softmax_of_edges(run_kernel, isa_of(target), index)
