"""What is in this package: models.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent


def _read() -> dict[str, Any]:
    with (FOLDER / "models.json").open(encoding="ascii") as file:
        record: dict[str, Any] = json.load(file)
    return record


_RECORD = _read()
VERSION: str = _RECORD["version"]
LIBRARY = FOLDER / _RECORD["library"]
WEIGHTS = {model["name"]: FOLDER / model["weights"] for model in _RECORD["models"]}
MODELS = tuple(WEIGHTS)
