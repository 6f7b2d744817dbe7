"""Solvers against every configuration of a trained network: python -m benchmarks.solvers.

The digits network of examples/ has six layers. With weights of 8, 4 or 2 bits each (nearest
rounding, symmetric, per channel) there are 729 configurations, and all of them are evaluated
on its 450 test images, so that what a solver finds can be compared with what there is. Writes
benchmarks/results/solvers.json and solvers.md.
"""

import json
import math
from collections.abc import Sequence
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import onnxruntime
from scipy.special import log_softmax

from benchmarks.front_shares import SEEDS, shares
from benchmarks.result_rows import RESULTS
from octavo.compiler.search.ask_tell import AskTell, run
from octavo.compiler.search.bisection import bisect, order_by_marginal_loss
from octavo.compiler.search.front import nondominated
from octavo.compiler.search.integer_program import solve_program
from octavo.compiler.search.problem import Configuration, Evaluation, Problem
from octavo.compiler.search.random_search import search_randomly
from octavo.compiler.search.reinforce import reinforce

DIGITS = Path(__file__).parents[1] / "examples" / "digits"
MODEL = DIGITS / "digits.onnx"
BITS = (8, 4, 2)
PIXELS = {
    "stem": 64,
    "depthwise": 64,
    "pointwise": 64,
    "residual1": 16,
    "residual2": 16,
    "fc": 1,
}
SMALL = ("pointwise", "residual1", "residual2", "fc")  # 81 configurations; the others: 8 bits
SHARE = 0.15  # of all configurations, for a front
NUM_SAMPLES = 200  # of the controller
BUDGETS = (0.3, 0.4, 0.5, 0.7)  # of the bytes at 8 bits


class Digits:
    """Wrong answers, bytes of weights and bit operations of every configuration.

    Args:
        measured: Share of wrong answers and cross-entropy by the bits of the layers.
    """

    def __init__(self, measured: dict[tuple[int, ...], tuple[float, float]]) -> None:
        self.wrong = {bits: wrong for bits, (wrong, _) in measured.items()}
        self.entropy = {bits: entropy for bits, (_, entropy) in measured.items()}
        sizes = {name: weight.size for name, weight in _weights(onnx.load(MODEL)).items()}
        costs = {
            "bytes": {n: {b: size * b / 8 for b in BITS} for n, size in sizes.items()},
            "bit operations": {
                n: {b: float(size * PIXELS[n] * b * 8) for b in BITS}
                for n, size in sizes.items()
            },
        }
        self.problem = Problem(dict.fromkeys(sizes, BITS), ("wrong", *costs), tables=costs)

    def evaluate(self, configuration: Configuration[int]) -> Evaluation[int]:
        bits = tuple(configuration[name] for name in self.problem.choices)
        costs = {name: self.problem.total(name, configuration) for name in self.problem.tables}
        return Evaluation(configuration, {"wrong": self.wrong[bits], **costs})

    @property
    def every(self) -> list[Evaluation[int]]:
        return [self.evaluate(dict(zip(PIXELS, bits, strict=True))) for bits in self.wrong]


@click.command()
def main() -> None:
    """Evaluate every configuration, let each solver search among them, write the tables."""
    digits = Digits(evaluate_all())
    found = {
        "wrong": {" ".join(map(str, bits)): share for bits, share in digits.wrong.items()},
        "fronts": [
            fronts(digits, names) for names in (("wrong", "bytes"), digits.problem.objectives)
        ],
        "controller": [
            controller(digits, free, share)
            for free in (SMALL, tuple(PIXELS))
            for share in BUDGETS
        ],
        "integer program": [programs(digits, share) for share in BUDGETS],
        "bisection": [bisections(digits, drop) for drop in (0.005, 0.02, 0.1)],
    }
    (RESULTS / "solvers.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "solvers.md").write_text(table(found))
    click.echo(table(found))


def evaluate_all() -> dict[tuple[int, ...], tuple[float, float]]:
    """Share of wrong answers and cross-entropy of each of the 729 configurations."""
    model = onnx.load(MODEL)
    weights = _weights(model)
    for tensor in [t for t in model.graph.initializer if _layer(t.name) in weights]:
        if tensor.name.endswith(".weight"):
            model.graph.initializer.remove(tensor)
            shape = list(tensor.dims)
            model.graph.input.append(
                onnx.helper.make_tensor_value_info(tensor.name, onnx.TensorProto.FLOAT, shape)
            )
    for port in (model.graph.input[0], model.graph.output[0]):
        port.type.tensor_type.shape.dim[0].dim_param = "images"
    del model.graph.value_info[:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    data = np.load(DIGITS / "test.npz")
    rounded = {(n, b): _round(w, b) for n, w in weights.items() for b in BITS}
    measured = {}
    for bits in product(BITS, repeat=len(weights)):
        chosen = {f"{n}.weight": rounded[n, b] for n, b in zip(weights, bits, strict=True)}
        (answers,) = session.run(None, {"image": data["image"], **chosen})
        wrong = answers.argmax(axis=1) != data["label"]
        likelihood = log_softmax(answers, axis=1)[np.arange(len(wrong)), data["label"]]
        measured[bits] = float(wrong.mean()), float(-likelihood.mean())
    return measured


def _weights(model: onnx.ModelProto) -> dict[str, Any]:
    return {
        _layer(tensor.name): onnx.numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        if tensor.name.endswith(".weight") and _layer(tensor.name) in PIXELS
    }


def _layer(tensor: str) -> str:
    return tensor.removesuffix(".weight")


def _round(weight: Any, num_bits: int) -> Any:
    qmax = 2 ** (num_bits - 1) - 1
    peak = np.abs(weight).max(axis=tuple(range(1, weight.ndim)), keepdims=True)
    scale = np.where(peak > 0, peak, 1.0) / qmax
    return (np.clip(np.rint(weight / scale), -qmax, qmax) * scale).astype(np.float32)


def fronts(digits: Digits, names: tuple[str, ...]) -> dict[str, Any]:
    """Share of the exhaustive front's hypervolume, from the worst of each objective."""
    problem = Problem(digits.problem.choices, names, tables=digits.problem.tables)
    budget = math.floor(SHARE * problem.size)
    return {
        "objectives": names,
        "num_points": len(nondominated(digits.every, names)),
        "num_evaluations": budget,
        "shares": shares(problem, digits.every, digits.evaluate, budget),
    }


def controller(digits: Digits, free: Sequence[str], share: float) -> dict[str, Any]:
    """Where the controller's best stands among those of its problem that cost no more."""
    choices = {n: BITS if n in free else (8,) for n in digits.problem.choices}
    problem = Problem(choices, digits.problem.objectives, tables=digits.problem.tables)
    target = share * _bytes_at_8(digits)
    met = [
        e.objectives["wrong"]
        for e in digits.every
        if e.objectives["bytes"] <= target
        and all(e.configuration[n] in choices[n] for n in choices)
    ]
    rows = []
    for seed in SEEDS:
        make = reinforce(
            problem, cost="bytes", target=target, num_samples=NUM_SAMPLES, seed=seed
        )
        search = run(make, digits.evaluate)
        other = run(
            search_randomly(problem, budget=len(search.evaluations), seed=seed),
            digits.evaluate,
        )
        rows.append(
            {
                "num_evaluations": len(search.evaluations),
                "place": _place(met, search, target),
                "random": _place(met, other, target),
            }
        )
    return {"size": problem.size, "target": target, "num_within": len(met), "runs": rows}


def _place(met: list[float], search: AskTell[int], target: float) -> float:
    """Share of those within the target that are better than the best that was measured."""
    found = [
        e.objectives["wrong"] for e in search.evaluations if e.objectives["bytes"] <= target
    ]
    return sum(loss < min(found, default=1.0) for loss in met) / len(met)


def programs(digits: Digits, share: float) -> dict[str, Any]:
    """The rank of what sums of single cross-entropies choose, among all within the limit."""
    eight = dict.fromkeys(digits.problem.choices, 8)
    base = digits.entropy[tuple(eight.values())]
    losses = {
        n: {b: max(digits.entropy[tuple({**eight, n: b}.values())] - base, 1e-6) for b in BITS}
        for n in eight
    }
    limit = share * _bytes_at_8(digits)
    tables = {**digits.problem.tables, "wrong": losses}
    problem = Problem(
        digits.problem.choices, digits.problem.objectives, {"bytes": limit}, tables
    )
    met = [e.objectives["wrong"] for e in digits.every if e.objectives["bytes"] <= limit]
    solutions = solve_program(problem, num_solutions=5)
    measured = [digits.evaluate(s.configuration).objectives["wrong"] for s in solutions]
    return {
        "limit": limit,
        "num_within": len(met),
        "wrong": measured[0],
        "best": min(met),
        "rank": 1 + sum(loss < measured[0] for loss in met),
        "rank of 5": 1 + sum(loss < min(measured) for loss in met),
    }


def bisections(digits: Digits, drop: float) -> dict[str, Any]:
    """What bisection along single losses reaches within a drop, and the least there is."""
    eight = dict.fromkeys(digits.problem.choices, 8)

    @cache
    def wrong(*moved: tuple[str, int]) -> float:
        return digits.evaluate({**eight, **dict(moved)}).objectives["wrong"]

    limit = wrong() + drop

    def order(state: Configuration[int], level: int) -> list[str]:
        return order_by_marginal_loss({n: wrong((n, level)) - wrong() for n in state}, {})

    problem = Problem(digits.problem.choices, digits.problem.objectives, {"wrong": limit})
    search = run(bisect(problem, eight, (4, 2), order), digits.evaluate)
    met = [e.objectives["bytes"] for e in digits.every if e.objectives["wrong"] <= limit]
    return {
        "drop": drop,
        "num_evaluations": len(search.evaluations),
        "most evaluations": 2 * (math.ceil(math.log2(len(eight))) + 2),
        "wrong": search.result[0].objectives["wrong"],
        "bytes": search.result[0].objectives["bytes"],
        "least bytes": min(met),
    }


def _bytes_at_8(digits: Digits) -> float:
    return digits.problem.total("bytes", dict.fromkeys(digits.problem.choices, 8))


def table(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    lines = [
        "The digits network of `examples/`, weights of six layers at 8, 4 or 2 bits (nearest"
        f" rounding, no calibration): {len(found['wrong'])} configurations, all evaluated on"
        " 450 images. Made by `python -m benchmarks.solvers`; nothing here depends on time.",
        "",
        "Fronts: share of the hypervolume of all configurations, median and least of"
        f" {len(SEEDS)} seeds, from the worst value of each objective.",
        "",
        "| objectives | points of the front | evaluations | predicted front | random |",
        "|---|---|---|---|---|",
    ]
    for row in found["fronts"]:
        names = ", ".join(row["objectives"])
        shares = [
            f"{np.median(row['shares'][n]):.4f} ({min(row['shares'][n]):.4f})"
            for n in ("predicted front", "random")
        ]
        lines.append(
            f"| {names} | {row['num_points']} | {row['num_evaluations']}"
            f" | {shares[0]} | {shares[1]} |"
        )
    lines += [
        "",
        f"REINFORCE, {NUM_SAMPLES} samples (of 81 configurations: two layers stay at 8 bits):"
        " share of the configurations within the target that are better than the best found,"
        f" mean and worst of {len(SEEDS)} seeds; random search has as many evaluations.",
        "",
        "| of | target, bytes | within it | evaluations, mean | REINFORCE | random |",
        "|---|---|---|---|---|---|",
    ]
    for row in found["controller"]:
        places = {n: [r[n] for r in row["runs"]] for n in ("place", "random")}
        cells = [f"{np.mean(p):.1%} ({max(p):.1%})" for p in places.values()]
        mean = np.mean([r["num_evaluations"] for r in row["runs"]])
        lines.append(
            f"| {row['size']} | {row['target']:.0f} | {row['num_within']} | {mean:.0f}"
            f" | {cells[0]} | {cells[1]} |"
        )
    lines += [
        "",
        "Integer program over cross-entropies of single layers: rank of its choice among all"
        " configurations within the limit, by measured wrong answers.",
        "",
        "| limit, bytes | within it | wrong | least wrong | rank | rank of the best of 5 |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['limit']:.0f} | {row['num_within']} | {row['wrong']:.2%} | {row['best']:.2%}"
        f" | {row['rank']} | {row['rank of 5']} |"
        for row in found["integer program"]
    ]
    lines += [
        "",
        "Bisection to 4, then 2 bits along losses of single layers.",
        "",
        "| allowed drop | evaluations (at most) | wrong | bytes | least bytes of all 729 |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['drop']:.1%} | {row['num_evaluations']} ({row['most evaluations']})"
        f" | {row['wrong']:.2%} | {row['bytes']:.0f} | {row['least bytes']:.0f} |"
        for row in found["bisection"]
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
