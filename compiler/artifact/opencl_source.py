"""TIR functions as OpenCL C, and how each is launched."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from octavo.errors import ToolchainError

AXES = "xyz"

# MakePackedAPI would pack the arguments of the host's half of a function. The other two insist
# on running after it, and run here later.
_PACKING_PASSES = ["tirx.MakePackedAPI", "tirx.FP8StorageLegalize", "tirx.BF16StorageLegalize"]

# Kernels say where their work items wait. The pass that finds out itself does not see that an
# item reads only what it wrote, and refuses to wait in a condition.
_BARRIER_PASSES = ["s_tir.ThreadSync"]


@dataclass(frozen=True)
class Launch:
    """How one kernel is started.

    Attributes:
        kernel: Its name in the source.
        arguments: For each argument the number of the parameter of the TIR function: its
            buffers come first, then as many int32, the elements at which their tensors begin.
        global_size: Work items along x, y and z.
        local_size: Work items of one work-group.
    """

    kernel: str
    arguments: tuple[int, ...]
    global_size: tuple[int, int, int]
    local_size: tuple[int, int, int]


def generate_opencl(
    functions: Mapping[str, Any], prelude: str
) -> tuple[str, dict[str, Launch]]:
    """Generate the source of kernels.

    Args:
        functions: Symbol to PrimFunc, whose loops are bound to work items.
        prelude: Text in front of them.

    Returns:
        The source, and one launch per symbol.

    Raises:
        ToolchainError: Code generation failed.
    """
    import tvm
    from tvm import tirx
    from tvm.tirx.build import codegen_build

    target = tvm.target.Target("opencl").with_host("llvm")
    module = tvm.IRModule(
        {name: functions[name].with_attr("global_symbol", name) for name in sorted(functions)}
    )
    try:
        with tvm.transform.PassContext(disabled_pass=[*_PACKING_PASSES, *_BARRIER_PASSES]):
            pipeline, _, finalize_device = tirx.get_tir_pipeline("default")
            module = pipeline(tirx.transform.BindTarget(target)(module))
        device = tirx.transform.Filter(_is_kernel)(module)
        host = tirx.transform.Filter(lambda function: not _is_kernel(function))(module)
        device = tirx.transform.FP8StorageLegalize()(device)
        device = finalize_device()(tirx.transform.BF16StorageLegalize()(device))
        kernel_target = next(iter(device.functions.values())).attrs["target"]
        text = codegen_build(device, kernel_target).inspect_source()
    except RuntimeError as error:  # TVM's own errors are subclasses
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ToolchainError(f"OpenCL code generation failed: {lines[-1]}") from error
    kernels = {str(f.attrs["global_symbol"]): f for f in device.functions.values()}
    launches = {
        variable.name_hint: _launch(function, kernels)
        for variable, function in host.functions.items()
    }
    return f"{prelude}\n{_tidy(text)}", launches


def _is_kernel(function: Any) -> bool:
    device_launch = 2  # CallingConv::kDeviceKernelLaunch
    return int(function.attrs.get("calling_conv", 0)) == device_launch


def _launch(function: Any, kernels: Mapping[str, Any]) -> Launch:
    """Read the one launch in the host's half of a function."""
    import tvm
    import tvm_ffi

    calls: list[Any] = []

    def visit(node: Any) -> None:
        if isinstance(node.op, tvm.ir.Op) and node.op.name.endswith("call_ffi_kernel"):
            calls.append(node)

    tvm_ffi.structural_walk(function.body, (tvm.ir.Call, visit))
    if len(calls) != 1:
        raise ToolchainError(f"{function.attrs['global_symbol']}: {len(calls)} launches")
    name = str(calls[0].args[0].value)
    kernel = kernels[name]
    extents = [int(extent) for extent in calls[0].args[1 + len(kernel.params) :]]
    tags = [str(tag) for tag in kernel.attrs["tirx.kernel_launch_params"]]
    sizes = dict(zip(tags, extents, strict=True))
    local = [sizes.get(f"threadIdx.{axis}", 1) for axis in AXES]
    groups = [sizes.get(f"blockIdx.{axis}", 1) for axis in AXES]
    whole = [math.prod(pair) for pair in zip(groups, local, strict=True)]
    numbers = {str(parameter.name): i for i, parameter in enumerate(function.params)}
    # Pointers are named after their buffers.
    arguments = tuple(
        numbers[re.sub(r"_ptr$", "", str(parameter.name))] for parameter in kernel.params
    )
    return Launch(
        name, arguments, (whole[0], whole[1], whole[2]), (local[0], local[1], local[2])
    )


def _tidy(text: str) -> str:
    """Leave out the declarations that only repeat what follows."""
    lines = [line for line in text.splitlines() if not re.match(r"__kernel .*;$", line)]
    return "\n".join(lines).strip() + "\n"
