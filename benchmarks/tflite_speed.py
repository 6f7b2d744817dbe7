"""What the integers of LiteRT's reference cost: the mode tflite, the usual one and XNNPACK.

    python -m benchmarks.tflite_speed [NETWORK ...]

Networks of the zoo, quantized to int8 by LiteRT's own quantizer, one thread, in turns. Writes
results/tflite_speed.md and .json.
"""

import tempfile
from pathlib import Path
from typing import Any

from ai_edge_litert.interpreter import Interpreter

from benchmarks.interleave import measure_interleaved
from benchmarks.peers.litert_runner import SIGNATURE, native
from benchmarks.peers.tflite.convert import convert
from benchmarks.result_rows import Rows, rows_command
from benchmarks.tflite_fidelity import Case, as_integers, quantized
from benchmarks.zoo.registry import find_entry
from octavo.compiler.bench.litert_program import LiteRtProgram
from octavo.compiler.bench.octavo_program import OctavoProgram
from octavo.compiler.compile import compile_model
from octavo.compiler.roofline.machine import this_machine

NETWORKS = ("mobilenet_v2", "resnet18", "ds_cnn")
MODES = {"usual": "float32", "tflite": "tflite"}
INPUT_SIZE = 160
NUM_SAMPLES = 2
SECONDS = 12.0


def measure(name: str) -> dict[str, Any]:
    """Median and least time of one network, microseconds."""
    entry = find_entry(name)
    sizes = {} if entry.input_size is None else {"input_size": INPUT_SIZE}
    samples = [native(x) for x in entry.samples(NUM_SAMPLES, **sizes)]
    content = quantized(Case(name, convert(entry.fitted(**sizes)), SIGNATURE, samples), 8)
    interpreter = Interpreter(model_content=content)
    feeds = as_integers(interpreter, samples[0])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.tflite"
        path.write_bytes(content)
        runs = {}
        for label, mode in MODES.items():
            compile_model(path, "host", Path(folder) / label, requantize=mode)
            runs[label] = OctavoProgram(Path(folder) / label).bind(feeds)
        (signature,) = interpreter.get_signature_list().values()
        program = LiteRtProgram(path, input_names=signature["inputs"])
        runs["xnnpack"] = program.bind(feeds)
        found = measure_interleaved(runs, budget_s=SECONDS)
    times = {
        label: {"median_us": round(latency.median_us, 1), "min_us": round(latency.min_us, 1)}
        for label, latency in found.items()
    }
    return {"cpu": this_machine().cpu, "num_runs": found["usual"].num_runs} | times


def table(rows: Rows) -> str:
    """The rows in Markdown."""
    lines = [
        "Microseconds of one inference, median and least, one thread, taking turns.",
        "",
        "| network | usual mode | mode tflite | costs | LiteRT with XNNPACK |",
        "|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        cells = {label: row[label] for label in (*MODES, "xnnpack")}
        shown = {
            label: f"{cell['median_us']:,.0f} ({cell['min_us']:,.0f})"
            for label, cell in cells.items()
        }
        cost = cells["tflite"]["median_us"] / cells["usual"]["median_us"] - 1
        lines.append(
            f"| {name} | {shown['usual']} | {shown['tflite']} | {cost:+.0%} "
            f"| {shown['xnnpack']} |"
        )
    machines = ", ".join(sorted({row["cpu"] for row in rows.values()}))
    return "\n".join([*lines, "", f"{machines}."])


main = rows_command("tflite_speed", NETWORKS, measure, table)

if __name__ == "__main__":
    main()
