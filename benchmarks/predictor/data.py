"""The latencies that were collected, as the predictor learns from them."""

import json
import lzma
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from octavo.compiler.measurements.key import json_text
from octavo.compiler.measurements.step_operation import step_operation
from octavo.compiler.predictor.call import call_from_record
from octavo.compiler.predictor.features import Caches
from octavo.compiler.predictor.training_set import MeasuredCall


@dataclass(frozen=True)
class Program:
    """One network in one precision, as it was measured.

    Attributes:
        network: Name.
        family: Networks of one family are left out together.
        precision: "int8" or "float32".
        is_zoo: A known architecture.
        calls: Its calls; equal ones are one.
        whole_us: Of a whole inference, without clocks between the steps.
    """

    network: str
    family: str
    precision: str
    is_zoo: bool
    calls: tuple[MeasuredCall, ...]
    whole_us: float

    @property
    def steps_us(self) -> float:
        """Sum of the steps."""
        return sum(m.latency_us * m.count for m in self.calls)


def read_programs(path: Path) -> list[Program]:
    """Read what ``gather`` wrote."""
    return [_program(record) for record in _records(path)]


def read_caches(path: Path) -> tuple[str, Caches]:
    """Name of the CPU that was measured, and its caches."""
    record = next(_records(path))
    sizes = dict(record["caches"])
    return record["cpu"], Caches(sizes[1], sizes[2])


def _records(path: Path) -> Iterator[dict[str, Any]]:
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _program(record: dict[str, Any]) -> Program:
    same: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for step in record["steps"]:
        operation = json_text(step_operation(step))
        key = step["variant"], operation, json_text(step["schedule"])
        same[key].append(step["latency_us"])
    calls = []
    for (variant, operation, schedule), latencies in same.items():
        call = call_from_record(variant, json.loads(operation), json.loads(schedule))
        assert call is not None, operation
        calls.append(MeasuredCall(call, float(np.median(latencies)), len(latencies)))
    return Program(
        record["network"], record["family"], record["precision"], record["is_zoo"],
        tuple(calls), record["whole_us"])
