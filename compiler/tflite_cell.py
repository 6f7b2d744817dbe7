"""What a fused LSTM of a TFLite file says and ONNX's operator has no words for.

The metadata of the node remembers it, so that it stays with a model wherever passes take it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from octavo.errors import ModelError
from octavo.targets.ops.word_functions import MAX_INTEGER_BITS, WORD_MAX

METADATA_KEY = "octavo.tflite_cell"


@dataclass(frozen=True)
class TfliteCell:
    """How the cell is stored, in 16 bits.

    Attributes:
        integer_bits: Before the point, 0 to ``MAX_INTEGER_BITS``.
        limit: Largest magnitude as it is stored, at most ``WORD_MAX``; 0 for the type's.
    """

    integer_bits: int
    limit: int

    def text(self) -> str:
        """What the metadata says."""
        return json.dumps(asdict(self))


def cell_of(metadata: Mapping[str, str]) -> TfliteCell | None:
    """The cell that a node's metadata describes, None where there is none.

    Raises:
        ModelError: What is said is no such cell.
    """
    text = metadata.get(METADATA_KEY)
    if text is None:
        return None
    try:
        cell = TfliteCell(**json.loads(text))
        is_valid = cell.integer_bits in range(MAX_INTEGER_BITS + 1) and cell.limit in range(
            WORD_MAX + 1
        )
    except (TypeError, ValueError, RecursionError):
        is_valid = False
    if not is_valid:
        raise ModelError(f"metadata '{METADATA_KEY}' is {text[:40]!r}, which is no cell")
    return cell
