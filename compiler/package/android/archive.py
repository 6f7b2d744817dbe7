"""Zip archives that are the same bytes every time, with stored files at aligned places.

A stored file can be mapped where it is: Android maps libraries and assets out of an app's
package. Source: Android developers, zipalign (4 bytes, a page for libraries), and its extra
field 0xd935, which other tools keep.
"""

import shutil
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PAGE_BYTES = 16 * 1024  # the largest page of Android
WORD_BYTES = 4
_ALIGNMENT_FIELD = 0xD935
_FIELD_HEADER = "<HHH"  # id, size, alignment; then padding
_LOCAL_HEADER_BYTES = 30
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)  # that zip knows
_FILE_MODE = 0o100644
_UNIX = 3
_BEST = 9


@dataclass(frozen=True)
class Entry:
    """A file of an archive.

    Attributes:
        name: Its path in the archive.
        data: What is in it, or the file that has it.
        alignment: It is stored as it is, at a multiple of so many bytes; None compresses it.
    """

    name: str
    data: bytes | Path
    alignment: int | None = None


def write_archive(path: Path, entries: Sequence[Entry]) -> None:
    """Write a zip archive; entries are in the order of their names.

    Raises:
        ValueError: Two entries have one name.
    """
    names = [entry.name for entry in entries]
    if len(set(names)) != len(names):
        raise ValueError(f"two entries of one name: {sorted(names)}")
    with zipfile.ZipFile(path, "w", compresslevel=_BEST) as archive:
        for entry in sorted(entries, key=lambda e: e.name):
            info = zipfile.ZipInfo(entry.name, _FIRST_DATE)
            info.create_system = _UNIX
            info.external_attr = _FILE_MODE << 16
            if entry.alignment is None:
                info.compress_type = zipfile.ZIP_DEFLATED
            else:
                info.extra = _padding(archive.start_dir, entry)
            _write(archive, info, entry.data)


def _padding(header_offset: int, entry: Entry) -> bytes:
    """An extra field behind which the next byte is at a multiple of the alignment."""
    alignment = entry.alignment or 1
    name_bytes = len(entry.name.encode())
    empty = struct.calcsize(_FIELD_HEADER)
    start = header_offset + _LOCAL_HEADER_BYTES + name_bytes + empty
    count = -start % alignment
    return struct.pack(_FIELD_HEADER, _ALIGNMENT_FIELD, 2 + count, alignment) + bytes(count)


def _write(archive: zipfile.ZipFile, info: zipfile.ZipInfo, data: bytes | Path) -> None:
    if isinstance(data, bytes):
        archive.writestr(info, data, compresslevel=_BEST)
        return
    info.file_size = data.stat().st_size
    with data.open("rb") as source, archive.open(info, "w") as place:
        shutil.copyfileobj(source, place)
