"""The process that imports: reads a request, limits itself, and leaves a draft or an error."""

import contextlib
import json
import os
import sys
import traceback
from typing import Any, BinaryIO

from octavo.compiler.importer.isolation.draft_file import write_draft
from octavo.compiler.importer.isolation.resources import restrict
from octavo.compiler.importer.request import ImportRequest
from octavo.compiler.importer.stages import import_here
from octavo.errors import ModelError


def run(request_text: str, result_file: int) -> dict[str, Any]:
    """Import a model.

    Args:
        request_text: From ``ImportRequest.to_json``.
        result_file: Descriptor of the empty file that the draft goes to.

    Returns:
        How it ended: ``kind`` is "done", "model", "memory", "system" or "fault", and
        ``message`` says more.
    """
    request = ImportRequest.from_json(request_text)
    limits = request.limits
    external_bytes = limits.external_bytes if request.allow_external_data else 0
    grant = restrict(limits, _file_bytes(request.path, limits.file_bytes), external_bytes)
    try:
        imported = import_here(request, grant)
        file: BinaryIO
        with os.fdopen(result_file, "wb", closefd=False) as file:
            write_draft(file, imported)
    except ModelError as error:
        return {"kind": "model", "message": str(error)}
    except MemoryError:
        return {"kind": "memory"}
    except OSError as error:
        return {"kind": "system", "message": str(error)}
    except Exception:
        return {"kind": "fault", "message": traceback.format_exc()}
    return {"kind": "done"}


def _file_bytes(path: str, most: int) -> int:
    with contextlib.suppress(OSError, ValueError):  # importing it says what is wrong
        return min(os.stat(path).st_size, most)
    return 0


def main(request_text: str, result_file: int) -> None:
    """Run, and write how it ended as a line of JSON, the last of this process."""
    sys.stdout.write(f"{json.dumps(run(request_text, result_file))}\n")
