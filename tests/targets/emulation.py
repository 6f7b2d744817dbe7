"""Kernel tests under an emulator: many kernels in one program, many calls in one run.

Linking a program takes about a second and starting an emulator a tenth, and test functions
call a kernel and look at its result at once. So a case runs up to its first call that nothing
has answered yet and is put off; the calls of all cases are then answered by one program, and
every case starts anew with what it knows by now.
"""

import struct
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from tests.targets.conftest import random_array
from tests.targets.runner import GUARD_BYTES, POOL, Guarded, Runner

from octavo.compiler.artifact.native_code import native_code
from octavo.compiler.artifact.toolchain import zig
from octavo.compiler.devices.qemu import emulator_command
from octavo.targets import TARGETS
from octavo.targets.base import Target
from octavo.targets.instructions import isa_of
from octavo.targets.isa import Isa
from octavo.targets.ops.conv import Conv

TIMEOUT_S = 300.0

# Reads calls, makes them, writes what is in memory afterwards. Every operand lies on an odd
# multiple of the alignment, as some in an arena do.
DRIVER = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
typedef struct { const char *name; int32_t (*call)(void **); } entry;
extern const entry kEntries[];
static uint32_t number(FILE *file) {
    uint32_t value;
    if (fread(&value, 4, 1, file) != 1) exit(3);
    return value;
}
int main(int argc, char **argv) {
    FILE *in = fopen(argv[1], "rb"), *out = fopen(argv[2], "wb");
    if (argc != 3 || in == NULL || out == NULL) return 2;
    for (uint32_t calls = number(in); calls > 0; calls--) {
        const entry *kernel = &kEntries[number(in)];
        uint32_t count = number(in), sizes[64], starts[64];
        unsigned char *memory[64], *blocks[64];
        void *operands[64];
        for (uint32_t i = 0; i < count; i++) {
            starts[i] = number(in);
            sizes[i] = number(in);
            blocks[i] = malloc(sizes[i] + 4 * ALIGNMENT);
            uintptr_t first = (uintptr_t)blocks[i] + starts[i];
            uintptr_t at = (first + 2 * ALIGNMENT - 1) / (2 * ALIGNMENT) * (2 * ALIGNMENT);
            operands[i] = (void *)(at + ALIGNMENT);
            memory[i] = (unsigned char *)operands[i] - starts[i];
            if (fread(memory[i], 1, sizes[i], in) != sizes[i]) return 3;
        }
        int32_t status = kernel->call(operands);
        fwrite(&status, 4, 1, out);
        for (uint32_t i = 0; i < count; i++) {
            fwrite(memory[i], 1, sizes[i], out);
            free(blocks[i]);
        }
    }
    return fclose(out);
}
"""


def emulated_targets() -> dict[str, Target]:
    """One target for every instruction variant and CPU that an emulator has, by name."""
    found: dict[Any, Target] = {}
    for target in TARGETS.values():
        if target.emulator is not None and target.accelerator is None:
            found.setdefault((target.isa, target.cpu, target.features), target)
    chosen: dict[str, Target] = {}
    for target in found.values():  # levels come before the devices that refine them
        if target.isa not in {t.isa for t in chosen.values()} or target.isa == "generic":
            chosen[target.name] = target
    return chosen


@dataclass(frozen=True)
class Call:
    """A kernel and the memory that it is called on."""

    function: Any
    operands: list[Guarded]


@dataclass
class Case:
    """A test function with its arguments, and what is known of its calls.

    Attributes:
        name: What the report calls it.
        run: Takes a runner.
        answers: Status and memory of every call so far.
        failure: Why it failed, or "".
        refusal: Why the kernel does not serve it, or "".
    """

    name: str
    run: Callable[[Any], None]
    answers: list[tuple[int, list[bytes]]] = field(default_factory=list)
    failure: str = ""
    refusal: str = ""


class _PutOffError(BaseException):
    """A call without an answer; no test may catch it."""

    def __init__(self, call: Call) -> None:
        self.call = call


class _RefusedError(BaseException):
    """The kernel does not serve the operation on this target; no test may catch it."""


class _AnsweringRunner(Runner):
    """Answers the calls of one case in their order."""

    def __init__(self, case: Case, built: dict[Any, Any], modes: Sequence[str]) -> None:
        self.case, self.built, self.modes, self.next = case, built, modes, 0

    def build(self, kernel: Any, op: Any, isa: Isa) -> Callable[..., int]:
        """Build the kernel of one operation, once."""
        op = taken_as(op, isa)
        key = (repr(kernel), op, isa)
        if key not in self.built:
            if reason := kernel.reject(op, isa):
                raise _RefusedError(reason)
            if (mode := rounding_of(op)) not in (None, *self.modes):
                raise _RefusedError(not_kept(mode))
            self.built[key] = kernel.build(op, isa)
        return lambda *operands: self._answer(self.built[key], list(operands))

    def call_many(
        self, function: Any, kernel: Any, op: Any, isa: Isa, inputs: Any, arrays: Any,
        outputs: Any,
    ) -> Any:
        """Call with activations of the type that the instructions take."""
        if taken_as(op, isa) != op:
            signed = (inputs[0].view(np.uint8) ^ np.uint8(0x80)).view(np.int8)
            inputs = [signed, *inputs[1:]]
            arrays = {**arrays, "zero_point": arrays["zero_point"] - np.int32(128)}
            op = taken_as(op, isa)
        return super().call_many(function, kernel, op, isa, inputs, arrays, outputs)

    def _answer(self, function: Any, operands: list[Guarded]) -> int:
        if self.next == len(self.case.answers):
            raise _PutOffError(Call(function, operands))
        status, memories = self.case.answers[self.next]
        self.next += 1
        for operand, memory in zip(operands, memories, strict=True):
            with_guards(operand)[:] = np.frombuffer(memory, np.uint8)
        return status


def taken_as(op: Any, isa: Isa) -> Any:
    """The same convolution of the activations that the instructions take."""
    if type(op) is Conv and op.dtype == "uint8" and isa.activation_dtype == "int8":
        return replace(op, dtype="int8")
    return op


def rounding_of(op: Any) -> str | None:
    """How an operation rounds, for those whose result is rounded from larger integers."""
    epilogue = getattr(op, "requantize", op)
    ends = (op, "dtype"), (op, "a_dtype"), (epilogue, "dtype")
    is_real = any(getattr(end, name, None) == "float32" for end, name in ends)
    return None if is_real else getattr(epilogue, "mode", None)


def not_kept(mode: str) -> str:
    """Reason for leaving out what rounds in a way that compilation refuses."""
    return f"the target does not round in {mode}"


def with_guards(operand: Guarded) -> Any:
    """The operand's bytes and those around it; the rest depends on its address here."""
    return operand.memory[operand.start - GUARD_BYTES : operand.end + GUARD_BYTES]


def write_kernels(
    functions: Mapping[str, Any], alignments: Mapping[str, Sequence[int]], target: Target,
    folder: Path,
) -> None:
    """Write ``folder / "kernels.o"``, as artifacts for the target have it."""
    import tvm

    machine = tvm.target.Target(target.tvm_target())
    native_code(functions, alignments, machine).write_to_file(str(folder / "kernels.o"))


def run_cases(
    cases: Sequence[Case], target: Target, folder: Path, write: Any = write_kernels
) -> Mapping[str, str]:
    """Run every case on a target.

    Args:
        cases: What to run.
        target: What runs it.
        folder: Where to work.
        write: Makes the machine code, see ``write_kernels``.

    Returns:
        Why cases failed, by name.
    """
    built: dict[Any, Any] = {}
    waiting, rounds = list(cases), 0
    while waiting:
        calls, still_waiting = [], []
        for case in waiting:
            try:
                case.run(_AnsweringRunner(case, built, target.requantize_modes))
            except _PutOffError as put_off:
                calls.append(put_off.call)
                still_waiting.append(case)
            except _RefusedError as refused:
                case.refusal = str(refused)
            except Exception as error:
                lines = str(error).strip().splitlines()[:8]
                case.failure = f"{type(error).__name__}: {' '.join(lines)}"
        waiting = still_waiting
        if calls:
            rounds += 1
            answers = _answers(calls, target, folder / f"round{rounds}", write)
            for case, answer in zip(waiting, answers, strict=True):
                case.answers.append(answer)
    return {case.name: case.failure for case in cases if case.failure}


def _answers(
    calls: Sequence[Call], target: Target, folder: Path, write: Any
) -> list[tuple[int, list[bytes]]]:
    folder.mkdir()
    functions = list({id(call.function): call.function for call in calls}.values())
    places = {id(function): index for index, function in enumerate(functions)}
    _link(functions, target, folder, write)
    text = struct.pack("<I", len(calls))
    for call in calls:
        text += struct.pack("<II", places[id(call.function)], len(call.operands))
        for operand in call.operands:
            memory = with_guards(operand)
            text += struct.pack("<II", GUARD_BYTES, memory.nbytes) + memory.tobytes()
    (folder / "calls").write_bytes(text)
    command = [*emulator_command(target), "./program", "calls", "answers"]
    subprocess.run(command, cwd=folder, check=True, timeout=TIMEOUT_S)
    data, at, answers = (folder / "answers").read_bytes(), 0, []
    for call in calls:
        (status,) = struct.unpack_from("<i", data, at)
        at += 4
        memories = []
        for operand in call.operands:
            end = at + with_guards(operand).nbytes
            memories.append(data[at:end])
            at = end
        answers.append((status, memories))
    assert at == len(data)
    return answers


def _link(functions: Sequence[Any], target: Target, folder: Path, write: Any) -> None:
    named = {f"kernel{index}": function for index, function in enumerate(functions)}
    alignments = {name: [target.alignment] * len(f.params) for name, f in named.items()}
    write(named, alignments, target, folder)
    source = DRIVER + POOL
    for name, function in named.items():
        count = len(function.params)
        source += f"int32_t {name}({', '.join(['void *'] * count)});\n"
        passed = ", ".join(f"p[{i}]" for i in range(count))
        source += f"static int32_t call_{name}(void **p) {{ return {name}({passed}); }}\n"
    entries = ", ".join(f'{{"{name}", call_{name}}}' for name in named)
    source += f"const entry kEntries[] = {{{entries}}};\n"
    (folder / "driver.c").write_text(source)
    zig(["cc", "-target", target.program_zig_target or target.zig_target, *target.c_flags,
         "-O1", "-fno-sanitize=all", f"-DALIGNMENT={target.alignment}", "driver.c",
         "kernels.o", "-lm", "-o", "program"], folder)


def cases_of(test: Any, target: Target, step: int = 1) -> list[Case]:
    """Combinations of arguments that a test function is marked with.

    Args:
        test: Takes ``run_kernel``, the variant as ``isa`` or ``any_isa``, perhaps
            ``random_array``, and parameters.
        target: Whose variant it gets.
        step: Takes every so many of the combinations; odd, so that it meets all values of
            parameters with two of them.
    """
    combinations: list[dict[str, Any]] = [{}]
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "parametrize":
            names, values = mark.args[:2]
            split = [n.strip() for n in names.split(",")] if isinstance(names, str) else names
            rows = [v if len(split) > 1 else (v,) for v in values]
            combinations = [
                {**known, **dict(zip(split, row, strict=True))}
                for known in combinations for row in rows]
    parameters = test.__code__.co_varnames[: test.__code__.co_argcount]
    fixtures = {"isa": isa_of(target), "any_isa": isa_of(target), "random_array": random_array}
    given = {name: value for name, value in fixtures.items() if name in parameters}

    def bound(arguments: dict[str, Any]) -> Callable[[Any], None]:
        return lambda runner: test(run_kernel=runner, **given, **arguments)

    module = test.__module__.split(".")[-1]
    return [
        Case(f"{module}.{test.__name__}{list(arguments.values())}", bound(arguments))
        for arguments in combinations[::step]]
