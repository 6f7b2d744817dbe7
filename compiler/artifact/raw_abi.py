"""TIR functions as plain C functions: ``PrimFunc(buffers) -> int32_t name(T *, ...)``.

TVM's own packing passes its tensors as tagged unions and checks them on every call. A program
whose memory is planned ahead needs neither: its kernels take pointers, return 0, and refer to
nothing outside but the thread pool, memory routines and, in float kernels, the math library.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from octavo.errors import LoweringError

# Locals live on the stack of a worker thread; anything larger is an explicit scratch operand.
MAX_LOCAL_BYTES = 64 * 1024

# MakePackedAPI would pack the arguments. The other three insist on running after it; two of
# them run here later, and AnnotateEntryFunc only matters to TVM's own loader.
_PACKING_PASSES = [
    "tirx.MakePackedAPI",
    "tirx.FP8StorageLegalize",
    "tirx.BF16StorageLegalize",
    "tirx.AnnotateEntryFunc",
]

# Half of the time of lowering goes to passes that find nothing to do in kernels whose loops
# and vectors are written out, or that LLVM does again.
_NEEDLESS_PASSES = [
    "tirx.CommonSubexprElim",
    "s_tir.CompactBufferAllocation",
    "s_tir.HoistIfThenElse",
    "s_tir.InjectPermutedLayout",
    "s_tir.InjectVirtualThread",
    "s_tir.RenormalizeSplitPattern",
]


def lower_to_raw_abi(
    functions: Mapping[str, Any], alignments: Mapping[str, Sequence[int]], target: Any
) -> Any:
    """Lower functions so that LLVM code generation emits them as plain C functions.

    Args:
        functions: Symbol to PrimFunc; every parameter is a buffer.
        alignments: Symbol to bytes that each parameter's address is a multiple of.
        target: A ``tvm.target.Target``.

    Returns:
        An IRModule for ``codegen_build``.

    Raises:
        LoweringError: A function needs more than ``MAX_LOCAL_BYTES`` of local memory.
    """
    import tvm
    from tvm import tirx

    module = tvm.IRModule(
        {name: f.with_attr("global_symbol", name) for name, f in functions.items()}
    )
    with tvm.transform.PassContext(disabled_pass=[*_PACKING_PASSES, *_NEEDLESS_PASSES]):
        pipeline, finalize_host, _ = tirx.get_tir_pipeline("default")
        module = pipeline(tirx.transform.BindTarget(target)(module))
    module = _map_functions(module, lambda name, f: _unpack(f, alignments[name]))
    module = tirx.transform.FP8StorageLegalize()(module)
    module = tirx.transform.BF16StorageLegalize()(module)
    module = _map_functions(module, _keep_locals_on_stack)
    return finalize_host()(module)


def _map_functions(module: Any, rewrite: Any) -> Any:
    import tvm

    return tvm.IRModule(
        {var: rewrite(var.name_hint, f) for var, f in module.functions.items()},
        attrs=module.attrs,
    )


def _unpack(function: Any, alignments: Sequence[int]) -> Any:
    """Turn each buffer parameter into a pointer, and declare the buffer in the body."""
    from tvm import tirx
    from tvm.ir import PointerType, PrimType

    pointers, statements = [], []
    for buffer in function.params:
        if not isinstance(buffer.ty, tirx.buffer.BufferType):
            raise ValueError(f"kernel parameter {buffer.name!r} is not a buffer")
        scope = buffer.ty.storage_scope or "global"
        pointer = tirx.Var(f"{buffer.name}_ptr", PointerType(buffer.ty.dtype, scope))
        pointers.append(pointer)
        statements.append(tirx.DeclBuffer(buffer, data=pointer))
    body = tirx.SeqStmt([*statements, function.body])
    for pointer, alignment in zip(pointers, alignments, strict=True):
        # Without it int8 vectors are assumed to be aligned to one byte.
        body = tirx.AttrStmt(
            pointer, "storage_alignment", tirx.const(alignment, "int32"), body
        )
    # MakePackedAPI leaves these two for LowerTVMBuiltin.
    body = tirx.AttrStmt("default", "device_type", tirx.const(1, "int32"), body)
    body = tirx.AttrStmt("default", "device_id", tirx.const(0, "int32"), body)
    return tirx.PrimFunc(pointers, body, PrimType("int32"), function.attrs)


def _keep_locals_on_stack(name: str, function: Any) -> Any:
    """Mark allocations to become LLVM allocas, not calls to a workspace allocator."""
    import tvm_ffi
    from tvm import tirx

    total_bytes = 0

    def mark(allocation: Any) -> Any:
        nonlocal total_bytes
        total_bytes += _num_bytes(name, allocation.buffer.ty)
        annotations = dict(allocation.annotations or {})
        annotations["disable_lower_builtin"] = tirx.const(True, "bool")
        return tirx.AllocBuffer(allocation.buffer, annotations)

    body = tvm_ffi.structural_map(function.body, (tirx.AllocBuffer, mark))
    if total_bytes > MAX_LOCAL_BYTES:
        raise LoweringError(
            f"kernel {name!r} needs {total_bytes} bytes of local memory;"
            f" at most {MAX_LOCAL_BYTES}"
        )
    return function.with_body(body)


def _num_bytes(name: str, buffer_type: Any) -> int:
    import tvm
    from tvm import tirx

    if not all(isinstance(extent, int | tirx.IntImm) for extent in buffer_type.shape):
        raise LoweringError(
            f"kernel {name!r} allocates local memory of a size known only at run time"
        )
    count = math.prod(int(extent) for extent in buffer_type.shape)
    dtype = tvm.DataType(str(buffer_type.dtype))
    return int(count * ((dtype.bits * dtype.lanes + 7) // 8))
