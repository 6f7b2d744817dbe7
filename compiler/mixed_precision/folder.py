"""The folder of a search: its journal while it runs, its results when it has ended."""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from octavo.compiler.mixed_precision.journal import FILE_NAME, Journal
from octavo.errors import ArtifactError

RECORD, REPORT = "search.json", "report.html"
FRONT, BEST = "front", "best"
LOCK = "search.lock"
_RESULTS = (FRONT, BEST, RECORD, REPORT)
_UNFINISHED = ".results-"


@contextmanager
def open_folder(directory: Path, *, resume: bool, force: bool) -> Iterator[Journal]:
    """The journal of a folder, which nobody else uses meanwhile.

    Args:
        directory: Made if it is not there.
        resume: Go on with the search that it holds.
        force: Remove the search that it holds.

    Raises:
        ArtifactError: It holds a search and neither is given, none and ``resume`` is given,
            something else, or another process searches in it.
        StoreError: The journal cannot be read.
    """
    is_search, is_new = (directory / FILE_NAME).is_file(), not directory.exists()
    if directory.exists() and not directory.is_dir():
        raise ArtifactError(f"{directory} is no folder")
    if not is_new and not is_search and {p.name for p in directory.iterdir()} - {LOCK}:
        raise ArtifactError(f"{directory} holds no search; choose a folder that is not there")
    if is_search and not (resume or force):
        raise ArtifactError(
            f"{directory} holds a search; --resume goes on with it, --force begins anew")
    if resume and not is_search:
        raise ArtifactError(f"--resume: {directory} holds no search")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / LOCK).open("w")
    except OSError as error:
        raise ArtifactError(f"cannot write {directory}: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ArtifactError(f"another process searches in {directory}") from None
        if force and not resume:
            _remove(directory)
        with Journal(directory / FILE_NAME) as journal:
            try:
                yield journal
            except BaseException:
                is_empty = not journal.measurements()
                raise
            else:
                is_empty = False
            finally:
                journal.close()
                # A mistake found before anything was measured leaves nothing behind.
                if is_empty:
                    _remove(directory)
                    (directory / LOCK).unlink(missing_ok=True)
                    if is_new:
                        directory.rmdir()


def write_results(
    directory: Path,
    record: Mapping[str, Any],
    page: str,
    artifacts: Mapping[str, Callable[[Path], object]],
) -> None:
    """Replace the results of a search, all of them or none.

    Args:
        directory: Of the search.
        record: For search.json.
        page: For report.html.
        artifacts: What makes a folder, by its path in ``directory``.
    """
    for left in directory.glob(f"{_UNFINISHED}*"):  # of a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(dir=directory, prefix=_UNFINISHED))
    try:
        (made / FRONT).mkdir()
        for name, make in artifacts.items():
            make(made / name)
        best = record["best"]
        if best is not None:
            shutil.copytree(made / FRONT / str(best["id"]), made / BEST)
        (made / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        (made / REPORT).write_text(page, encoding="utf-8")
        _remove_results(directory)
        for name in _RESULTS:
            if (made / name).exists():
                os.rename(made / name, directory / name)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _remove(directory: Path) -> None:
    _remove_results(directory)
    for suffix in ("", "-wal", "-shm"):
        (directory / f"{FILE_NAME}{suffix}").unlink(missing_ok=True)


def _remove_results(directory: Path) -> None:
    for name in _RESULTS:
        path = directory / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
