"""The kernel calls of programs and artifacts, with what identifies them in the database."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from octavo.compiler.measurements.key import json_text, operation_record
from octavo.compiler.measurements.latencies import KernelLatency
from octavo.compiler.measurements.step_operation import step_operation
from octavo.compiler.predictor.call import Call, call_from_record
from octavo.errors import ArtifactError, DataError

if TYPE_CHECKING:
    from octavo.compiler.lowering.program import Program, Step

Identity = tuple[str, str, str]


@dataclass(frozen=True)
class NamedCall:
    """A step of a program.

    Attributes:
        name: The layer.
        call: What it calls.
        identity: Variant, operation and schedule: equal ones are the same kernel.
    """

    name: str
    call: Call
    identity: Identity


def row_identity(row: KernelLatency) -> Identity:
    """Identity of the kernel that a row is about."""
    return row.key.kernel, row.key.operation, json_text(row.schedule)


def calls_of_program(program: "Program") -> list[NamedCall]:
    """Calls of a lowered program, in run order.

    Raises:
        DataError: The predictor knows nothing of a step.
    """
    return [named_call(_record(step)) for step in program.steps]


def calls_of_manifest(manifest: Mapping[str, Any]) -> list[NamedCall]:
    """Calls of an artifact, in run order.

    Raises:
        ArtifactError: The manifest lacks an entry.
        DataError: The predictor knows nothing of a step.
    """
    try:
        steps: Sequence[Mapping[str, Any]] = manifest["steps"]
        return [named_call(step) for step in steps]
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"manifest.json is malformed ({type(error).__name__}: {error}); compile again"
        ) from error


def named_call(step: Mapping[str, Any]) -> NamedCall:
    """Make a call of a step as a manifest has it."""
    name, variant, schedule = str(step["name"]), str(step["variant"]), step["schedule"]
    if step.get("on_accelerator"):
        raise DataError(f"{name}: latencies of accelerators are not predicted")
    operation = json_text(step_operation(step))
    call = call_from_record(variant, step_operation(step), schedule)
    if call is None:
        raise DataError(
            f"{name}: {variant} computes an operation of another version; compile again")
    return NamedCall(name, call, (variant, operation, json_text(schedule)))


def _record(step: "Step") -> dict[str, Any]:
    from octavo.compiler.roofline.traffic import step_traffic

    return {
        "name": step.name,
        "variant": step.variant,
        "schedule": step.schedule,
        "on_accelerator": step.on_accelerator,
        "operation": None if step.op is None else operation_record(step.op),
        **asdict(step_traffic(step)),
    }
