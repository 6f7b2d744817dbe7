"""Labels beside the samples, and the share of them that outputs get right.

A sample has one label, or one for each row of its output, such as each node of a graph; there
-1 is a row that does not count.
"""

import math
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.calibration.reference_run import Arrays
from octavo.errors import DataError

LABEL_NAMES = ("label", "labels")
MAX_LABEL_BYTES = 2**28  # of all rows of all samples: nothing larger is unpacked
UNKNOWN = -1  # a row that does not count

Labels = NDArray[np.int64]


def read_labels(
    source: Path, num_samples: int, *, inputs: Sequence[str] = ()
) -> Labels | None:
    """The array ``label`` or ``labels`` of a .npz file, the classes of each sample.

    Args:
        source: What samples come from; only a .npz file can have labels.
        num_samples: How many inferences it holds.
        inputs: Names of the model's inputs: such an array is no label.

    Returns:
        (num_samples,), or (num_samples, rows) with -1 for rows that do not count; None where
        there are none.

    Raises:
        DataError: The labels are no integers, or not some for each sample.
    """
    if source.suffix != ".npz":
        return None
    # Pickled objects are never loaded: an array of them raises.
    with np.load(source, allow_pickle=False) as archive:
        name = next((n for n in LABEL_NAMES if n in archive.files and n not in inputs), None)
        if name is None:
            return None
        try:
            _check_header(archive.zip, name, num_samples, source)
            labels = archive[name]
        except (ValueError, OSError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{source}: labels {name!r} cannot be read: {error}") from error
    found: Labels = labels.astype(np.int64)
    return found


def _check_header(archive: zipfile.ZipFile, name: str, num_samples: int, source: Path) -> None:
    """Refuse labels by what their header says, before they are unpacked.

    Raises:
        DataError, ValueError, OSError: As ``read_labels`` says.
    """
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        # Version 3 differs from 2 in the encoding of field names; labels have none.
        read = np.lib.format.read_array_header_1_0
        read = read if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
    if dtype.kind == "O":
        raise ValueError("it holds Python objects")
    if dtype.kind not in "iu" or len(shape) not in (1, 2) or shape[0] != num_samples:
        raise DataError(
            f"{source}: labels {name!r} are {dtype}{list(shape)}; one integer for each of"
            f" {num_samples} samples is needed, or one for each row of each"
        )
    num_bytes = max(
        math.prod(shape) * dtype.itemsize, archive.getinfo(f"{name}.npy").file_size
    )
    if num_bytes > MAX_LABEL_BYTES:
        raise DataError(f"{source}: labels {name!r} take {num_bytes} bytes of memory")


def accuracy(outputs: Sequence[Arrays], labels: Labels) -> float | None:
    """Share of rows whose largest output is the one of their label.

    Args:
        outputs: Float outputs for each sample, (..., rows, classes).
        labels: (samples,) where a sample has one row, else (samples, rows); -1 does not count.

    Returns:
        0 to 1; None when a sample has not one output with so many rows, a label is no class of
        it, or none counts.
    """
    arrays = [array for named in outputs for array in named.values()]
    rows = labels.reshape(len(labels), -1)
    if len(arrays) != len(rows) or any(
        array.ndim == 0 or array.size != array.shape[-1] * rows.shape[1] for array in arrays
    ):
        return None
    # -1 is a class like any other wrong one where a sample has a single row.
    least = UNKNOWN if labels.ndim > 1 else 0
    if labels.min() < least or labels.max() >= arrays[0].shape[-1]:
        return None
    known = rows != UNKNOWN
    if not known.any():
        return None
    answers = np.stack([a.reshape(-1, a.shape[-1]).argmax(axis=1) for a in arrays])
    return float(np.mean((answers == rows)[known]))
