"""Target records and the kernel library: one operation, one file."""

import difflib

from octavo.errors import TargetError
from octavo.targets.base import Target
from octavo.targets.host import host_target
from octavo.targets.x86 import levels

# The host comes first, where it is one that can be compiled for.
TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        host_target(),
        levels.X86_64,
        levels.X86_64_V3,
        levels.X86_64_AVX_VNNI,
        levels.X86_64_CASCADE_LAKE,
        levels.X86_64_AVX512_VNNI,
        levels.X86_64_AMX,
    )
    if target is not None
}


def get_target(name: str) -> Target:
    """Look up a target by the name that the user types.

    Raises:
        TargetError: There is no such target; the message names the nearest and all others.
    """
    if name in TARGETS:
        return TARGETS[name]
    known = ", ".join(TARGETS)
    if name == "host":
        raise TargetError(f"this machine is not a supported target; known targets: {known}")
    nearest = difflib.get_close_matches(name, TARGETS, n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    raise TargetError(f"unknown target {name!r}{hint} (known: {known})")
