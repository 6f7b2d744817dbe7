"""What a measurement belongs to, as texts that stay the same between runs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import octavo
import octavo.targets
from octavo.compiler.roofline.machine import Machine, this_machine
from octavo.targets.base import Target

DIGEST_CHARACTERS = 12
PACKAGES = ("apache-tvm", "ziglang")  # that generate code


@dataclass(frozen=True)
class Context:
    """Where and with what a measurement was made.

    Attributes:
        code: What code is generated for: instruction variant, processor and features.
        device: The CPU that ran it: name, model, caches, digest of its features.
        toolchain: Versions of Octavo and TVM, digest of the kernel library.
        num_threads: Threads that ran it.
    """

    code: str
    device: str
    toolchain: str
    num_threads: int = 1


@dataclass(frozen=True)
class TuningKey:
    """A kernel and an operation in a context.

    Attributes:
        kernel: Name of the kernel.
        operation: The operation record as canonical JSON, its type included.
        context: Where and with what.
    """

    kernel: str
    operation: str
    context: Context


def this_context(target: Target) -> Context:
    """The context of measurements that this process makes."""
    return Context(code_text(target), device_text(this_machine()), toolchain_text())


def tuning_key(kernel: Any, op: Any, context: Context) -> TuningKey:
    """Key of an operation record of ``octavo.targets.ops``."""
    return TuningKey(kernel.name, operation_text(op), context)


def operation_record(op: Any) -> dict[str, Any]:
    """An operation record as JSON values."""
    return {"type": type(op).__name__} | asdict(op)


def operation_text(op: Any) -> str:
    """An operation record as canonical JSON: equal texts mean equal records."""
    return json_text(operation_record(op))


def json_text(value: Any) -> str:
    """JSON in the one form that keys and schedules have."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def code_text(target: Target) -> str:
    """What kernels are generated for; targets of the same code share measurements."""
    return " ".join((target.isa, target.triple, target.cpu, *target.features))


def device_text(machine: Machine) -> str:
    """A CPU by its name, caches and features."""
    caches = " ".join(f"L{level}:{num_bytes}" for level, num_bytes in machine.caches)
    return f"{machine.cpu} {caches} flags:{_digest(' '.join(machine.flags).encode())}"


def toolchain_text() -> str:
    """Versions, and a digest of the kernel library: its code decides what a schedule costs."""
    own = {"octavo": octavo.__version__, "kernels": kernels_digest()}
    return toolchain_of(own | {name: version(name) for name in PACKAGES})


def toolchain_of(versions: Mapping[str, str]) -> str:
    """The same of an artifact.

    Args:
        versions: Of its manifest; the entries "octavo", "kernels" and those of ``PACKAGES``.

    Raises:
        KeyError: One of them is missing.
    """
    packages = " ".join(f"{name}-{versions[name]}" for name in PACKAGES)
    return f"octavo-{versions['octavo']} {packages} kernels:{versions['kernels']}"


@cache
def kernels_digest() -> str:
    """Digest of the sources of the kernel library."""
    folder = Path(octavo.targets.__file__).resolve().parent
    sources = sorted(folder.rglob("*.py"))
    content = b"".join(
        path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes()
        for path in sources
    )
    return _digest(content)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGEST_CHARACTERS]
