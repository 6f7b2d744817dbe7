"""What a process that imports may take: memory, time of a core, and size of files.

Linux keeps all of it. macOS accepts a limit on memory and does not keep it. A system without
``resource`` has no such limits, and only the time that the parent waits bounds an import.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

from octavo.compiler.importer.limits import Limits

# Copies of the file: as bytes, as a message, as arrays; plus what is computed of each.
FILE_COPIES = 8
EXTERNAL_COPIES = 3
CPU_S_PER_BYTE = 1e-8  # checking and copying weights runs at 1 GB/s; 10 times that
WAIT_FACTOR = 5  # real time over time of a core: the machine may be busy


def cpu_limit_s(limits: Limits, num_bytes: int) -> int:
    """Return how long an import may compute, in seconds of a core.

    Args:
        limits: See ``Limits.cpu_s``.
        num_bytes: Size of the model and of the files that it refers to.
    """
    return int(limits.cpu_s + CPU_S_PER_BYTE * num_bytes) + 1


def restrict(limits: Limits, file_bytes: int, external_bytes: int) -> Callable[[int], None]:
    """Limit this process for the rest of its life.

    Args:
        limits: See ``memory_bytes`` and ``cpu_s``.
        file_bytes: Size of the model file.
        external_bytes: What it may read besides.

    Returns:
        Raises the limit on memory for so many bytes of external data, which are really there.
    """
    try:
        import resource
    except ImportError:  # no such limits here
        return lambda num_bytes: None
    memory = _mapped_bytes() + limits.memory_bytes + FILE_COPIES * file_bytes
    most = memory + EXTERNAL_COPIES * external_bytes
    cpu_s = cpu_limit_s(limits, file_bytes + external_bytes)
    # The file of the result; a second after SIGXCPU, which ends it, comes SIGKILL.
    _set(resource.RLIMIT_FSIZE, most, most)
    _set(resource.RLIMIT_CPU, cpu_s, cpu_s + 1)
    _set(resource.RLIMIT_CORE, 0, 0)
    _set(resource.RLIMIT_AS, memory, most)
    granted = 0

    def grant(num_bytes: int) -> None:
        nonlocal granted
        granted += EXTERNAL_COPIES * num_bytes
        _set(resource.RLIMIT_AS, min(memory + granted, most), most)

    return grant


def _set(kind: int, soft: int, hard: int) -> None:
    import resource

    _, present = resource.getrlimit(kind)
    if present != resource.RLIM_INFINITY:  # the user's own limit stays
        soft, hard = min(soft, present), min(hard, present)
    with contextlib.suppress(ValueError, OSError):  # a system that has no limit of this kind
        resource.setrlimit(kind, (soft, hard))


def _mapped_bytes() -> int:
    """The interpreter and libraries; a library maps more on a machine with more cores."""
    import resource

    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return 2**30
    return pages * resource.getpagesize()
