"""The part of model.c that tells the runtime what an accelerator computes."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from octavo.compiler.artifact.c_text import string_literal
from octavo.compiler.artifact.memory_plan import MemoryPlan
from octavo.compiler.artifact.opencl_source import Launch
from octavo.compiler.artifact.segments import Range, find_segments, shared_ranges
from octavo.compiler.lowering.program import Operand, Program, Step, Storage
from octavo.errors import LoweringError
from octavo.targets.accelerator import Accelerator

MAX_INT32 = 2**31 - 1
Offset = Callable[[Operand], int]


class AcceleratorSource:
    """Writes the launches of a program and the source of its kernels as C.

    Attributes:
        program: What to write.
        plan: Offsets of the arena buffers.
        accelerator: What runs the kernels.
        source: Their source.
        launches: How each is started, by symbol.
    """

    def __init__(
        self,
        program: Program,
        plan: MemoryPlan,
        accelerator: Accelerator,
        source: str,
        launches: Mapping[str, Launch],
    ) -> None:
        self.program = program
        self.plan = plan
        self.accelerator = accelerator
        self.source = source
        self.launches = launches

    def launch(self, index: int, step: Step, offset_bytes: Offset) -> Iterable[str]:
        """The launch of one step.

        Args:
            index: Number of the step.
            step: One that runs on the accelerator.
            offset_bytes: Where in the arena or the weights an operand is.

        Raises:
            LoweringError: A tensor lies too far behind the start of the arena or the weights.
        """
        launch = self.launches[step.kernel]
        function = self.program.functions[step.kernel]
        count = len(step.operands)
        yield f"static const octavo_argument kArguments{index}[] = {{"
        for parameter in launch.arguments:
            operand = step.operands[parameter % count]
            if parameter < count:
                is_weight = operand.buffer.storage is Storage.WEIGHTS
                yield f"    {{{'OCTAVO_WEIGHTS' if is_weight else 'OCTAVO_ARENA'}, 0}},"
                continue
            dtype = str(function.params[parameter % count].ty.dtype)
            element, rest = divmod(offset_bytes(operand), np.dtype(dtype).itemsize)
            if rest or element > MAX_INT32:
                raise LoweringError(
                    f"step {step.name!r}: a tensor begins at byte {offset_bytes(operand)};"
                    f" kernels of an accelerator count {dtype} elements up to 2**31"
                )
            yield f"    {{OCTAVO_NUMBER, {element}}},"
        yield "};"
        yield f"static const octavo_launch kLaunch{index} = {{"
        yield f"    {string_literal(launch.kernel)}, {len(launch.arguments)}u,"
        yield f"    kArguments{index},"
        yield f"    {_sizes(launch.global_size)}, {_sizes(launch.local_size)}}};"
        yield ""

    def definitions(self) -> Iterable[str]:
        """The record that the program points to."""
        segments = find_segments(self.program, self.plan)
        yield "/* ---- what the accelerator computes ---- */"
        for index, segment in enumerate(segments):
            if segment.ranges:
                yield from _ranges(f"kRanges{index}", segment.ranges)
        yield "static const octavo_segment kSegments[] = {"
        for index, segment in enumerate(segments):
            ranges = f"kRanges{index}" if segment.ranges else "NULL"
            yield (
                f"    {{{segment.first_step}u, {segment.num_steps}u,"
                f" {str(segment.on_accelerator).lower()}, {len(segment.ranges)}u, {ranges}}},"
            )
        yield "};"
        shared = shared_ranges(self.program, self.plan)
        if shared:
            yield from _ranges("kShared", shared)
        yield "/* kernels.cl */"
        yield "static const char *const kSource[] = {"
        lines = self.source.splitlines(keepends=True)
        for line in lines:
            yield f"    {string_literal(line)},"
        yield "};"
        yield "static const octavo_accelerator kAccelerator = {"
        yield "    .driver = &octavo_opencl_driver,"
        yield "    .source = kSource,"
        yield f"    .num_lines = {len(lines)}u,"
        yield f"    .needs_gpu = {str(self.accelerator.needs_gpu).lower()},"
        yield f"    .num_segments = {len(segments)}u,"
        yield "    .segments = kSegments,"
        yield f"    .num_ranges = {len(shared)}u,"
        yield f"    .ranges = {'kShared' if shared else 'NULL'},"
        if self.program.failures is not None:
            yield "    .can_fail = true,"
            yield f"    .failures_offset = {self.plan.offset_bytes(self.program.failures)}u,"
        yield "};"
        yield ""


def _sizes(sizes: Sequence[int]) -> str:
    return "{" + ", ".join(f"{size}u" for size in sizes) + "}"


def _ranges(name: str, ranges: Sequence[Range]) -> Iterable[str]:
    yield f"static const octavo_range {name}[] = {{"
    for part in ranges:
        yield f"    {{{part.offset_bytes}u, {part.num_bytes}u}},"
    yield "};"
