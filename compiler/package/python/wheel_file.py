"""The archive of a wheel: the same bytes every time, with its record.

Source: Python packaging user guide, Binary distribution format.
"""

import base64
import csv
import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

_FIRST_DATE = (1980, 1, 1, 0, 0, 0)  # that zip knows
_MODES = {".so": 0o100755}
_FILE_MODE = 0o100644
_UNIX = 3
_BEST = 9


def write_wheel(path: Path, info_folder: str, files: Mapping[str, bytes]) -> None:
    """Write a wheel.

    Args:
        path: The archive.
        info_folder: Folder of the metadata, which comes last, so that it can be replaced.
        files: What is in each file, by its path in the wheel, without the record.
    """
    inside = f"{info_folder}/"
    order = sorted(files, key=lambda name: (name.startswith(inside), name))
    record = f"{inside}RECORD"
    with zipfile.ZipFile(path, "w") as archive:
        for name in order:
            _write(archive, name, files[name])
        _write(archive, record, _record({name: files[name] for name in order}, record))


def _write(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, _FIRST_DATE)
    info.create_system = _UNIX
    info.external_attr = _MODES.get(Path(name).suffix, _FILE_MODE) << 16
    archive.writestr(info, data, zipfile.ZIP_DEFLATED, _BEST)


def _record(files: Mapping[str, bytes], own_name: str) -> bytes:
    """Checksum and size of each file; those of the record itself are left out."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode("ascii")
        writer.writerow([name, f"sha256={digest.rstrip('=')}", len(data)])
    writer.writerow([own_name, "", ""])
    return text.getvalue().encode("utf-8")
