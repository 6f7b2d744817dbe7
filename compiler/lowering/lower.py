"""Lower a QDQ model, or a float one, to a program.

Regions are matched on the ONNX graph, where every operator is still one node: TVM's importer
takes HardSwish apart and refuses LSTM. What no region takes goes through TVM Relax in float
(float_island.py), and is listed.
"""

from collections.abc import Callable, Collection, Mapping

import onnx_ir as ir

from octavo.compiler.lowering.builder import Origin, ProgramBuilder
from octavo.compiler.lowering.context import Context
from octavo.compiler.lowering.counted_rows import check_given_rows, counts_record
from octavo.compiler.lowering.given_indices import indices_record
from octavo.compiler.lowering.islands import IslandQueue
from octavo.compiler.lowering.kernel_call import Scheduler, model_choice
from octavo.compiler.lowering.matching import match_regions
from octavo.compiler.lowering.needed import needed_nodes
from octavo.compiler.lowering.places import find_places
from octavo.compiler.lowering.port_params import read_params, written_params
from octavo.compiler.lowering.program import Port, Program, Storage
from octavo.compiler.lowering.qdq_graph import QuantParams, dtype_of, shape_of
from octavo.compiler.lowering.tensor import Tensor, identity
from octavo.compiler.lowering.threads import run_small_programs_in_one_thread
from octavo.compiler.lowering.view import QdqView
from octavo.compiler.lowering.words import why_no_words
from octavo.targets.base import Target

Progress = Callable[[int, int], None]


def lower(
    model: ir.Model,
    target: Target,
    *,
    mode: str | None = None,
    name: str = "network",
    reasons: Mapping[str, str] | None = None,
    scheduler: Scheduler = model_choice,
    float_nodes: Collection[str] = frozenset(),
    products: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Program:
    """Lower an imported model.

    Args:
        model: With static shapes; QDQ where it is quantized.
        target: What to make kernels for.
        mode: "float32" or "dyadic"; None for the target's own.
        name: C identifier of the program.
        reasons: Why a node is in float, by name, where the quantizer knows.
        scheduler: Asked for the implementation of every kernel call.
        float_nodes: Names of nodes to compute in float though integers would do.
        products: "bfloat16" by the name of a node that may multiply such numbers if it is
            computed in float; it does where the target has a kernel for that.
        progress: Called with nodes done and nodes in all.

    Raises:
        LoweringError: A node has neither a kernel nor a float implementation.
    """
    graph = model.graph
    mode = mode or target.requantize
    view = QdqView(graph, reasons or {}, float_nodes, why_no_words(target, mode))
    builder = ProgramBuilder(target, scheduler)
    ctx = Context(builder, mode)
    ctx.products = products or {}
    inputs = [
        _input_port(ctx, value)
        for value in graph.inputs
        if value.name not in graph.initializers
    ]
    last_of = match_regions(graph, view)
    ctx.places = find_places(graph, view)
    islands = IslandQueue(ctx, view)
    ctx.before_read = islands.flush_for
    nodes, needed = list(graph), needed_nodes(graph, last_of)
    check_given_rows(ctx, graph, last_of, needed)
    for done, node in enumerate(nodes):
        if progress is not None:
            progress(done, len(nodes))
        if node not in needed:
            continue
        region = last_of.get(node)
        if region is not None:
            region.emit(ctx)
        elif node not in view.claimed:
            islands.add(node)
    outputs = [_output_port(ctx, value) for value in graph.outputs]
    program = builder.program(name, inputs, outputs)
    program.metadata |= counts_record(graph) | indices_record(view.edge_lists)
    run_small_programs_in_one_thread(program, builder.isa)
    return program


def _input_port(ctx: Context, value: ir.Value) -> Port:
    shape, dtype = shape_of(value), dtype_of(value)
    tensor = ctx.new(value.name or "input", dtype, shape, identity(len(shape)))
    ctx.define(value, tensor)
    ctx.ports.append(tensor.buffer)
    return _port(value, "input", tensor, read_params(value))


def _output_port(ctx: Context, value: ir.Value) -> Port:
    tensor = _own_copy(ctx, value, ctx.plain(value, identity(len(shape_of(value)))))
    return _port(value, "output", tensor, written_params(value) or read_params(value))


def _port(value: ir.Value, default: str, tensor: Tensor, params: QuantParams | None) -> Port:
    return Port(
        value.name or default,
        dtype_of(value),
        shape_of(value),
        tensor.buffer,
        params.scale if params else None,
        params.zero_point if params else None,
    )


def _own_copy(ctx: Context, value: ir.Value, tensor: Tensor) -> Tensor:
    """An output has memory of its own, exactly its size: not an input's or a constant's."""
    name = value.name or "output"
    fits = tensor.buffer.num_bytes == tensor.num_elements * tensor.itemsize
    if fits and tensor.buffer.storage is Storage.ARENA and tensor.buffer not in ctx.ports:
        ctx.ports.append(tensor.buffer)
        return tensor
    copied = ctx.new(name, tensor.dtype, tensor.shape, identity(tensor.rank))
    ctx.move(tensor, copied, {}, "copy", Origin(f"{name}.copy", ("Identity",), ("",)))
    ctx.ports.append(copied.buffer)
    return copied
