"""Operator selection as a stage of a compilation: which program the artifact is made of."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from octavo.compiler.devices import find_device
from octavo.compiler.devices.qemu import QemuDevice
from octavo.compiler.devices.round_program import RoundPlan
from octavo.compiler.lowering.kernel_call import Scheduler
from octavo.compiler.lowering.program import Program
from octavo.compiler.lowering.words import why_no_words
from octavo.compiler.measurements.kept_rounds import Keeper
from octavo.compiler.measurements.profiles import open_profiles
from octavo.compiler.selection.bench import DeviceBench
from octavo.compiler.selection.candidates import (
    BFLOAT16,
    FLOAT32,
    INT8,
    ByLayer,
    Candidate,
    Offers,
    uniform,
)
from octavo.compiler.selection.costs import Assignment
from octavo.compiler.selection.counting_bench import CountingBench
from octavo.compiler.selection.layers import LayerGraph, find_layers
from octavo.compiler.selection.options import SelectionOptions
from octavo.compiler.selection.record import doubts, selection_record
from octavo.compiler.selection.select import Selector
from octavo.errors import StoreError
from octavo.passes.join_float_layers import JoinFloatLayers
from octavo.passes.restore_float_weights import RestoreFloatWeights
from octavo.targets.base import Target

FLOAT_BUILD = "float build"
NO_LAYERS = "selection: no layer can be computed in integers, so there is nothing to choose"
REASON = "measured: faster than in integers"

# ``lower`` of octavo.compiler.lowering, with what does not change between programs.
Lower = Callable[..., Program]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class SelectedProgram:
    """What the artifact is made of.

    Attributes:
        program: Lowered.
        model: What it was lowered from.
        record: Costs, choices and what was rejected, as JSON values for the manifest; None
            where there was nothing to choose.
        notes: For the user.
    """

    program: Program
    model: ir.Model
    record: dict[str, Any] | None
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class SelectionStage:
    """Selects for one model.

    Attributes:
        model: QDQ; not changed.
        float_model: The same before it was quantized; None where there is none.
        prepared: What was quantized, with the names of ``model``; None where there is none.
        lower: Makes a program of a model; further options by name.
        scheduler: Asked for what nothing is chosen for, and by the first candidate.
        reasons: Why a node is in float, by name, where the quantizer knows.
        products: "bfloat16" by the name of a node that may multiply such numbers.
        integer_only: No layer may be computed in float.
        mode: Rounding contract, "float32" or "dyadic"; None for the target's own.
    """

    model: ir.Model
    float_model: ir.Model | None
    prepared: ir.Model | None
    lower: Lower
    scheduler: Scheduler
    reasons: Mapping[str, str]
    products: Mapping[str, str]
    integer_only: bool = False
    mode: str | None = None

    def run(
        self, target: Target, options: SelectionOptions, progress: Progress
    ) -> SelectedProgram:
        """Measure on the device and choose.

        Raises:
            DeviceError: The device does not answer, or cannot run the first candidate.
            TargetError: The device does not run code for the target.
        """
        graph = find_layers(self.model, why_no_words(target, self.mode or target.requantize))
        if not graph.layers:
            program = self.lower(self.model, scheduler=self.scheduler)
            return SelectedProgram(program, self.model, None, (NO_LAYERS,))
        notes: list[str] = []
        builds = {}
        if self.float_model is not None and not self.integer_only:
            why = dict.fromkeys((node.name for node in self.float_model.graph), REASON)
            builds[FLOAT_BUILD] = lambda: self.lower(
                self.float_model, scheduler=self.scheduler, reasons=why)
        with ExitStack() as stack:
            bench = open_bench(target, options, stack, notes)
            stack.enter_context(bench)
            selection = Selector(
                graph,
                self._candidates(graph),
                lambda assignment: self._program(graph, assignment),
                bench,
                builds,
                bench.forecast,
                progress,
            ).run()
        chosen = selection.chosen
        record = selection_record(selection, options, bench.unit)
        notes.extend(doubts(selection))
        if chosen.program is None:
            raise AssertionError("a program was measured that was not built")
        if chosen.assignment is None:
            assert self.float_model is not None
            return SelectedProgram(chosen.program, self.float_model, record, tuple(notes))
        model = self._joined(graph, chosen.assignment)
        return SelectedProgram(chosen.program, model, record, tuple(notes))

    def _candidates(self, graph: LayerGraph) -> list[Candidate]:
        names = [layer.name for layer in graph.layers]
        offers = Offers(self.scheduler)
        self._program(graph, uniform(names, Candidate(INT8, INT8, offers)))
        found = offers.candidates()
        if self.integer_only:
            return found
        found.append(Candidate(FLOAT32, FLOAT32, self.scheduler))
        if self.products.keys() & graph.layer_of.keys():
            found.append(Candidate(BFLOAT16, BFLOAT16, self.scheduler))
        return found

    def _program(self, graph: LayerGraph, assignment: Assignment) -> Program:
        placements = {
            node: assignment[layer.name].placement
            for layer in graph.layers
            for node in layer.nodes
        }
        in_float = {node for node, placement in placements.items() if placement != INT8}
        return self.lower(
            self._joined(graph, assignment),
            scheduler=ByLayer(graph.layer_of, assignment, self.scheduler),
            float_nodes=in_float,
            products={
                node: numbers
                for node, numbers in self.products.items()
                if placements.get(node, BFLOAT16) == BFLOAT16
            },
            reasons={**self.reasons, **dict.fromkeys(in_float, REASON)},
        )

    def _joined(self, graph: LayerGraph, assignment: Assignment) -> ir.Model:
        """The model without the rounding that nothing needs: of tensors and of weights."""
        model = self.model.clone()
        nodes: dict[bool, set[str]] = {True: set(), False: set()}
        for layer in graph.layers:
            nodes[assignment[layer.name].placement == INT8].update(layer.nodes)
        JoinFloatLayers(nodes[True])(model)
        if self.prepared is not None:
            RestoreFloatWeights(self.prepared, nodes[False])(model)
        RemoveUnusedNodesPass()(model)
        return model


def open_bench(
    target: Target, options: SelectionOptions, stack: ExitStack, notes: list[str]
) -> DeviceBench | CountingBench:
    """What measures programs on a device; not entered yet.

    Args:
        target: What programs are for.
        options: Where and how.
        stack: Closes what rounds are kept in.
        notes: Gets lines for the user.
    """
    device = find_device(options.device)
    if isinstance(device, QemuDevice):
        return CountingBench(target)
    plan = RoundPlan(seconds=options.seconds, num_threads=options.num_threads)
    return DeviceBench(device, target, plan, options.cores, _keeper(stack, notes))


def _keeper(stack: ExitStack, notes: list[str]) -> Keeper | None:
    """Where rounds are kept until the context ends; that they cannot be costs nothing else."""
    try:
        store = stack.enter_context(open_profiles(notes.append))
    except StoreError as error:
        notes.append(f"measurements are not kept: {error}")
        return None
    return Keeper(store, warn=notes.append)
