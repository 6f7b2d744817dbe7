"""What Winograd's convolution costs by a model of the machine, and with which loops.

The constants fit the times of 3x3 convolutions of ResNet-50 with AVX2 and AVX-512 VNNI.
"""

from dataclasses import replace

from octavo.targets.isa import Isa
from octavo.targets.kernels.winograd_layout import (
    NUM_POINTS,
    WinogradLayout,
    WinogradSchedule,
)
from octavo.targets.ops.conv import Conv
from octavo.targets.word_isa import word_isa

MAX_ROWS = 16
MAX_PANEL = 4
OVERHEAD_REGISTERS = 3  # the repeated activation, and what ``dot`` needs
WORD_BYTES, SUM_BYTES = 2, 4
# Cycles to transform one vector of words of input and of weights, and one of sums back.
INPUT_CYCLES, WEIGHT_CYCLES, OUTPUT_CYCLES = 110.0, 60.0, 115.0
PIXELS_CYCLES = 80.0  # joining and storing the outputs of one tile and panel
STORED_BYTE_CYCLES = 0.05  # storing what is transformed, which displaces other memory
NEAR_SUM_BYTES = 40 * 1024  # more sums do not stay in the first-level cache
FAR_SUM_CYCLES = 1.5  # what storing and loading one of their vectors costs then
NEAR_BYTES = 640 * 1024  # what stays in the second-level cache
MAX_KEPT_BYTES = 8 * 1024 * 1024  # of transformed weights, of one layer at a time
# What reading a byte costs more that comes from behind the second level: weights are read line
# after line while products run, input in rows.
FAR_WEIGHT_CYCLES, FAR_INPUT_CYCLES = 0.015, 0.06
# Direct convolution: operands shared by the accumulators of a usual register tile.
DIRECT_ROWS, DIRECT_PANEL = 4, 2
MIN_GAIN = 1.1  # the model is not better than that
BYTES_PER_TIME = 200 * 1024 * 1024  # a hundredth of it is worth one percent of the time
MAX_SLOWDOWN = 1.3  # slower loops, by the model, are not worth measuring


def winograd_schedules(op: Conv, isa: Isa) -> list[WinogradSchedule]:
    """List the loops that may be the fastest, the model's choice first."""
    vectors = op.out_c // isa.lanes
    depth = NUM_POINTS * op.in_c * WORD_BYTES
    first = WinogradLayout(op, isa, WinogradSchedule(1, 1, keeps_weights=True))
    candidates = [
        WinogradSchedule(rows, panel, keeps_weights)
        for panel in range(1, min(vectors, MAX_PANEL) + 1)
        if vectors % panel == 0
        for rows in range(1, min(first.tiles, MAX_ROWS) + 1)
        if rows * panel + panel + OVERHEAD_REGISTERS <= isa.num_registers
        for keeps_weights in (True, False)
        if not keeps_weights or depth * op.out_c <= MAX_KEPT_BYTES
    ]

    def cost(schedule: WinogradSchedule) -> float:
        layout = replace(first, schedule=schedule)
        return winograd_cycles(layout) * (1 + layout.scratch.num_bytes / BYTES_PER_TIME)

    costs = {schedule: cost(schedule) for schedule in candidates}
    candidates.sort(key=costs.__getitem__)
    slowest = MAX_SLOWDOWN * costs[candidates[0]]
    return [s for s in candidates if costs[s] <= slowest]


def is_faster(op: Conv, isa: Isa) -> bool:
    """Whether the model expects fewer cycles than for direct convolution."""
    best = WinogradLayout(op, isa, winograd_schedules(op, isa)[0])
    return MIN_GAIN * winograd_cycles(best) < direct_cycles(op, isa)


def direct_cycles(op: Conv, isa: Isa) -> float:
    """Cycles of a direct convolution."""
    dots = op.macs / (isa.lanes * isa.dot_k)
    operands = isa.activation_cycles / DIRECT_PANEL + isa.weight_cycles / DIRECT_ROWS
    return dots * (isa.dot_cost / isa.pipeline.dots_per_cycle + operands)


def winograd_cycles(layout: WinogradLayout) -> float:
    """Cycles of all phases."""
    op, lanes, schedule = layout.op, layout.isa.lanes, layout.schedule
    pipeline = layout.isa.pipeline
    dots, words = schedule.rows * schedule.panel, word_isa(layout.isa)
    step = max(
        dots * words.dot_cost / pipeline.dots_per_cycle,
        (schedule.rows + schedule.panel) / pipeline.loads_per_cycle,
        pipeline.dot_latency,
    )
    step += schedule.rows * words.activation_cycles
    step += schedule.panel * pipeline.far_weight_cycles
    calls = layout.blocks * layout.panels
    products = calls * NUM_POINTS * layout.steps * step
    sums = calls * dots
    if NUM_POINTS * dots * lanes * SUM_BYTES > NEAR_SUM_BYTES:
        products += sums * NUM_POINTS * FAR_SUM_CYCLES
    transforms = (
        layout.blocks * schedule.rows * op.in_c / layout.words * INPUT_CYCLES
        + op.in_c * op.out_c / layout.words * WEIGHT_CYCLES
        + sums * OUTPUT_CYCLES
        + calls * schedule.rows * PIXELS_CYCLES
    )
    return products + transforms + _memory_cycles(layout)


def _memory_cycles(layout: WinogradLayout) -> float:
    """Cycles of storing transformed weights and input, and of reading what is not near."""
    depth = NUM_POINTS * layout.op.in_c * WORD_BYTES
    block, panel = layout.schedule.rows * depth, layout.panel_channels * depth
    inputs, weights = layout.blocks * block, layout.panels * panel
    stored = weights * STORED_BYTE_CYCLES
    if layout.schedule.keeps_weights:
        again = layout.blocks * weights if weights > NEAR_BYTES else 0
        return stored + again * FAR_WEIGHT_CYCLES
    stored += inputs * STORED_BYTE_CYCLES
    if inputs > NEAR_BYTES:
        stored += layout.panels * inputs * FAR_INPUT_CYCLES
    if panel > NEAR_BYTES:
        stored += layout.blocks * weights * FAR_WEIGHT_CYCLES
    return stored
