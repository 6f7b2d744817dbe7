"""What a piece of work adds to the memory of this process, as Linux counts it."""

from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # https://docs.kernel.org/filesystems/proc.html, clear_refs


def watch_memory() -> int | None:
    """Forget the peak so far.

    Returns:
        Resident bytes now; None where the system does not tell.
    """
    try:
        CLEAR.write_text(RESET_PEAK, encoding="ascii")
    except OSError:
        return None
    return _status_bytes("VmRSS")


def added_bytes(before: int | None) -> int | None:
    """Highest resident memory since ``watch_memory`` beyond what was there.

    Files that are mapped count as far as they were touched.

    Args:
        before: What ``watch_memory`` returned.

    Returns:
        Bytes; None where the system does not tell.
    """
    peak = _status_bytes("VmHWM")
    return None if before is None or peak is None else max(0, peak - before)


def _status_bytes(key: str) -> int | None:
    """A line of the process's own state, in bytes."""
    try:
        lines = STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line for line in lines if line.startswith(f"{key}:")]
    return int(found[0].split()[1]) << 10 if found else None
