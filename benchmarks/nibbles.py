"""What packed weights of 4 bits win in products of one row: python -m benchmarks.nibbles.

Compiles perceptrons and recurrent layers with weights of 4 bits twice for levels of x86-64
that this machine runs: with kernels that read two weights in a byte, and with those of bytes.
The artifacts' own programs take turns, one thread on the last CPU; both give the same
integers. Writes benchmarks/results/nibbles.json and nibbles.md.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import helper, numpy_helper

import octavo
from benchmarks.format_builds import take_turns
from benchmarks.perceptron import INPUT, OPSET, perceptron
from benchmarks.result_rows import rows_command
from octavo.compiler.artifact.write import write_artifact
from octavo.compiler.lowering.kernel_call import KernelCall
from octavo.compiler.lowering.lower import lower
from octavo.compiler.quantize import quantize_model
from octavo.compiler.recipes import get_recipe
from octavo.targets import get_target
from octavo.targets.implementation import Implementation

# Features and layers by target: of the last ones, no cache holds all.
SHAPES = {
    "x86-64-avx512vnni": ((128, 4), (256, 4), (512, 4), (1024, 4), (2048, 4), (2048, 16)),
    "x86-64-avx2": ((256, 4), (1024, 4), (4096, 2)),
}
CELLS = ("LSTM128x50", "LSTM256x50", "GRU512x20")  # hidden features and steps
USUAL = (
    *(
        f"{features}x{layers}@{target}"
        for target, shapes in SHAPES.items()
        for features, layers in shapes
    ),
    *(f"{cell}@x86-64-avx512vnni" for cell in CELLS),
)
Samples = list[dict[str, Any]]
GATES = {"LSTM": 4, "GRU": 3}
CELL_INPUTS = 64
BUDGET_S = 8.0
KERNELS = ("packed", "bytes")
# The kernel of either kind, by the network's: of layers, or of a cell.
NAMES = {
    "": ("nibble_gemm", "conv_gemm"),
    "LSTM": ("lstm_nibbles", "lstm_gemm"),
    "GRU": ("gru_nibbles", "gru_gemm"),
}


def with_kernel(name: str) -> Callable[[KernelCall], Implementation | None]:
    """Take a kernel wherever it can compute."""

    def choose(call: KernelCall) -> Implementation | None:
        able = [i for i in call.implementations() if i.kernel.name == name]
        return able[0] if able else None

    return choose


def layers_of(features: int, layers: int) -> tuple[ir.Model, Samples]:
    """A perceptron of equal layers, and samples."""
    rng = np.random.default_rng(0)
    shape = (features, features)
    weights = [rng.normal(size=shape) / np.sqrt(features / 2) for _ in range(layers)]
    biases = [rng.normal(size=features) / 8 for _ in range(layers)]
    samples = [{INPUT: rng.normal(size=(1, features)).astype(np.float32)} for _ in range(8)]
    return perceptron(weights, biases), samples


def cell_of(kind: str, hidden: int, steps: int) -> tuple[ir.Model, Samples]:
    """A recurrent layer that gives its last output, and samples."""
    rng = np.random.default_rng(0)
    rows = GATES[kind] * hidden
    constants = {
        "w": rng.normal(size=(1, rows, CELL_INPUTS)) / np.sqrt(CELL_INPUTS),
        "r": rng.normal(size=(1, rows, hidden)) / np.sqrt(hidden),
    }
    more = {"linear_before_reset": 1} if kind == "GRU" else {}
    node = helper.make_node(
        kind, [INPUT, *constants], ["y", "last"], "cell", hidden_size=hidden, **more
    )
    shape, floats = (steps, 1, CELL_INPUTS), onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [node],
        "cell",
        [helper.make_tensor_value_info(INPUT, floats, shape)],
        [helper.make_tensor_value_info("last", floats, (1, 1, hidden))],
        [numpy_helper.from_array(c.astype(np.float32), name) for name, c in constants.items()],
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=10)
    samples = [{INPUT: rng.normal(size=shape).astype(np.float32)} for _ in range(8)]
    return ir.from_proto(onnx.shape_inference.infer_shapes(model)), samples


def measure(row: str) -> dict[str, Any]:
    """Compile one network with either kernel and compare.

    Args:
        row: Network and a level that this machine runs. Networks are such as "512x4", features
            and layers, or "LSTM256x50", features and steps.

    Returns:
        Bytes of the weights that are packed, in 8 bits; by kind of kernel microseconds of the
        fastest round and of the median one.
    """
    network, target = row.split("@")
    kind = network.rstrip("x0123456789")
    features, count = map(int, network.removeprefix(kind).split("x"))
    names = NAMES[kind]
    plain, samples = cell_of(kind, features, count) if kind else layers_of(features, count)
    recipe = get_recipe("static_wi8_ai8", weight_bits=4)
    model = quantize_model(plain, samples, recipe=recipe, measure=False).model
    with tempfile.TemporaryDirectory() as text:
        folder, outputs = Path(text), []
        for kernel, name in zip(KERNELS, names, strict=True):
            program = lower(model, get_target(target), scheduler=with_kernel(name))
            used = [step.variant.split(".")[0] for step in program.steps if step.macs]
            assert used == [name] * (1 if kind else count), used
            write_artifact(program, get_target(target), model, folder / kernel)
            with octavo.load(folder / kernel) as session:
                outputs.append([session.run(sample) for sample in samples])
        for either, other in zip(*outputs, strict=True):
            for name in either:
                np.testing.assert_array_equal(either[name], other[name])
        measured = take_turns([folder / kernel for kernel in KERNELS], samples[0], BUDGET_S)
    times = {
        kernel: {
            "best_us": round(min(found.medians_us), 2),
            "median_us": round(found.latency_us, 2),
        }
        for kernel, found in zip(KERNELS, measured, strict=True)
    }
    return {"weight_bytes": (GATES[kind] if kind else count) * features**2, **times}


def table(rows: dict[str, Any]) -> str:
    """Markdown: microseconds of one thread with either kernel."""
    lines = [
        "Weights of 4 bits in perceptrons, by features and layers, and in recurrent layers,",
        "by features and steps; one row at a time, one thread: fastest round, microseconds;",
        "medians in brackets. Both programs give the same integers.",
        "`python -m benchmarks.nibbles` writes it.",
        "",
        "| network | target | weights in 8 bits | a byte each | two in a byte | |",
        "|---" * 6 + "|",
    ]
    for name, row in rows.items():
        packed, wide = (row[kernel] for kernel in KERNELS)
        shape, target = name.split("@")
        cells = [
            shape,
            target,
            f"{row['weight_bytes'] // 1024:,} KiB",
            *(f"{k['best_us']:.3g} ({k['median_us']:.3g})" for k in (wide, packed)),
            f"{wide['best_us'] / packed['best_us']:.2f}x",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        "With AVX-512 a product of 64 weights is one instruction, and half the bytes pay from",
        "the second-level cache on. With AVX2 it is several, and only memory is slower.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    rows_command("nibbles", USUAL, measure, table)()
