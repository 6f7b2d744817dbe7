"""What identifies the operation of a step that no kernel of the library computes."""

from collections.abc import Mapping
from typing import Any

GENERIC_TYPE = "Relax"  # TVM makes the function; its bytes are all that is known of it
TRAFFIC = ("read_bytes", "weight_bytes", "written_bytes")


def step_operation(step: Mapping[str, Any]) -> dict[str, Any]:
    """The operation of a manifest's step as JSON values.

    Args:
        step: Entries "operation" and, where that is None, those of ``TRAFFIC``.

    Raises:
        KeyError: One of them is missing.
    """
    if step["operation"] is not None:
        return dict(step["operation"])
    return {"type": GENERIC_TYPE} | {name: int(step[name]) for name in TRAFFIC}
