"""Integer programs over losses of calibrated layers: python -m benchmarks.calibrated_program.

The weights of the digits network's six layers have 8, 4 or 2 bits, nearest or rounded by what
layers compute (``RoundedWeights``). All 729 configurations are evaluated on its 450 test
images with activations in float, so that what the integer program chooses from losses of
single layers can be ranked among everything within the same limit. Writes
benchmarks/results/calibrated_program.json and .md; nothing in them depends on time.

Source of the method: Hubara et al. 2020, "Improving Post Training Neural Quantization", 3.2.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from numpy.typing import NDArray
from scipy.special import log_softmax

from benchmarks.result_rows import RESULTS
from octavo.compiler.calibration.rounded_weights import RoundedWeights
from octavo.compiler.calibration.rounding_layers import find_layers
from octavo.compiler.importer import import_model
from octavo.compiler.search.integer_program import solve_program
from octavo.compiler.search.problem import Problem
from octavo.compiler.sensitivity.variants import Variants
from octavo.passes.layer_format import FLOAT_BITS, LayerFormat
from octavo.passes.rounding.columns import weight_from_matrix

DIGITS = Path(__file__).parents[1] / "examples" / "digits"
BITS = (8, 4, 2)
NEAREST, CALIBRATED = WAYS = ("nearest", "calibrated")
FOUR_LAYERS = ("pointwise", "residual1", "residual2", "fc")  # 81 configurations
BUDGETS = (0.3, 0.4, 0.5, 0.7)  # of the bytes at 8 bits
MIN_LOSS = 1e-6

Bits = tuple[int, ...]
Losses = Mapping[Bits, float]
Constants = Mapping[tuple[str, int], tuple[NDArray[np.float32], NDArray[np.float32]]]


class Digits:
    """The network with weights and biases as inputs, on the test images."""

    def __init__(self) -> None:
        samples = [{"image": x[None]} for x in np.load(DIGITS / "calibration.npz")["image"]]
        self.variants = Variants(import_model(DIGITS / "digits.onnx"), samples)
        self._rounded = RoundedWeights(self.variants.model, samples)
        test = np.load(DIGITS / "test.npz")
        self._images, self._labels = test["image"], test["label"]
        proto = ir.to_proto(self.variants.model)
        self._names = {
            node.name: tuple(node.input[1:3])
            for node in proto.graph.node
            if node.name in self.variants.layers
        }
        self._session = _session(proto, {n for pair in self._names.values() for n in pair})

    @property
    def layers(self) -> tuple[str, ...]:
        return self.variants.layers

    def constants(self, way: str) -> Constants:
        """Weight and bias of each layer for each number of bits."""
        found = {}
        for bits in BITS:
            formats = dict.fromkeys(self.layers, LayerFormat(bits, FLOAT_BITS))
            quantized = self.variants.quantized(formats)
            if way == CALIBRATED:
                self._rounded.apply(quantized)
            for layer in find_layers(self.variants.model, quantized)[0]:
                stored, shape = layer.stored.stored, self.variants.weight(layer.name).shape
                weight = weight_from_matrix(layer.head, stored.weight, shape)
                found[layer.name, bits] = (
                    weight.astype(np.float32),
                    stored.bias.reshape(-1).astype(np.float32),
                )
        return found

    def answers(self, constants: Constants, bits: Bits) -> NDArray[np.floating]:
        """Cross-entropy and mistake of each image, (2, images)."""
        feeds = {"image": self._images}
        for layer, width in zip(self.layers, bits, strict=True):
            feeds |= dict(zip(self._names[layer], constants[layer, width], strict=True))
        (logits,) = self._session.run(None, feeds)
        likelihood = log_softmax(logits, axis=1)[np.arange(len(logits)), self._labels]
        return np.stack([-likelihood, logits.argmax(axis=1) != self._labels])

    def num_bytes(self, bits: Bits) -> float:
        """Of the integers."""
        sizes = (self.variants.weight(layer).size for layer in self.layers)
        return sum(size * width / 8 for size, width in zip(sizes, bits, strict=True))


def _session(proto: onnx.ModelProto, inputs: set[str]) -> Any:
    graph = proto.graph
    for tensor in [t for t in graph.initializer if t.name in inputs]:
        graph.initializer.remove(tensor)
        graph.input.append(
            onnx.helper.make_tensor_value_info(
                tensor.name, onnx.TensorProto.FLOAT, tensor.dims
            )
        )
    for port in (graph.input[0], graph.output[0]):
        port.type.tensor_type.shape.dim[0].dim_param = "images"
    del graph.value_info[:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(proto.SerializeToString(), options)


@click.command()
def main() -> None:
    """Evaluate every configuration, solve the programs, write the tables."""
    digits = Digits()
    rows = []
    for way in WAYS:
        constants = digits.constants(way)
        measured = {
            bits: digits.answers(constants, bits)
            for bits in product(BITS, repeat=len(digits.layers))
        }
        for free in (FOUR_LAYERS, digits.layers):
            rows += [program(digits, way, measured, free, share) for share in BUDGETS]
    text = table(rows)
    (RESULTS / "calibrated_program.json").write_text(json.dumps(rows, indent=1) + "\n")
    (RESULTS / "calibrated_program.md").write_text(text)
    click.echo(text)


def program(
    digits: Digits,
    way: str,
    measured: Mapping[Bits, NDArray[np.floating]],
    free: Sequence[str],
    share: float,
) -> dict[str, Any]:
    """What the integer program chooses, and its rank among everything within the limit."""
    choices = {layer: BITS if layer in free else BITS[:1] for layer in digits.layers}
    limit = share * digits.num_bytes((8,) * len(digits.layers))
    allowed = [
        bits
        for bits in measured
        if digits.num_bytes(bits) <= limit
        and all(width in choices[layer] for layer, width in zip(choices, bits, strict=True))
    ]
    halves = np.arange(next(iter(measured.values())).shape[1]) % 2 == 0
    losses = {bits: float(found[0].mean()) for bits, found in measured.items()}
    first = {bits: float(found[0, halves].mean()) for bits, found in measured.items()}
    second = {bits: float(found[0, ~halves].mean()) for bits, found in measured.items()}
    wrong = {bits: float(found[1].mean()) for bits, found in measured.items()}
    chosen = _solve(digits, choices, losses, limit)
    blind = _solve(digits, choices, first, limit)
    return {
        "weights": way,
        "num_configurations": len(BITS) ** len(free),
        "limit": limit,
        "num_within": len(allowed),
        "bits": chosen,
        "wrong": wrong[chosen],
        "least_wrong": min(wrong[bits] for bits in allowed),
        "rank": _rank(chosen, losses, allowed),
        "rank_wrong": _rank(chosen, wrong, allowed),
        "rank_unseen": _rank(blind, second, allowed),
    }


def _solve(
    digits: Digits, choices: Mapping[str, Sequence[int]], losses: Losses, limit: float
) -> Bits:
    """The configuration within the limit with the least sum of losses of single layers."""
    eight = (8,) * len(choices)

    def alone(index: int, width: int) -> Bits:
        return (*eight[:index], width, *eight[index + 1 :])

    tables = {
        "loss": {
            layer: {b: max(losses[alone(i, b)] - losses[eight], MIN_LOSS) for b in widths}
            for i, (layer, widths) in enumerate(choices.items())
        },
        "bytes": {
            layer: {b: digits.variants.weight(layer).size * b / 8 for b in widths}
            for layer, widths in choices.items()
        },
    }
    problem = Problem(dict(choices), ("loss", "bytes"), {"bytes": limit}, tables)
    solution = solve_program(problem)[0].configuration
    return tuple(solution[layer] for layer in choices)


def _rank(chosen: Bits, losses: Losses, allowed: Sequence[Bits]) -> int:
    return 1 + sum(losses[bits] < losses[chosen] for bits in allowed)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The results as Markdown."""
    lines = [
        "The digits network of `examples/`, weights of its layers at 8, 4 or 2 bits,"
        " activations in float. The integer program has the cross-entropy that each layer"
        " alone adds to the network at 8 bits. Ranks are among all configurations within the"
        " limit: by cross-entropy on 450 test images, by wrong answers on these, and by"
        " cross-entropy on every second image when the program had only the others. Made by"
        " `python -m benchmarks.calibrated_program`.",
        "",
        "| weights | configurations | limit, bytes | within it | chosen bits | wrong"
        " | least wrong | rank | by wrong answers | on unseen images |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['weights']} | {row['num_configurations']} | {row['limit']:.0f}"
        f" | {row['num_within']} | {' '.join(map(str, row['bits']))} | {row['wrong']:.2%}"
        f" | {row['least_wrong']:.2%} | {row['rank']} | {row['rank_wrong']}"
        f" | {row['rank_unseen']} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
