"""Labels beside the samples, and the share of them that outputs get right."""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.calibration.reference_run import Arrays
from octavo.errors import DataError

LABEL_NAMES = ("label", "labels")
MAX_LABEL_BYTES = 1024  # of one, with room for a header: nothing larger is unpacked

Labels = NDArray[np.int64]


def read_labels(
    source: Path, num_samples: int, *, inputs: Sequence[str] = ()
) -> Labels | None:
    """The array ``label`` or ``labels`` of a .npz file, one class for each sample.

    Args:
        source: What samples come from; only a .npz file can have labels.
        num_samples: How many inferences it holds.
        inputs: Names of the model's inputs: such an array is no label.

    Returns:
        (num_samples,), or None where there are none.

    Raises:
        DataError: The labels are no integers, or not one for each sample.
    """
    if source.suffix != ".npz":
        return None
    # Pickled objects are never loaded: an array of them raises.
    with np.load(source, allow_pickle=False) as archive:
        name = next((n for n in LABEL_NAMES if n in archive.files and n not in inputs), None)
        if name is None:
            return None
        if archive.zip.getinfo(f"{name}.npy").file_size > MAX_LABEL_BYTES * (1 + num_samples):
            raise DataError(f"{source}: labels {name!r} are more than {num_samples} integers")
        try:
            labels = archive[name]
        except (ValueError, OSError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{source}: labels {name!r} cannot be read: {error}") from error
    if labels.dtype.kind not in "iu" or labels.shape != (num_samples,):
        raise DataError(
            f"{source}: labels {name!r} are {labels.dtype}{list(labels.shape)}; one integer"
            f" for each of {num_samples} samples is needed"
        )
    found: Labels = labels.astype(np.int64)
    return found


def accuracy(outputs: Sequence[Arrays], labels: Labels) -> float | None:
    """Share of samples whose largest output is the one of their label.

    Args:
        outputs: Float outputs for each sample.
        labels: (samples,).

    Returns:
        0 to 1; None when there is not one output of one row, or a label is no class of it.
    """
    rows = [array for arrays in outputs for array in arrays.values()]
    if len(rows) != len(labels) or any(row.size != row.shape[-1] for row in rows):
        return None
    if labels.min() < 0 or labels.max() >= rows[0].size:
        return None
    right = [int(row.argmax()) == label for row, label in zip(rows, labels, strict=True)]
    return float(np.mean(right))
