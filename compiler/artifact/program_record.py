"""A compiled program as JSON values: what the manifest and the reports say of it."""

from dataclasses import asdict
from typing import Any

from octavo.compiler.artifact.memory_plan import MemoryPlan
from octavo.compiler.artifact.weight_blob import WeightBlob
from octavo.compiler.lowering.program import Port, Program, Step
from octavo.compiler.measurements.key import operation_record
from octavo.compiler.roofline.traffic import step_traffic


def program_record(program: Program, plan: MemoryPlan, blob: WeightBlob) -> dict[str, Any]:
    """Describe a program.

    Returns:
        Keys ``name``, ``inputs``, ``outputs``, ``macs``, ``steps``, ``memory`` and
        ``metadata``.
    """
    return {
        "name": program.name,
        "inputs": [_port_record(port) for port in program.inputs],
        "outputs": [_port_record(port) for port in program.outputs],
        "macs": sum(step.macs for step in program.steps),
        "steps": [_step_record(i, step) for i, step in enumerate(program.steps)],
        "memory": _memory_record(plan, blob),
        "metadata": program.metadata,
    }


def _port_record(port: Port) -> dict[str, Any]:
    return {
        "name": port.name,
        "dtype": port.dtype,
        "shape": list(port.shape),
        "num_bytes": port.num_bytes,
        "scale": None if port.scale is None else float(port.scale),
        "zero_point": None if port.scale is None else int(port.zero_point or 0),
    }


def _step_record(index: int, step: Step) -> dict[str, Any]:
    return {
        "index": index,
        "name": step.name,
        "kernel": step.kernel,
        "variant": step.variant,
        "schedule": step.schedule,
        "tuned": step.is_tuned,
        "placement": step.placement,
        "on_accelerator": step.on_accelerator,
        "reason": step.reason,
        "op_types": list(step.op_types),
        "nodes": list(step.nodes),
        "macs": int(step.macs),
        "operation": None if step.op is None else operation_record(step.op),
        **asdict(step_traffic(step)),
        "scratch_bytes": _scratch_bytes(step),
        "padding": [asdict(padding) for padding in step.padding],
    }


def _scratch_bytes(step: Step) -> int:
    """Memory that a step writes and reads again for its own ends."""
    return sum(
        operand.buffer.num_bytes
        for operand in step.operands
        if operand.touched_bytes == 0 and not operand.buffer.persistent
    )


def _memory_record(plan: MemoryPlan, blob: WeightBlob) -> dict[str, Any]:
    return {
        "arena_bytes": plan.arena_bytes,
        "lower_bound_bytes": plan.lower_bound_bytes,
        "weights_bytes": blob.num_bytes,
        "weights_memory_bytes": blob.memory_bytes,
        "num_packed_weights": blob.num_packed,
        "persistent_bytes": plan.persistent_bytes,
        "order": plan.order,
        "buffers": [
            {
                "name": allocation.lifetime.buffer.name,
                "offset_bytes": allocation.offset_bytes,
                "num_bytes": allocation.lifetime.buffer.num_bytes,
                "first_step": allocation.lifetime.first_step,
                "last_step": allocation.lifetime.last_step,
            }
            for allocation in plan.allocations
        ],
    }
