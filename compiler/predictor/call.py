"""A kernel call as the predictor sees it: nothing of it needs the device."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from octavo.compiler.measurements.step_operation import GENERIC_TYPE, TRAFFIC
from octavo.compiler.predictor.operations import operation_from_record
from octavo.compiler.predictor.work import work_of
from octavo.compiler.predictor.work_size import Work

FLOAT_BYTES = 4
PRODUCTS = frozenset({"matmul", "dense", "conv1d", "conv2d", "conv3d"})


@dataclass(frozen=True)
class Call:
    """One kernel call.

    Attributes:
        variant: The implementation, such as "conv_gemm.avx512_vnni.9x64".
        kind: Type of its operation.
        work: Its size.
        schedule: Loop decisions; empty where the kernel has none.
    """

    variant: str
    kind: str
    work: Work
    schedule: Mapping[str, int | str | bool]

    @property
    def kernel(self) -> str:
        """Algorithm and element type."""
        return f"{self.variant.split('.')[0]}/{self.work.in_bits}"

    @property
    def form(self) -> str:
        """The variant without its tile, and element types: calls of one form are alike."""
        name = re.sub(r"\.\d+x\d+(x\d+)?$", "", self.variant)
        if self.kind == GENERIC_TYPE:
            name = f"relax.{generic_function(self.variant)}"
        return f"{name}/{self.work.in_bits}/{self.work.out_bits}"


def call_from_record(
    variant: str,
    operation: Mapping[str, Any],
    schedule: Mapping[str, int | str | bool] | None,
) -> Call | None:
    """Make a call of what databases and manifests have.

    Args:
        variant: The implementation.
        operation: The operation record as JSON values.
        schedule: Loop decisions.

    Returns:
        The call; None where this version does not know the operation.
    """
    kind = str(operation.get("type"))
    if kind == GENERIC_TYPE:
        work = _generic_work(variant, operation)
    else:
        op = operation_from_record(operation)
        work = None if op is None else work_of(op)
    return None if work is None else Call(variant, kind, work, dict(schedule or {}))


def generic_function(variant: str) -> str:
    """What heads a function of many: "matmul" of "relax.fused_matmul1_add"."""
    name = variant.removeprefix("relax.").removeprefix("fused_").removeprefix("tir_")
    return re.sub(r"\d+$", "", name.split("_")[0])


def _generic_work(variant: str, record: Mapping[str, Any]) -> Work | None:
    try:
        read, weights, written = (
            int(record[name]) for name in TRAFFIC)
    except (KeyError, TypeError, ValueError):
        return None
    # Products of (m, k) by (k, n): the elements multiplied are (m n k)**2.
    products = math.isqrt(read * weights * written // FLOAT_BYTES**3)
    return Work(
        rows=max(1, written // FLOAT_BYTES), columns=1, read_bytes=read,
        macs=products if generic_function(variant) in PRODUCTS else 0,
        weight_bytes=weights, written_bytes=written, in_bits=32, out_bits=32)
