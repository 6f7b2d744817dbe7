"""Read tensors that a model keeps in files beside it, and nothing else on the disk.

The path is opened one component at a time relative to the open folder above it, each with
``O_NOFOLLOW``, and every check is made on the opened file. A link can therefore not be swapped
in between check and use, and ``onnx`` never sees a path.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import onnx

from octavo.compiler.importer.limits import Limits
from octavo.errors import ModelError

ALLOWED_KEYS = frozenset({"location", "offset", "length", "checksum"})
MAX_DIGITS = 19  # 2**63 has 19: larger numbers cannot be file offsets


class ExternalData:
    """Access to the external data files of one model.

    Args:
        model_path: The model file; data files must lie in or below its folder.
        allowed: Whether the user agreed to read external data at all.
        limits: ``external_bytes`` caps the sum of all reads.
        announce: Told of every number of bytes before they are read.
    """

    def __init__(
        self,
        model_path: str | os.PathLike[str],
        allowed: bool,
        limits: Limits,
        announce: Callable[[int], None] | None = None,
    ) -> None:
        self._folder = Path(model_path).resolve().parent
        self._allowed = allowed
        self._budget_bytes = limits.external_bytes
        self._announce = announce

    def read(self, tensor: onnx.TensorProto, num_bytes: int, where: str) -> bytes:
        """Return the bytes of ``tensor``.

        Args:
            tensor: A tensor whose data_location is EXTERNAL.
            num_bytes: What its type and shape need; the file has to state the same.
            where: The tensor's place in the model, for messages.

        Returns:
            Exactly ``num_bytes`` bytes.

        Raises:
            ModelError: External data is not allowed, or the reference is unsafe or wrong.
        """
        if not self._allowed:
            raise ModelError(
                f"{where} is stored in another file; allow it with --allow-external-data"
            )
        entries = _entries(tensor, where)
        parts = _safe_parts(entries.get("location", ""), where)
        offset = _number(entries.get("offset", "0"), "offset", where)
        self._budget_bytes -= num_bytes
        if self._budget_bytes < 0:
            raise ModelError(f"{where}: the model's external data is larger than allowed")
        descriptor = self._open(parts, where)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise ModelError(f"{where}: external data is not a regular file")
            # a hard link would name a file that belongs elsewhere
            if status.st_nlink != 1:
                raise ModelError(f"{where}: external data file has more than one link")
            remaining = status.st_size - offset
            length = _number(entries.get("length", str(max(remaining, 0))), "length", where)
            if length > remaining:
                raise ModelError(
                    f"{where}: external data needs bytes {offset} to {offset + length} "
                    f"of a file with {status.st_size} bytes"
                )
            if length != num_bytes:
                raise ModelError(
                    f"{where}: external data has {length} bytes; its shape and type need "
                    f"{num_bytes}"
                )
            if self._announce is not None:
                self._announce(num_bytes)
            return _read_exactly(descriptor, offset, num_bytes, where)
        finally:
            os.close(descriptor)

    def _open(self, parts: tuple[str, ...], where: str) -> int:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            current = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            for i, part in enumerate(parts):
                is_folder = i + 1 < len(parts)
                above = current
                try:
                    mode = flags | os.O_DIRECTORY if is_folder else flags
                    current = os.open(part, mode, dir_fd=above)
                finally:
                    os.close(above)
        except OSError as error:
            location = "/".join(parts)
            raise ModelError(
                f"{where}: cannot open external data '{location}' (links are not followed): "
                f"{error.strerror}"
            ) from error
        return current


def _entries(tensor: onnx.TensorProto, where: str) -> dict[str, str]:
    entries: dict[str, str] = {}
    for entry in tensor.external_data:
        if entry.key not in ALLOWED_KEYS or entry.key in entries:
            raise ModelError(
                f"{where}: external data key {entry.key[:40]!r} is unknown or given twice; "
                f"allowed: {', '.join(sorted(ALLOWED_KEYS))}"
            )
        if not isinstance(entry.value, str):  # protobuf's bytes for what is not UTF-8
            raise ModelError(f"{where}: external data {entry.key} is not text")
        entries[entry.key] = entry.value
    return entries


def _safe_parts(location: str, where: str) -> tuple[str, ...]:
    parts = tuple(location.split("/"))
    unsafe = (
        "\0" in location
        or "\\" in location
        or ":" in parts[0]  # a drive or a URL
        or any(part in ("", ".", "..") for part in parts)
    )
    if unsafe:
        raise ModelError(
            f"{where}: external data location {location[:80]!r} is not a plain relative path "
            "inside the model's folder"
        )
    return parts


def _number(text: str, key: str, where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS):
        raise ModelError(f"{where}: external data {key} {text[:40]!r} is not a number >= 0")
    return int(text)


def _read_exactly(descriptor: int, offset: int, num_bytes: int, where: str) -> bytes:
    chunks = []
    while num_bytes > 0:
        chunk = os.pread(descriptor, min(num_bytes, 2**30), offset)
        if not chunk:
            raise ModelError(f"{where}: external data file ended early")
        chunks.append(chunk)
        offset += len(chunk)
        num_bytes -= len(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
