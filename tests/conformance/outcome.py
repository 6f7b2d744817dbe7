"""Compile one backend test for the host, run it, and say in words how it ended."""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tests.conformance.cases import Case, load_case
from tests.conformance.program_runner import KernelError, ProgramRunner

from octavo.compiler.importer import import_model
from octavo.compiler.lowering.lower import lower
from octavo.errors import OctavoError

PASS = "pass"
_MAX_REASON = 160


def outcome(name: str, runner: ProgramRunner) -> str:
    """``PASS``, or why a test does not pass.

    Errors that Octavo reports are reasons; anything else that goes wrong starts with "bug".
    """
    case = load_case(name)
    path = runner.folder / "case.onnx"
    try:
        return _shortened(_run(case, runner, path))
    except (OctavoError, KernelError) as error:
        return _shortened(f"{type(error).__name__}: {error}")
    except Exception as error:
        return _shortened(f"bug: {type(error).__name__}: {error}")


def _run(case: Case, runner: ProgramRunner, path: Path) -> str:
    path.write_bytes(case.model.SerializeToString())
    shapes = {name: array.shape for name, array in case.inputs.items()}
    program = lower(import_model(path, shapes=shapes), runner.target)
    results = runner.run(program, case.inputs)
    for name, expected in case.outputs.items():
        if reason := _difference(results[name], expected, case):
            return f"output {name!r}: {reason}"
    return PASS


def _difference(result: NDArray, expected: NDArray, case: Case) -> str:
    """Why two arrays are not the same; "" when they are."""
    if result.dtype != expected.dtype or result.shape != expected.shape:
        return f"{result.dtype}{result.shape}, expected {expected.dtype}{expected.shape}"
    if expected.dtype.kind in "biu":
        wrong = int((result != expected).sum())
        return f"{wrong} of {expected.size} values differ" if wrong else ""
    a, b = result.astype(np.float64), expected.astype(np.float64)
    if np.allclose(a, b, rtol=case.rtol, atol=case.atol, equal_nan=True):
        return ""
    with np.errstate(all="ignore"):
        error = np.nanmax(np.abs(a - b)) if a.size else 0.0
    return f"wrong by {error:.3g}"


def _shortened(reason: str) -> str:
    """One line without what changes from run to run."""
    line = re.sub(r"\s+", " ", reason).strip()
    line = re.sub(r"0x[0-9a-f]+", "an address", line)
    return line if len(line) <= _MAX_REASON else line[: _MAX_REASON - 3] + "..."
