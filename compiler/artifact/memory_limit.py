"""Whether a target's memory holds a program: refused before anything is built."""

from octavo.errors import TargetError
from octavo.targets.base import Target


def check_memory(
    target: Target, *, arena_bytes: int, weights_bytes: int, code_bytes: int = 0
) -> None:
    """Refuse a program that the target cannot hold.

    What the system itself and other programs need is not known, so that a program which
    passes may still find too little.

    Args:
        target: Its ``memory_bytes`` is the limit, if it has one.
        arena_bytes: Activations.
        weights_bytes: Constants.
        code_bytes: Machine code; 0 before it is built.

    Raises:
        TargetError: They do not fit.
    """
    limit = target.memory_bytes
    parts = {"weights": weights_bytes, "activations": arena_bytes, "code": code_bytes}
    needed = sum(parts.values())
    if limit is None or needed <= limit:
        return
    listed = ", ".join(f"{name} {size:,}" for name, size in parts.items() if size)
    raise TargetError(
        f"{target.name} has {limit:,} bytes of memory; the program needs {needed:,}: {listed}"
    )
