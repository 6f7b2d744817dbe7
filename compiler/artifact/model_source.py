"""model.c: the program as a readable table of kernel calls."""

from collections.abc import Iterable

from octavo.compiler.artifact.accelerator_source import AcceleratorSource
from octavo.compiler.artifact.bit_packing import PackedBits
from octavo.compiler.artifact.c_text import (
    comment_text,
    float_literal,
    string_literal,
    unsigned_literal,
)
from octavo.compiler.artifact.kernels_object import kernel_symbol
from octavo.compiler.artifact.memory_plan import MemoryPlan
from octavo.compiler.artifact.model_header import DTYPES, ModelApi, generated_by
from octavo.compiler.artifact.weight_blob import WeightBlob
from octavo.compiler.lowering.program import Operand, Port, Program, Step, Storage


class ModelSource:
    """Writes the C source of one program.

    Attributes:
        program: What to write.
        plan: Offsets of the arena buffers.
        blob: Offsets of the weights.
        accelerated: What an accelerator computes; None without one.
    """

    def __init__(
        self,
        program: Program,
        plan: MemoryPlan,
        blob: WeightBlob,
        accelerated: AcceleratorSource | None = None,
    ) -> None:
        self.accelerated = accelerated
        self.program = program
        self.plan = plan
        self.blob = blob
        self.api = ModelApi(program)

    def text(self, cpu_features: int) -> str:
        """The file.

        Args:
            cpu_features: Bits that the CPU must have.
        """
        program = self.program
        where = "weights.bin as it is expanded" if self.blob.num_packed else "weights.bin"
        lines = [
            generated_by(program),
            " *",
            " * One function per step, in the order in which they run. A is an address in the",
            f" * arena, W one in {where}. */",
            *(['#include "octavo_accelerator.h"'] if self.accelerated else []),
            *(['#include "octavo_packed_weights.h"'] if self.blob.num_packed else []),
            '#include "model.h"',
            "",
            "#define A(offset) ((void *)(arena + (offset)))",
            "#define W(offset) ((const void *)(weights + (offset)))",
            "",
            "/* ---- kernels, in kernels.o ---- */",
            *self._prototypes(),
            "",
            "/* ---- steps ---- */",
            *(line for i, step in enumerate(program.steps) for line in self._step(i, step)),
            "static const octavo_step kSteps[] = {",
            *(self._step_record(i, step) for i, step in enumerate(program.steps)),
            *([] if program.steps else ["    {0}, /* none; C has no empty arrays */"]),
            "};",
            "",
            "/* ---- tensors at the boundary ---- */",
            *self._tensors("Input", program.inputs),
            *self._tensors("Output", program.outputs),
            *(self.accelerated.definitions() if self.accelerated else ()),
            *self._packed_weights(),
            *self._program_record(cpu_features),
            *self.api.definitions(),
        ]
        return "\n".join(lines) + "\n"

    def _address(self, operand: Operand) -> str:
        place = "W" if operand.buffer.storage is Storage.WEIGHTS else "A"
        return f"{place}({unsigned_literal(self._offset_bytes(operand))})"

    def _offset_bytes(self, operand: Operand) -> int:
        buffer = operand.buffer
        if buffer.storage is Storage.WEIGHTS:
            return self.blob.offsets[buffer] + operand.offset_bytes
        return self.plan.offset_bytes(buffer) + operand.offset_bytes

    def _prototypes(self) -> Iterable[str]:
        """One per kernel; a parameter that no step writes through is const."""
        written: dict[str, list[bool]] = {}
        for step in self.program.steps:
            if step.on_accelerator:
                continue
            flags = written.setdefault(step.kernel, [False] * len(step.operands))
            for index, operand in enumerate(step.operands):
                flags[index] |= operand.is_written
        for kernel in sorted(written):
            parameters = ", ".join("void *" if w else "const void *" for w in written[kernel])
            yield f"int32_t {kernel_symbol(self.program, kernel)}({parameters or 'void'});"

    def _step(self, index: int, step: Step) -> Iterable[str]:
        operators = "+".join(step.op_types)
        yield f"/* {index} {comment_text(f'{step.name}: {operators}, {step.placement}')}"
        yield f" *   {comment_text(f'{step.variant}, {step.macs} multiply-accumulates')}"
        for operand in step.operands:
            arrow = "->" if operand.is_written else "<-"
            buffer = operand.buffer
            yield f" *   {arrow} {comment_text(buffer.name)}: {buffer.num_bytes} bytes"
        yield " */"
        if step.on_accelerator and self.accelerated is not None:
            yield from self.accelerated.launch(index, step, self._offset_bytes)
            return
        yield f"static int32_t step_{index}(uint8_t *arena, const uint8_t *weights) {{"
        storages = {operand.buffer.storage for operand in step.operands}
        if Storage.ARENA not in storages:
            yield "  (void)arena;"
        if Storage.WEIGHTS not in storages:
            yield "  (void)weights;"
        arguments = ", ".join(self._address(operand) for operand in step.operands)
        yield f"  return {kernel_symbol(self.program, step.kernel)}({arguments});"
        yield "}"
        yield ""

    def _step_record(self, index: int, step: Step) -> str:
        name, kernel = string_literal(step.name), string_literal(step.kernel)
        places = f"NULL, &kLaunch{index}" if step.on_accelerator else f"step_{index}, NULL"
        return f"    {{{name}, {kernel}, {unsigned_literal(step.macs)}, {places}}},"

    def _tensors(self, kind: str, ports: list[Port]) -> Iterable[str]:
        for index, port in enumerate(ports):
            # A scalar has no dimensions, and C no empty arrays.
            extents = ", ".join(str(extent) for extent in port.shape) or "1"
            yield f"static const int64_t k{kind}Shape{index}[] = {{{extents}}};"
        yield f"static const octavo_tensor k{kind}s[] = {{"
        for index, port in enumerate(ports):
            in_weights = port.buffer.storage is Storage.WEIGHTS
            offset = self._address(Operand(port.buffer))[2:-1]
            scale = float_literal(1.0 if port.scale is None else port.scale)
            fields = {
                "name": string_literal(port.name),
                "dtype": DTYPES[port.dtype].enum,
                "rank": f"{len(port.shape)}u",
                "shape": f"k{kind}Shape{index}",
                "num_bytes": unsigned_literal(port.num_bytes),
                "offset_bytes": offset,
                "in_weights": str(in_weights).lower(),
                "is_quantized": str(port.scale is not None).lower(),
                "scale": scale,
                "zero_point": str(port.zero_point or 0),
            }
            yield "    {" + ", ".join(f".{k} = {v}" for k, v in fields.items()) + "},"
        if not ports:
            yield "    {0}, /* none */"
        yield "};"
        yield ""

    def _packed_weights(self) -> Iterable[str]:
        blob = self.blob
        if not blob.num_packed:
            return
        yield "/* ---- packed weights: in file, in memory, values, bits, base ---- */"
        if blob.packed:
            yield "static const octavo_packed_constant kPackedConstants[] = {"
            for constant in blob.packed:
                places = (constant.stored_offset, constant.offset_bytes)
                yield f"    {_packed_record(places, constant.bits)},"
            yield "};"
        if blob.packed_floats:
            yield "/* ... then the scales in the file, how many, run, lanes, rows */"
            yield "static const octavo_packed_floats kPackedFloats[] = {"
            for number in blob.packed_floats:
                bits, pattern = number.floats.integers, number.floats.pattern
                # The runtime expands the integers to the last quarter of the numbers' place.
                integers = number.offset_bytes + 3 * bits.num_values
                scales = (number.scales_offset, pattern.scales.size)
                counts = (*scales, pattern.run, pattern.lanes, pattern.rows)
                yield (
                    f"    {{{_packed_record((number.stored_offset, integers), bits)},"
                    f" {', '.join(unsigned_literal(count) for count in counts)}}},"
                )
            yield "};"
        yield "static const octavo_packed_weights kPacked = {"
        yield "    .expander = &octavo_packed_expander,"
        yield f"    .plain_bytes = {unsigned_literal(blob.plain_bytes)},"
        yield f"    .expanded_bytes = {unsigned_literal(blob.expanded_bytes)},"
        yield f"    .num_constants = {len(blob.packed)}u,"
        yield f"    .num_floats = {len(blob.packed_floats)}u,"
        if blob.packed:
            yield "    .constants = kPackedConstants,"
        if blob.packed_floats:
            yield "    .floats = kPackedFloats,"
        yield "};"
        yield ""

    def _program_record(self, cpu_features: int) -> Iterable[str]:
        program = self.program
        yield "static const octavo_program kProgram = {"
        yield "    .abi_version = OCTAVO_ABI_VERSION,"
        yield f"    .name = {string_literal(program.name)},"
        yield f"    .cpu_features = {hex(cpu_features)}ull,"
        yield f"    .arena_bytes = {unsigned_literal(self.plan.arena_bytes)},"
        yield f"    .persistent_bytes = {unsigned_literal(self.plan.persistent_bytes)},"
        yield f"    .weights_bytes = {unsigned_literal(self.blob.num_bytes)},"
        yield f"    .num_inputs = {len(program.inputs)}u,"
        yield f"    .num_outputs = {len(program.outputs)}u,"
        yield f"    .num_steps = {len(program.steps)}u,"
        yield "    .inputs = kInputs,"
        yield "    .outputs = kOutputs,"
        yield "    .steps = kSteps,"
        if self.accelerated is not None:
            yield "    .accelerator = &kAccelerator,"
        if self.blob.num_packed:
            yield "    .packed = &kPacked,"
        yield "};"
        yield ""


def _packed_record(places: tuple[int, int], bits: PackedBits) -> str:
    sizes = ", ".join(unsigned_literal(size) for size in (*places, bits.num_values))
    return f"{{{sizes}, {bits.num_bits}u, {bits.base}u, {bits.layout.value}}}"
