"""How equal every quantized operator is: Octavo, in both modes, and LiteRT's reference.

    python -m benchmarks.tflite_operators

writes results/tflite_operators.md and .json. The operators are those of ``tflite_cases``, in
one file for each type of activations.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import click
import numpy as np
from ai_edge_litert.interpreter import OpResolverType

from benchmarks.peers.tflite.files import litert_run
from benchmarks.tflite_cases import ALL, CASES, build
from octavo.compiler.compile import compile_model
from octavo.compiler.session import load

RESULTS = Path(__file__).parent / "results"
MODES = {"int8": ("tflite", "float32"), "uint8": ("tflite", "float32"), "int16": ("float32",)}
REFERENCE, USUAL = OpResolverType.BUILTIN_REF, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
SEEDS = 3
Found = dict[str, dict[str, Any]]


@click.command()
def main() -> None:
    """Measure and write both files."""
    found = {dtype: measure(dtype) for dtype in ALL}
    (RESULTS / "tflite_operators.json").write_text(json.dumps(found, indent=1) + "\n")
    (RESULTS / "tflite_operators.md").write_text(table(found))


def measure(dtype: str) -> Found:
    """Share of equal results and largest difference in steps, by operator and mode."""
    steps: dict[str, dict[str, list[Any]]] = {}
    for usual in (False, True):
        chosen = [c for c in CASES if dtype in c.dtypes and c.usual == usual]
        for seed in range(SEEDS if chosen else 0):
            content, feeds, operators = build(chosen, dtype, seed)
            expected = litert_run(content, feeds, USUAL if usual else REFERENCE)
            for mode in MODES[dtype]:
                actual = run(content, feeds, mode)
                for (name, operator), value in zip(operators.items(), expected, strict=True):
                    apart = np.abs(actual[name].astype(np.int64) - value).reshape(-1)
                    steps.setdefault(operator, {}).setdefault(mode, []).append(apart)
    return {
        operator: {
            mode: {
                "equal": float((np.concatenate(parts) == 0).mean()),
                "max_steps": int(np.concatenate(parts).max()),
            }
            for mode, parts in modes.items()
        }
        for operator, modes in sorted(steps.items())
    }


def run(content: bytes, feeds: dict[str, Any], mode: str) -> dict[str, Any]:
    """What a file computes when it is compiled for this machine."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.tflite"
        path.write_bytes(content)
        compile_model(path, "host", Path(folder) / "out", requantize=mode)
        with load(Path(folder) / "out") as session:
            return dict(session.run(feeds))


def table(found: dict[str, Found]) -> str:
    """The shares in Markdown, with the largest difference behind them."""
    columns = [(dtype, mode) for dtype in ALL for mode in MODES[dtype]]
    titles = [
        f"{dtype}, {'mode tflite' if m == 'tflite' else 'usual'}" for dtype, m in columns
    ]
    lines = ["| operator | " + " | ".join(titles) + " |", "|---" * (len(columns) + 1) + "|"]
    for operator in sorted({name for rows in found.values() for name in rows}):
        cells = [found[dtype].get(operator, {}).get(mode) for dtype, mode in columns]
        shown = [
            "" if cell is None else f"{100 * cell['equal']:.2f}%, {cell['max_steps']}"
            for cell in cells
        ]
        lines.append(f"| {operator} | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
