"""OpenCL devices by family: what is known of their GPU, beside the CPU that drives it.

Sources: Khronos, The OpenCL Specification 1.2; Arm, Mali GPU OpenCL Developer Guide (101574);
Qualcomm, Snapdragon Mobile Platform OpenCL General Programming and Optimization (80-NB295-11).
"""

from dataclasses import replace

from octavo.targets.accelerator import Accelerator
from octavo.targets.arm64.levels import ARM64_DOTPROD
from octavo.targets.host import host_target
from octavo.targets.x86.levels import X86_64_V3

_OPENCL = "Khronos, The OpenCL Specification 1.2"
_MALI = "Arm Mali GPU OpenCL Developer Guide, 101574"
_FREEDRENO = "Mesa, src/freedreno/common/a6xx_gpu.py and a7xx_gpu.py"
_MALI_TABLE = "Arm Mali GPU Datasheet, 2021"
_MODES = ("float32", "dyadic")  # what its kernels round by
_ADRENO = "Qualcomm Snapdragon OpenCL General Programming and Optimization, 80-NB295-11"

# Any device will do, so that programs also run where OpenCL has nothing but the CPU.
OPENCL = replace(
    host_target() or X86_64_V3,
    name="opencl",
    description="any OpenCL 1.2 device of this machine",
    requantize_modes=_MODES,
    accelerator=Accelerator(
        name="opencl",
        dot_products=("khr",),
        work_group=64,
        needs_gpu=False,
        sources=(_OPENCL,),
    ),
)

# A wave has 64 or 128 work items; operands of the dot product are unsigned and signed. A core
# has place for 4096, for half of them with 64 registers each; later ones with 96.
ADRENO = replace(
    ARM64_DOTPROD,
    name="adreno",
    description="Qualcomm Adreno 6xx and later, driven by an Armv8.2 CPU",
    activation_dtype="uint8",
    requantize_modes=_MODES,
    accelerator=Accelerator(
        name="adreno",
        dot_products=("qcom", "khr"),
        work_group=128,
        core_items=512,
        sources=(_ADRENO, _FREEDRENO),
    ),
)

# Warps of 16. A core has place for 1024, for half of them with 64 registers each.
MALI = replace(
    ARM64_DOTPROD,
    name="mali",
    description="Arm Mali-G76 and later, driven by an Armv8.2 CPU",
    activation_dtype="int8",
    requantize_modes=_MODES,
    accelerator=Accelerator(
        name="mali",
        dot_products=("arm", "khr"),
        work_group=64,
        core_items=128,
        sources=(_MALI, _MALI_TABLE),
    ),
)
