"""What the models are told of a kernel call, as numbers."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from octavo.compiler.predictor.call import Call

LANES = 16  # columns are also counted in vectors of this many; remainders tell of others
DOT_K = 4  # 8-bit products that most instruction sets add up at once
RECURRENT = frozenset({"Lstm", "WordLstm", "Gru"})
SLOW_FUNCTIONS = re.compile(r"erf|exp|tanh|sigmoid|sqrt|pow|log|div|sin|cos|softmax")

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Caches:
    """Bytes of the first and second level of a core's data caches."""

    l1_bytes: int
    l2_bytes: int


def caches_of(device: str, default: Caches) -> Caches:
    """Read the sizes from the text of ``octavo.compiler.measurements.key.device_text``."""
    sizes = {int(level): int(size) for level, size in re.findall(r"\bL(\d):(\d+)", device)}
    return Caches(sizes.get(1, default.l1_bytes), sizes.get(2, default.l2_bytes))


@dataclass(frozen=True)
class ProgramSize:
    """What the calls of a program touch, all together.

    Attributes:
        weight_bytes: Constants: they were last read one whole run ago.
        written_bytes: Results, each counted; the arena holds some of them at a time.
    """

    weight_bytes: int
    written_bytes: int

    @property
    def num_bytes(self) -> int:
        """What drives code and constants out of the caches between two runs."""
        return self.weight_bytes + self.written_bytes


def program_size(calls: Iterable[tuple[Call, int]]) -> ProgramSize:
    """Add up calls, each with how often it is made."""
    works = [(call.work, count) for call, count in calls]
    return ProgramSize(
        sum(work.weight_bytes * count for work, count in works),
        sum(work.written_bytes * count for work, count in works))


@dataclass(frozen=True)
class Tile:
    """The register tile of a kernel.

    Attributes:
        rows: Results along the rows that stay in registers.
        columns: Results along the columns.
    """

    rows: int
    columns: int


def tile_of(call: Call) -> Tile:
    """Read the tile from the name of the variant, whose last part is ROWSxCOLUMNS.

    Of kernels without products, such a part is the window.
    """
    found = re.search(r"\.(\d+)x(\d+)(?:x\d+)?$", call.variant) if call.work.macs else None
    return Tile(int(found.group(1)), int(found.group(2))) if found else Tile(1, LANES)


@dataclass(frozen=True)
class Geometry:
    """Work as a tile cuts it.

    Attributes:
        tiles: Tiles that are computed, over all repeats.
        steps: Instructions that multiply, along the reduction.
        padded_macs: Multiply-accumulates that are computed, those for nothing included.
        results: Results, over all repeats.
    """

    tiles: int
    steps: int
    padded_macs: int
    results: int


def geometry_of(call: Call, tile: Tile) -> Geometry:
    """Count what is computed."""
    work = call.work
    dot_k = DOT_K if work.in_bits == 8 else 1
    columns = work.columns * (work.repeats if work.is_depthwise else 1)
    repeats = 1 if work.is_depthwise else work.repeats
    steps = _parts(work.depth, dot_k)
    if work.is_depthwise:  # products of one column of the window are added up at once
        steps = work.window // work.window_h * _parts(work.window_h, dot_k)
    row_tiles, column_tiles = _parts(work.rows, tile.rows), _parts(columns, tile.columns)
    padded_columns = _parts(columns, LANES) * LANES
    if work.is_depthwise:  # tiles end with the line, and none has fewer columns
        row_tiles = work.rows // work.line * _parts(work.line, tile.rows)
        padded_columns = column_tiles * tile.columns
    padded = work.macs
    if work.is_depthwise or (work.macs and work.depth > 1):  # else how it is cut is unknown
        padded = repeats * row_tiles * tile.rows * padded_columns * steps * dot_k
    return Geometry(
        tiles=repeats * row_tiles * column_tiles,
        steps=steps,
        padded_macs=padded,
        results=repeats * work.rows * columns,
    )


def _span_bytes(call: Call) -> int:
    work = call.work
    return max(work.span_bytes, work.read_bytes + work.written_bytes)


def _reused_bytes(call: Call, tile: Tile) -> int:
    """Weights that are read again and again: of a tile, or of all gates in each time step."""
    columns = call.work.columns if call.kind in RECURRENT else tile.columns
    return call.work.depth * columns * call.work.in_bits // 8


def _parts(count: int, size: int) -> int:
    return -(-count // max(size, 1))


def cost_terms(call: Call, program: ProgramSize, caches: Caches) -> FloatArray:
    """What the time of a call is a sum of, each with a factor that is fitted.

    Args:
        call: The call.
        program: The program around it.
        caches: Of the device.

    Returns:
        (terms,) in thousands, >= 0; the first is the call itself.
    """
    work, tile = call.work, tile_of(call)
    geometry = geometry_of(call, tile)
    touched, span = work.read_bytes + work.written_bytes, _span_bytes(call)
    is_far = program.num_bytes > caches.l2_bytes
    terms = (
        1e3,
        1e3 * is_far,
        geometry.padded_macs,
        geometry.tiles * geometry.steps * (tile.rows + tile.columns / LANES),
        geometry.tiles,
        geometry.padded_macs / tile.rows * (_reused_bytes(call, tile) > caches.l1_bytes),
        geometry.results,
        work.rows * work.repeats,
        geometry.results * (work.depth if not work.macs else work.extra_terms),
        work.read_bytes,
        work.written_bytes,
        work.weight_bytes,
        work.weight_bytes * is_far,
        max(0, touched - caches.l1_bytes),
        max(0, span - caches.l2_bytes),
    )
    return np.array(terms, np.float64) / 1e3


NUMBERS = (
    "macs", "padded_macs", "waste", "results", "rows", "columns", "depth", "repeats",
    "read_bytes", "written_bytes", "weight_bytes", "touched_bytes", "span_bytes",
    "program_bytes", "program_weight_bytes", "reused_bytes",
    "intensity", "run", "window", "window_h", "stride", "line", "extra_terms", "in_bits",
    "out_bits", "is_padded", "is_dilated", "tile_rows", "tile_columns", "tiles", "row_rest",
    "column_rest", "lane_rest", "depth_rest", "run_rest", "block_tiles", "blocks",
    "slow_functions", "fused", "weights_share",
)  # fmt: skip


def numbers(call: Call, program: ProgramSize) -> FloatArray:
    """Everything that a tree may ask, (``len(NUMBERS)``,); sizes as logarithms."""
    work, tile = call.work, tile_of(call)
    geometry = geometry_of(call, tile)
    columns = work.columns * (work.repeats if work.is_depthwise else 1)
    touched = work.read_bytes + work.written_bytes
    stem = call.variant.split(".", 1)[-1]
    values: Mapping[str, float] = {
        "macs": _log(work.macs),
        "padded_macs": _log(geometry.padded_macs),
        "waste": geometry.padded_macs / work.macs if work.macs else 1.0,
        "results": _log(geometry.results),
        "rows": _log(work.rows),
        "columns": _log(columns),
        "depth": _log(work.depth),
        "repeats": _log(work.repeats),
        "read_bytes": _log(work.read_bytes),
        "written_bytes": _log(work.written_bytes),
        "weight_bytes": _log(work.weight_bytes),
        "touched_bytes": _log(touched),
        "span_bytes": _log(_span_bytes(call)),
        "program_bytes": _log(program.num_bytes),
        "program_weight_bytes": _log(program.weight_bytes),
        "reused_bytes": _log(_reused_bytes(call, tile) if work.macs else 0),
        "intensity": _log(work.macs) - _log(touched + work.weight_bytes),
        "run": _log(work.run),
        "window": work.window,
        "window_h": work.window_h,
        "stride": work.stride,
        "line": _log(work.line),
        "extra_terms": work.extra_terms,
        "in_bits": work.in_bits,
        "out_bits": work.out_bits,
        "is_padded": work.is_padded,
        "is_dilated": work.is_dilated,
        "tile_rows": tile.rows,
        "tile_columns": tile.columns,
        "tiles": _log(geometry.tiles),
        "row_rest": _rest(work.rows, tile.rows),
        "column_rest": _rest(columns, tile.columns),
        "lane_rest": columns % LANES,
        "depth_rest": work.depth % DOT_K,
        "run_rest": work.run % LANES,
        "block_tiles": _log(_number(call.schedule.get("block_tiles"))),
        "blocks": _log(_number(call.schedule.get("blocks"))),
        "slow_functions": len(SLOW_FUNCTIONS.findall(stem)),
        "fused": stem.count("_"),
        "weights_share": work.weight_bytes / max(1, touched + work.weight_bytes),
    }
    return np.array([values[name] for name in NUMBERS], np.float64)


def codes(categories: Sequence[str], known: Sequence[str]) -> FloatArray:
    """Places of categories among the known ones; NaN for others."""
    place = {name: float(index) for index, name in enumerate(known)}
    return np.array([place.get(name, math.nan) for name in categories])


def _log(value: float) -> float:
    return math.log2(1.0 + value)


def _rest(count: int, size: int) -> float:
    """Share of the last tile that is computed for nothing, of all."""
    return _parts(count, size) * size / max(count, 1) - 1.0


def _number(value: int | str | bool | None) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
