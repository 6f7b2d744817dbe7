"""Which machine a program or library is for."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from octavo.compiler.artifact.macho_format import LIBRARY as STATIC_LIBRARY
from octavo.errors import TargetError
from octavo.targets import PRODUCTS, SYSTEMS, TARGETS

_HEADER_BYTES = 20
_MAGIC = b"\x7fELF"
# What ``uname -m`` prints where code of a machine runs, the usual name first. Kernels of
# 64-bit Arm run programs of 32 bits too. Source: e_machine of the System V ABI; uname(2).
_KERNEL_NAMES = {
    b"\x02\x01\x3e\x00": ("x86_64",),
    b"\x02\x01\xb7\x00": ("aarch64", "arm64"),
    b"\x01\x01\x28\x00": ("armv7l", "armv8l", "aarch64"),
    b"\x02\x01\xf3\x00": ("riscv64",),
    b"\x01\x01\xa4\x00": ("hexagon",),
}


def elf_machine(path: Path) -> bytes | None:
    """Word size, byte order and instruction set of an ELF file; None of another file.

    Source: System V ABI, ELF header: e_ident[4..5] and e_machine.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError:
        return None
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        return None
    return header[4:6] + header[18:20]


def kernel_names(path: Path) -> tuple[str, ...]:
    """What ``uname -m`` prints where a program runs; empty where that is not known."""
    return _KERNEL_NAMES.get(elf_machine(path) or b"", ())


def refuse_foreign_code(path: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse code of another architecture than that of this Python.

    Args:
        path: Program or library of an artifact.
        manifest: The artifact's manifest, for the message.

    Raises:
        TargetError: As said; the message says what runs it.
    """
    machine, own = elf_machine(path), elf_machine(Path(sys.executable))
    if machine is not None and own is not None and machine != own:
        raise TargetError(
            f"{path.parent} was compiled for {manifest.get('target')}, which this machine does"
            f" not run; {_what_runs(str(manifest.get('target')))}"
        )


def refuse_static_library(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse an artifact that has no program, and no library that can be loaded.

    Args:
        folder: The artifact.
        manifest: Its manifest.

    Raises:
        TargetError: As said.
    """
    if STATIC_LIBRARY in manifest["files"]:
        raise TargetError(
            f"{folder} was compiled for {manifest.get('target')}: its static library runs in"
            " an app, which octavo package --ios makes a Swift package for"
        )


def _what_runs(target_name: str) -> str:
    known = (TARGETS | SYSTEMS | PRODUCTS).get(target_name)
    if known is not None and known.is_emulated:
        return "--device qemu runs it under emulation"
    return "--device ssh://HOST or --device adb:SERIAL runs it on a device"
