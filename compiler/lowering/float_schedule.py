"""A default schedule for functions that TVM makes: fused, parallel, and with no allocation.

These functions serve what has no kernel of its own. Elementwise ones run over flat memory, so
that they are limited by it; reductions keep their order of addition. LLVM vectorizes the inner
loops, in which the functions of the math library are arithmetic.
"""

import math
import sys
from typing import Any

MAX_STACK_BYTES = 16 * 1024  # larger intermediates become scratch operands
MIN_PARALLEL_WORK = 64 * 1024  # iterations below which waking other threads costs more
MAX_REUSE = 2  # times that an inlined value may be computed again
ROOT = "root"
LARGEST_FINITE = {
    "float16": 65504.0,
    "float32": (2 - 2.0**-23) * 2.0**127,
    "float64": sys.float_info.max,
}


def schedule(function: Any) -> Any:
    """Inline, fuse and parallelize the loops of a PrimFunc; the result is equivalent."""
    import tvm
    from tvm import s_tir

    from octavo.compiler.lowering.float_math import inline_math

    function = _with_infinite_identities(_without_offsets(function))
    if not _has_blocks(function):
        return inline_math(function)
    sch = s_tir.Schedule(tvm.IRModule({"main": function}))
    for block in _blocks(sch):
        _inline(sch, block)
    for block in _blocks(sch):
        _loops(sch, block)
    return inline_math(sch.mod["main"]).with_attrs(dict(function.attrs or {}))


def _has_blocks(function: Any) -> bool:
    """Whether a function has the form that schedules work on; scatters are plain loops."""
    from tvm import s_tir

    body = function.body
    return isinstance(body, s_tir.SBlockRealize) and body.block.name_hint == ROOT


def _without_offsets(function: Any) -> Any:
    """Bind the offset variables that scatters give their parameters: operands start at 0."""
    from tvm import tirx

    plain = {
        buffer: tirx.decl_buffer(buffer.ty.shape, buffer.ty.dtype, buffer.name)
        for buffer in function.params
        if isinstance(buffer.elem_offset, tirx.Var)
    }
    return function.specialize(plain) if plain else function


def _with_infinite_identities(function: Any) -> Any:
    """Start maxima at -inf and minima at inf: TVM starts them at the largest finite number.

    The maximum of a row of -inf, which a masked softmax has, would come out finite.
    """
    import tvm_ffi
    from tvm import s_tir, tirx

    def infinite(value: Any) -> Any:
        limit = LARGEST_FINITE.get(str(value.ty))
        if limit is None or abs(value.value) != limit:
            return value
        return tirx.const(math.copysign(math.inf, value.value), str(value.ty))

    def restart(block: Any) -> Any:
        if block.init is None:
            return block
        init = tvm_ffi.structural_map(block.init, (tirx.FloatImm, infinite))
        return s_tir.SBlock(
            block.iter_vars, block.reads, block.writes, block.name_hint, block.body, init,
            block.alloc_buffers, block.match_buffers, block.annotations,
        )  # fmt: skip

    return function.with_body(tvm_ffi.structural_map(function.body, (s_tir.SBlock, restart)))


def _blocks(sch: Any) -> list[Any]:
    root = sch.get_sblock(ROOT)
    return list(sch.get_child_blocks(root))


def _inline(sch: Any, block: Any) -> None:
    """Compute a value where it is used, if that is in one place and not many times over."""
    consumers = list(sch.get_consumers(block))
    if len(consumers) != 1 or not _is_spatial(sch, block):
        return
    if _iterations(sch, consumers[0]) > MAX_REUSE * _iterations(sch, block):
        return
    try:
        sch.compute_inline(block)
    except Exception:  # not every shape of block can be inlined; it stays where it is
        return


def _loops(sch: Any, block: Any) -> None:
    loops = list(sch.get_loops(block))
    work = _iterations(sch, block)
    if not loops:
        return
    if _is_spatial(sch, block):
        if _is_flat(sch, block):
            loops = [sch.fuse(*loops)] if len(loops) > 1 else loops
            if work >= MIN_PARALLEL_WORK:
                outer, _ = sch.split(loops[0], [None, MIN_PARALLEL_WORK // 4])
                sch.parallel(outer)
            return
        if len(loops) > 1 and work >= MIN_PARALLEL_WORK:
            outer = sch.fuse(*loops[:-1]) if len(loops) > 2 else loops[0]
            sch.parallel(outer)
        return
    _reduction(sch, block, loops, work)


def _reduction(sch: Any, block: Any, loops: list[Any], work: int) -> None:
    """Spatial loops outside, parallel; the last one innermost where memory runs along it."""
    kinds = [int(v.iter_type) for v in sch.get(block).iter_vars]
    if len(kinds) != len(loops) or kinds != sorted(kinds):
        return
    num_spatial = kinds.count(SPATIAL)
    if num_spatial == 0 or num_spatial == len(kinds):
        return
    spatial, reduced = loops[:num_spatial], loops[num_spatial:]
    if _reads_along(sch, block, num_spatial - 1):
        sch.reorder(*reduced, spatial[-1])
        outer = spatial[:-1]
    else:
        outer = spatial
    if outer and work >= MIN_PARALLEL_WORK:
        sch.parallel(sch.fuse(*outer) if len(outer) > 1 else outer[0])


SPATIAL = 0  # tirx.IterVar.DataPar


def _is_spatial(sch: Any, block: Any) -> bool:
    return all(int(v.iter_type) == SPATIAL for v in sch.get(block).iter_vars)


def _iterations(sch: Any, block: Any) -> int:
    return math.prod(int(v.dom.extent) for v in sch.get(block).iter_vars)


def _is_flat(sch: Any, block: Any) -> bool:
    """Whether element i of every operand, counted in memory order, meets iteration i."""
    statement = sch.get(block)
    variables = [v.var for v in statement.iter_vars]
    extents = [int(v.dom.extent) for v in statement.iter_vars]
    if len(sch.get_loops(block)) != len(variables):
        return False
    for region in [*statement.reads, *statement.writes]:
        shape = [int(extent) for extent in region.source.shape]
        starts = [r.min for r in region.region]
        if shape != extents or len(starts) != len(variables):
            return False
        if any(not s.same_as(v) for s, v in zip(starts, variables, strict=True)):
            return False
    return True


def _reads_along(sch: Any, block: Any, variable: int) -> bool:
    """Whether a read runs along memory when the variable counts up."""
    statement = sch.get(block)
    wanted = statement.iter_vars[variable].var
    return any(
        region.region and region.region[-1].min.same_as(wanted) for region in statement.reads
    )


def expose_scratch(function: Any) -> tuple[Any, list[int]]:
    """Turn large intermediates of a function into parameters behind its outputs.

    Returns:
        The function, and the bytes of each parameter that was added.
    """
    from tvm import s_tir, tirx

    if not _has_blocks(function):
        return function, []
    realize = function.body
    root = realize.block
    sizes = {buffer: _num_bytes(buffer) for buffer in root.alloc_buffers}
    # Code generation refuses an empty local, which the unused half of a Split may be.
    large = [buffer for buffer in sizes if not sizes[buffer]]
    for buffer in sorted(sizes, key=lambda b: -sizes[b]):
        if (
            sizes[buffer]
            and sum(sizes.values()) - sum(sizes[b] for b in large) > MAX_STACK_BYTES
        ):
            large.append(buffer)
    if not large:
        return function, []
    kept = [b for b in root.alloc_buffers if not any(b.same_as(other) for other in large)]
    block = s_tir.SBlock(
        root.iter_vars, root.reads, root.writes, root.name_hint, root.body, root.init,
        kept, root.match_buffers, root.annotations,
    )  # fmt: skip
    body = s_tir.SBlockRealize(realize.iter_values, realize.predicate, block)
    exposed = tirx.PrimFunc(
        [*function.params, *large], body, function.ret_type, function.attrs, function.span
    )
    return exposed, [sizes[buffer] for buffer in large]


def _num_bytes(buffer: Any) -> int:
    import tvm

    count = math.prod(int(extent) for extent in buffer.ty.shape)
    dtype = tvm.DataType(str(buffer.ty.dtype))
    return int(count * ((dtype.bits * dtype.lanes + 7) // 8))
