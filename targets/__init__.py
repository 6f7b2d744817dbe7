"""Target records and the kernel library: one operation, one file."""

import difflib
from collections.abc import Iterable

from octavo.errors import TargetError
from octavo.targets.arm64 import levels as arm64
from octavo.targets.armv7 import levels as armv7
from octavo.targets.base import Target
from octavo.targets.device import device_target, dsp_target, gpu_target
from octavo.targets.devices import DEVICES, DSPS, GPUS
from octavo.targets.hexagon import levels as hexagon
from octavo.targets.host import host_target
from octavo.targets.opencl import records as opencl
from octavo.targets.riscv64 import levels as riscv64
from octavo.targets.systems import system_targets
from octavo.targets.x86 import levels as x86

# Suggestions for an unknown name: letters of it that a name must have, or how much alike.
MIN_PART = 3
MAX_SUGGESTIONS = 6
CLOSE = 0.72

# Architecture levels; the host comes first, where it is one that can be compiled for.
TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        host_target(),
        x86.X86_64,
        x86.X86_64_V3,
        x86.X86_64_AVX_VNNI,
        x86.X86_64_CASCADE_LAKE,
        x86.X86_64_AVX512_VNNI,
        x86.X86_64_AVX512_BF16,
        x86.X86_64_AMX,
        arm64.ARM64_NEON,
        arm64.ARM64_DOTPROD,
        arm64.ARM64_I8MM,
        armv7.ARMV7_NEON,
        riscv64.RISCV64_RVV,
        hexagon.HEXAGON_V66,
        hexagon.HEXAGON_V68,
        hexagon.HEXAGON_V73,
        opencl.OPENCL,
        opencl.ADRENO,
        opencl.MALI,
    )
    if target is not None
}

# Levels on another system than Linux, such as "android-arm64".
SYSTEMS: dict[str, Target] = system_targets(TARGETS)

# Products and their processors: the record of a level, with what is known of the product.
PRODUCTS: dict[str, Target] = {
    **{name: device_target(d, TARGETS[d.chip.level]) for name, d in DEVICES.items()},
    **{
        name: gpu_target(name, device, gpu, TARGETS[gpu.level])
        for name, device in GPUS.items()
        if (gpu := device.chip.gpu) is not None and gpu.level is not None
    },
    **{
        name: dsp_target(name, device, dsp, TARGETS[dsp.level])
        for name, device in DSPS.items()
        if (dsp := device.chip.dsp) is not None
    },
}


def get_target(name: str) -> Target:
    """Look up a target by the name that the user types.

    Raises:
        TargetError: There is no such target; the message names the nearest, or all levels.
    """
    targets = TARGETS | SYSTEMS | PRODUCTS
    if name in targets:
        return targets[name]
    known = ", ".join(TARGETS | SYSTEMS)
    if name == "host":
        raise TargetError(f"this machine is not a supported target; known targets: {known}")
    if nearest := _nearest(name, targets):
        *others, last = (repr(target) for target in nearest)
        choice = f"{', '.join(others)} or {last}" if others else last
        raise TargetError(
            f"unknown target {name!r}; did you mean {choice}? (octavo targets lists all)"
        )
    raise TargetError(
        f"unknown target {name!r} (known: {known}; {len(PRODUCTS)} products: octavo targets)"
    )


def _nearest(name: str, targets: Iterable[str]) -> list[str]:
    """What a user may have meant: the same in other letters, a longer name, a close one."""
    typed = "-".join(name.lower().replace("_", "-").split())
    if typed in targets:
        return [typed]
    longer = [target for target in targets if len(typed) >= MIN_PART and typed in target]
    return longer[:MAX_SUGGESTIONS] or difflib.get_close_matches(typed, targets, 1, CLOSE)
