"""LSTM: the fused operator, or its steps one by one."""

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from benchmarks.peers.tflite.dense import fully_connected
from benchmarks.peers.tflite.graph import Activation, Graph, UnsupportedError, attributes
from benchmarks.peers.tflite.shaping import last_row
from benchmarks.peers.tflite.writer import ABSENT

GATES = ("input", "output", "forget", "cell")  # order in ONNX
FUSED_ORDER = ("input", "forget", "cell", "output")
NUM_SIGMOID_GATES = 3  # the first ones in ONNX; the cell's candidate has a tanh


def lstm_fused(graph: Graph, node: onnx.NodeProto) -> None:
    """LSTM, last state wanted -> UNIDIRECTIONAL_SEQUENCE_LSTM and its last row."""
    weight, recurrent, bias, hidden = _parameters(graph, node)
    x, name = graph.plain(node.input[0]), node.output[1]
    steps, batch, _ = graph.writer.shapes[x]

    def gates(array: NDArray[np.float32], label: str) -> list[int]:
        blocks = dict(zip(GATES, np.split(array, len(GATES)), strict=True))
        return [graph.stored(blocks[g], f"{name}/{label}_{g}") for g in FUSED_ORDER]

    state, cell = (
        graph.writer.tensor(f"{name}/{label}", (batch, hidden), state=True)
        for label in ("state", "cell")
    )
    # Peepholes, projection and layer normalization are not there.
    inputs = [x, *gates(weight, "w"), *gates(recurrent, "r"), *[ABSENT] * 3, *gates(bias, "b")]
    inputs += [ABSENT, ABSENT, state, cell, *[ABSENT] * 4]
    options = schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction, options.timeMajor = Activation.TANH, True
    shape = (steps, batch, hidden)
    kind = "UNIDIRECTIONAL_SEQUENCE_LSTM"
    sequence = graph.emit(kind, inputs, shape, f"{name}/sequence", options)
    graph.set(name, last_row(graph, sequence, name))


def lstm_unrolled(graph: Graph, node: onnx.NodeProto) -> None:
    """LSTM, last state wanted -> one product for all inputs, then step by step."""
    weight, recurrent, bias, hidden = _parameters(graph, node)
    x, name = graph.plain(node.input[0]), node.output[1]
    steps, batch, features = graph.writer.shapes[x]
    if batch != 1:
        raise UnsupportedError(f"LSTM {node.name!r}: batch {batch}")
    flat = graph.reshaped(x, (steps, features), f"{name}/rows")
    rows = fully_connected(graph, flat, weight, bias, f"{name}/projected")
    state, cell = None, None
    for step in range(steps):
        label = f"{name}/step{step}"
        row = (step, 0), (1, len(GATES) * hidden)
        gates = graph.sliced(rows, *row, f"{label}/row")
        if state is not None:
            product = fully_connected(graph, state, recurrent, None, f"{label}/r")
            gates = _arithmetic(graph, "ADD", gates, product, f"{label}/sum")
        state, cell = _cell(graph, gates, cell, hidden, label)
    assert state is not None
    graph.set(name, graph.reshaped(state, (1, 1, hidden), name))


def _cell(
    graph: Graph, gates: int, cell: int | None, hidden: int, label: str
) -> tuple[int, int]:
    split = NUM_SIGMOID_GATES * hidden
    opening = graph.sliced(gates, (0, 0), (1, split), f"{label}/iof")
    opening = graph.emit("LOGISTIC", [opening], (1, split), f"{label}/sigmoid")
    candidate = graph.sliced(gates, (0, split), (1, hidden), f"{label}/c")
    candidate = graph.emit("TANH", [candidate], (1, hidden), f"{label}/tanh")

    def gate(name: str) -> int:
        begin = (0, GATES.index(name) * hidden)
        return graph.sliced(opening, begin, (1, hidden), f"{label}/{name}")

    entry, leave = gate("input"), gate("output")
    fresh = _arithmetic(graph, "MUL", entry, candidate, f"{label}/fresh")
    if cell is not None:
        # Asked for only now: the quantizer stumbles over a value that nobody reads.
        kept = _arithmetic(graph, "MUL", gate("forget"), cell, f"{label}/kept")
        fresh = _arithmetic(graph, "ADD", kept, fresh, f"{label}/cell")
    bent = graph.emit("TANH", [fresh], (1, hidden), f"{label}/bent")
    return _arithmetic(graph, "MUL", leave, bent, f"{label}/state"), fresh


def _arithmetic(graph: Graph, kind: str, left: int, right: int, name: str) -> int:
    options = getattr(schema, f"{kind.title()}OptionsT")()
    return graph.emit(kind, [left, right], graph.writer.shapes[left], name, options)


def _parameters(
    graph: Graph, node: onnx.NodeProto
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32], int]:
    """Return weights (4 * hidden, features), (4 * hidden, hidden), bias and hidden size."""
    given = attributes(node)
    outputs = [*node.output, "", ""]
    wanted = [graph.is_read(name) for name in outputs[:3]]
    if wanted != [False, True, False] or given.get("direction", b"forward") != b"forward":
        raise UnsupportedError(f"LSTM {node.name!r}: only the last state of a forward one")
    if any(node.input[4:]) or any(k in given for k in ("activations", "clip", "layout")):
        raise UnsupportedError(f"LSTM {node.name!r}: states, activations, clip or layout")
    weight, recurrent, bias = (graph.constant(name)[0] for name in node.input[1:4])
    return weight, recurrent, np.add(*np.split(bias, 2)), int(given["hidden_size"])
