"""Aggregations on every emulated family, and on every x86-64 level that this machine runs."""

import shutil

import pytest
from tests.targets import test_csr_aggregate, test_scatter_aggregate
from tests.targets.emulation import cases_of, emulated_targets, not_kept, run_cases
from tests.targets.graphs import EPILOGUES

from octavo.targets.host import CPUINFO, LEVELS, cpu_flags
from octavo.targets.instructions import isa_of
from octavo.targets.ops.csr_aggregate import CsrAggregate

# The kernels multiply lane by lane: levels that multiply faster are no other code.
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


@pytest.mark.parametrize("index", range(len(GIVEN)))
def given_edges(run_kernel, isa, index):
    kind, dtype, weight, epilogue, channels = GIVEN[index]
    case = (kind, dtype, weight, index % 2 == 0, "int32" if index else "int64")
    op = test_scatter_aggregate.make(
        case, epilogue, channels=channels, has_count=True, has_bias=kind == "sum")
    test_scatter_aggregate.check(run_kernel, isa, op, 250)


@pytest.mark.parametrize("name", TARGETS)
def test_kernels_equal_their_references(name, tmp_path):
    target = TARGETS[name]
    if shutil.which(target.emulator.program) is None:
        pytest.skip(f"needs {target.emulator.program} (Debian package qemu-user)")
    cases = [*cases_of(constant_graphs, target), *cases_of(given_edges, target, 3)]
    # Of floats: no target refuses how they are rounded.
    wrong = test_scatter_aggregate.test_wrong_edges_fail_and_nothing_is_written
    cases.append(cases_of(wrong, target)[-1])
    assert run_cases(cases, target, tmp_path) == {}
    refused = {not_kept(mode) for mode in ("float32", "dyadic")
               if mode not in target.requantize_modes}
    assert {case.refusal for case in cases} <= {"", *refused}
    assert sum(bool(case.answers) for case in cases) >= 5


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level[0].name)
def test_every_level_equals_the_references(run_kernel, level):
    target, needed = level
    if missing := needed - cpu_flags(CPUINFO):
        pytest.skip(f"this CPU lacks {', '.join(sorted(missing))}")
    for index in range(len(GIVEN)):
        constant_graphs(run_kernel, isa_of(target), index)
    given_edges(run_kernel, isa_of(target), 1)
