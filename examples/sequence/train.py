"""Train an LSTM and a GRU on digits read row by row; write both as ONNX, with their data.

Each 8x8 image is a sequence of 8 steps with 8 features, so the network has to remember what it
has seen. Needs torch and scikit-learn; run python examples/sequence/train.py.
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional

FOLDER = Path(__file__).resolve().parent
OPSET = 17
SEED = 0
NUM_TEST, NUM_CALIBRATION = 450, 128
EPOCHS, BATCH = 60, 64
STEPS, FEATURES, HIDDEN = 8, 8, 64
# Where each gate of the ONNX order stands in PyTorch's: LSTM i,f,g,o to i,o,f,c; GRU r,z,n to
# z,r,h.
GATE_ORDER = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}


class SequenceNet(nn.Module):
    """One recurrent layer whose last state goes through one linear layer."""

    def __init__(self, kind: str) -> None:
        """Make the layers.

        Args:
            kind: "LSTM" or "GRU".
        """
        super().__init__()
        self.kind = kind
        self.recurrent = getattr(nn, kind)(FEATURES, HIDDEN, batch_first=True)
        self.fc = nn.Linear(HIDDEN, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, 10) of sequences (N, 8, 8) in [0, 1]."""
        outputs, _ = self.recurrent(x)
        return self.fc(outputs[:, -1])


def load_split() -> tuple[NDArray[np.float32], ...]:
    """Return training rows, test rows, training labels, test labels; rows in [0, 1]."""
    images, labels = load_digits(return_X_y=True)
    rows = (images.reshape(-1, STEPS, FEATURES) / 16).astype(np.float32)
    return tuple(
        train_test_split(rows, labels, test_size=NUM_TEST, stratify=labels, random_state=SEED)
    )


def train(kind: str, rows: NDArray[np.float32], labels: NDArray[np.int64]) -> SequenceNet:
    """Fit the network; the same seed gives the same weights.

    Args:
        kind: "LSTM" or "GRU".
        rows: Shape (N, 8, 8), in [0, 1].
        labels: Shape (N,), 0 to 9.
    """
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # one order of summation, so one result
    net = SequenceNet(kind)
    x, y = torch.from_numpy(rows), torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=1e-3)
    steps = EPOCHS * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for batch in order[: len(x) // BATCH * BATCH].split(BATCH):
            noisy = x[batch] + 0.05 * torch.randn_like(x[batch])
            loss = functional.cross_entropy(net(noisy), y[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def export(net: SequenceNet) -> onnx.ModelProto:
    """Write the trained network with ONNX's own LSTM or GRU operator."""
    state = {name: array.numpy() for name, array in net.state_dict().items()}
    w, r, input_bias, state_bias = (
        _to_onnx_gates(net.kind, state[f"recurrent.{name}_l0"])
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    initializers = {
        "w": w[None],
        "r": r[None],
        "b": np.concatenate([input_bias, state_bias])[None],
        "fc.weight": state["fc.weight"],
        "fc.bias": state["fc.bias"],
        "axes": np.array([0], np.int64),
    }
    # PyTorch's GRU applies the reset gate after the recurrent product.
    extra = {"linear_before_reset": 1} if net.kind == "GRU" else {}
    make = helper.make_node
    nodes = [
        make("Transpose", ["rows"], ["steps"], name="time_first", perm=[1, 0, 2]),
        make(
            net.kind,
            ["steps", "w", "r", "b"],
            ["", "state"],
            name="recurrent",
            hidden_size=HIDDEN,
            **extra,
        ),
        make("Squeeze", ["state", "axes"], ["last"], name="squeeze"),
        make("Gemm", ["last", "fc.weight", "fc.bias"], ["logits"], name="fc", transB=1),
    ]
    float_type = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        f"digits_{net.kind.lower()}",
        [helper.make_tensor_value_info("rows", float_type, [1, STEPS, FEATURES])],
        [helper.make_tensor_value_info("logits", float_type, [1, 10])],
        [numpy_helper.from_array(array, name) for name, array in initializers.items()],
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def _to_onnx_gates(kind: str, array: NDArray[np.float32]) -> NDArray[np.float32]:
    gates = np.split(array, len(GATE_ORDER[kind]))
    return np.concatenate([gates[i] for i in GATE_ORDER[kind]])


def main() -> None:
    """Train both, report held-out accuracy and write the files."""
    train_rows, test_rows, train_labels, test_labels = load_split()
    for kind in GATE_ORDER:
        net = train(kind, train_rows, train_labels)
        with torch.no_grad():
            predicted = net(torch.from_numpy(test_rows)).argmax(dim=1).numpy()
        accuracy = (predicted == test_labels).mean()
        print(f"{kind}: held-out accuracy {accuracy:.4f} of {len(test_labels)}")
        onnx.save(export(net), FOLDER / f"{kind.lower()}.onnx")
    np.savez(FOLDER / "calibration.npz", rows=train_rows[:NUM_CALIBRATION])
    np.savez(FOLDER / "test.npz", rows=test_rows, label=test_labels)


if __name__ == "__main__":
    main()
