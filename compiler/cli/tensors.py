"""Model inputs from a file, and outputs to one."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octavo.compiler.cli.output_file import write_output_file
from octavo.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_VALUES_SHOWN = 16  # of an output, in words; JSON has MAX_VALUES_JSON
MAX_VALUES_JSON = 4096


def read_tensors(path: Path, input_names: tuple[str, ...]) -> "dict[str, NDArray[Any]]":
    """Read the inputs of one inference.

    Args:
        path: .npz with an array per input, or .npy for a model with one input.
        input_names: What the model asks for.

    Returns:
        Arrays by input name.

    Raises:
        DataError: The file is no such file, or holds Python objects.
    """
    import numpy as np

    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            if len(input_names) != 1:
                raise DataError(
                    f"{path}: a .npy file has one array, the model has"
                    f" {len(input_names)} inputs ({', '.join(input_names)}); use .npz"
                )
            return {input_names[0]: loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except (ValueError, EOFError, zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{path}: not a readable .npz or .npy file ({error})") from error


def write_tensors(tensors: "Mapping[str, NDArray[Any]]", path: Path) -> None:
    """Write arrays as .npz, whole or not at all."""
    import numpy as np

    data = io.BytesIO()
    np.savez(data, allow_pickle=False, **tensors)
    write_output_file(path, data.getvalue())


def describe_tensor(name: str, array: "NDArray[Any]") -> dict[str, Any]:
    """An array as JSON data: its values when there are few, else its range."""
    described: dict[str, Any] = {
        "name": name,
        "dtype": str(array.dtype),
        "shape": list(array.shape),
    }
    if array.size:
        described |= {"min": array.min(), "max": array.max()}
    if array.size <= MAX_VALUES_JSON:
        described["values"] = array
    return described


def tensor_line(name: str, array: "NDArray[Any]") -> str:
    """An array in one line: the first values, and how many there are."""
    values = " ".join(f"{v:.6g}" for v in array.ravel()[:MAX_VALUES_SHOWN])
    more = " ..." if array.size > MAX_VALUES_SHOWN else ""
    shape = "x".join(str(d) for d in array.shape) or "scalar"
    return f"{name} {array.dtype} {shape}: {values}{more}"
