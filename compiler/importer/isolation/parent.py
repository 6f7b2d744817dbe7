"""Import a model in a child process, and turn whatever happens to it into one line."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from typing import Any

from octavo.compiler.importer.isolation.resources import WAIT_FACTOR, cpu_limit_s
from octavo.compiler.importer.request import Imported, ImportRequest
from octavo.errors import ModelError

# The child imports from where this process does. Its own folder would come first otherwise,
# and a folder of downloaded models may hold a numpy.py.
_PROGRAM = """
import json, sys
told = json.loads(sys.stdin.readline())
sys.path[:] = told["path"]
from octavo.compiler.importer.isolation.child import main
main(sys.stdin.readline(), told["result_file"])
"""
# A pool of threads maps memory for each, and none of them has anything to do.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
# Descriptors are handed on, and limits exist, on systems of this kind alone.
IS_POSSIBLE = os.name == "posix"
TRUSTED = "OCTAVO_TRUST_MODELS"
REMEDY = f"{TRUSTED}=1 imports models without limits"


def import_in_child(
    request: ImportRequest, meanwhile: Callable[[], object] | None = None
) -> Imported:
    """Import a model in a process with limits.

    Args:
        request: What to import.
        meanwhile: Work for this process while the other one starts.

    Raises:
        ModelError: The model is refused, or its import crashed, or took more memory or time
            than allowed.
        OSError: No process or file can be had.
    """
    with tempfile.TemporaryFile() as result:
        code, output, errors = _run(request, result.fileno(), meanwhile)
        told = _outcome(output)
        if code != 0 or told is None:
            raise ModelError(f"'{request.path}': {_death(code, request, errors)}")
        _check(told, request)
        from octavo.compiler.importer.isolation.draft_file import read_draft

        return read_draft(result, request.limits)


def _run(
    request: ImportRequest, result_file: int, meanwhile: Callable[[], object] | None
) -> tuple[int, str, str]:
    told = json.dumps({"path": list(map(str, sys.path)), "result_file": result_file})
    with subprocess.Popen(
        [sys.executable, "-P", "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=(result_file,),
        env=os.environ | _ENVIRONMENT,
        encoding="utf-8",
        errors="replace",
    ) as child:
        try:
            assert child.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # it is dead; its code says of what
                child.stdin.write(f"{told}\n{request.to_json()}\n")
                child.stdin.flush()
            import_module("octavo.compiler.importer.isolation.draft_file")  # loads onnx
            if meanwhile is not None:
                meanwhile()
            output, errors = child.communicate(timeout=_wait_s(request))
        except subprocess.TimeoutExpired as error:
            raise ModelError(
                f"'{request.path}': its import did not end in {error.timeout:.0f} s; {REMEDY}"
            ) from error
        finally:
            child.kill()
    return child.returncode, output, errors


def _wait_s(request: ImportRequest) -> float:
    try:
        num_bytes = os.stat(request.path).st_size
    except (OSError, ValueError):  # the child says what is wrong
        num_bytes = 0
    if request.allow_external_data:
        num_bytes += request.limits.external_bytes
    return WAIT_FACTOR * cpu_limit_s(request.limits, num_bytes)


def _outcome(output: str) -> dict[str, Any] | None:
    try:
        told = json.loads(output.splitlines()[-1])  # libraries may print before
    except (ValueError, IndexError):
        return None
    return told if isinstance(told, dict) else None


def _check(told: dict[str, Any], request: ImportRequest) -> None:
    """Raise what the child said."""
    match told["kind"]:
        case "model":
            raise ModelError(told["message"])
        case "memory":
            raise ModelError(f"'{request.path}': {_memory(request)}")
        case "system":
            raise OSError(f"importing '{request.path}': {told['message']}")
        case "fault":
            raise RuntimeError(f"importing '{request.path}' failed:\n{told['message']}")


def _death(code: int, request: ImportRequest, errors: str) -> str:
    """Say what a process died of that did not come to say anything."""
    last_line = (errors.strip().splitlines() or [""])[-1][:200]
    if code >= 0:
        return f"its import ended with code {code} {last_line}".rstrip()
    name = signal.Signals(-code).name
    if name in ("SIGXCPU", "SIGKILL"):
        # SIGKILL is also how a system ends what took its last memory
        return f"its import took more time or memory than allowed ({name}); {REMEDY}"
    # C++ calls abort() when there is no memory for what cannot do without
    if name == "SIGABRT" and "bad_alloc" in errors:
        return _memory(request)
    return f"its import crashed ({name})"


def _memory(request: ImportRequest) -> str:
    size = request.limits.memory_bytes // 2**20
    return f"its import took more memory than allowed, {size} MiB beside the file; {REMEDY}"
