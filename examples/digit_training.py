"""Networks for the handwritten digits of scikit-learn: data, training, and writing as ONNX.

Needs torch and scikit-learn. Graphs are written node by node, with BatchNormalization left in
them, because folding is the compiler's work.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional

OPSET = 17
SEED = 0
NUM_TEST, NUM_CALIBRATION, NUM_CLASSES = 450, 128, 10
BATCH = 64

Split = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]


def load_split(side: int) -> Split:
    """Training images, test images, training labels, test labels.

    Args:
        side: Pixels of the square images, in [0, 1]; 8 are what the data have.
    """
    pixels, labels = load_digits(return_X_y=True)
    images = (pixels.reshape(-1, 1, 8, 8) / 16).astype(np.float32)
    if side != images.shape[-1]:
        small = torch.from_numpy(images)
        images = functional.interpolate(small, size=(side, side), mode="bilinear").numpy()
    parts = train_test_split(
        images, labels, test_size=NUM_TEST, stratify=labels, random_state=SEED
    )
    return tuple(parts)


def train(
    make: Callable[[], nn.Module],
    images: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    epochs: int,
    shift: int,
) -> nn.Module:
    """Fit a network with shifted copies of the images; the same seed gives the same weights.

    Args:
        make: Makes the network.
        images: Shape (N, 1, side, side), in [0, 1].
        labels: Shape (N,), 0 to 9.
        epochs: Times that every image is seen.
        shift: Pixels, by which images are moved at most in each direction.
    """
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # one order of summation, so one result
    net = make()
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    steps = epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for batch in order[: len(x) // BATCH * BATCH].split(BATCH):
            loss = functional.cross_entropy(
                net(_moved(x[batch], shift)), y[batch], label_smoothing=0.05
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def _moved(images: torch.Tensor, shift: int) -> torch.Tensor:
    """Move the whole batch by up to ``shift`` pixels in each direction."""
    side = images.shape[-1]
    left, top = torch.randint(0, 2 * shift + 1, (2,)).tolist()
    padded = functional.pad(images, (shift,) * 4)
    return padded[:, :, top : top + side, left : left + side]


def accuracy(net: nn.Module, images: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Share of the images whose largest logit is that of their label."""
    with torch.no_grad():
        predicted = net(torch.from_numpy(images)).argmax(dim=1).numpy()
    return float((predicted == labels).mean())


class GraphWriter:
    """Writes layers of a trained network as ONNX nodes, each into a value named after it.

    Attributes:
        arrays: Weights and statistics by name; they become initializers.
    """

    def __init__(self, net: nn.Module, prefix: str = "") -> None:
        """Take the weights of a network, and ``prefix`` off their names."""
        self.arrays: dict[str, NDArray[np.float32]] = {
            name.removeprefix(prefix): array.numpy()
            for name, array in net.state_dict().items()
            if not name.endswith("num_batches_tracked")
        }
        self._nodes: list[onnx.NodeProto] = []

    def add(self, op_type: str, inputs: list[str], name: str, **attributes: object) -> str:
        """Append a node; return its output's name."""
        return self._append(op_type, inputs, name, f"{name}_out", attributes)

    def conv_bn(self, x: str, name: str, norm: str, **attributes: object) -> str:
        """Append a convolution without bias that keeps the size, and its normalization."""
        kernel = self.arrays[f"{name}.weight"].shape[2]
        shape = {"kernel_shape": [kernel] * 2, "pads": [kernel // 2] * 4}
        y = self.add("Conv", [x, f"{name}.weight"], name, **shape, **attributes)
        moments = (f"{norm}.{k}" for k in ("weight", "bias", "running_mean", "running_var"))
        return self.add("BatchNormalization", [y, *moments], norm, epsilon=1e-5)

    def model(self, x: str, name: str, side: int) -> onnx.ModelProto:
        """Append the linear layer ``fc`` of features, and make the model.

        Args:
            x: Features (1, C).
            name: Of the graph.
            side: Pixels of the input ``image``, (1, 1, side, side).
        """
        self._append("Gemm", [x, "fc.weight", "fc.bias"], "fc", "logits", {"transB": 1})
        float_type = onnx.TensorProto.FLOAT
        graph = helper.make_graph(
            self._nodes,
            name,
            [helper.make_tensor_value_info("image", float_type, [1, 1, side, side])],
            [helper.make_tensor_value_info("logits", float_type, [1, NUM_CLASSES])],
            [numpy_helper.from_array(array, key) for key, array in self.arrays.items()],
        )
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model

    def _append(
        self,
        kind: str,
        inputs: list[str],
        name: str,
        output: str,
        attributes: dict[str, object],
    ) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [output], name, **attributes))
        return output


def write(
    folder: Path, model: onnx.ModelProto, split: Split, *, is_compressed: bool = False
) -> None:
    """Write the model under its graph's name, calibration.npz and test.npz.

    Args:
        folder: An existing one.
        model: From ``GraphWriter.model``.
        split: From ``load_split``.
        is_compressed: Whether the images are worth deflating.
    """
    train_images, test_images, _, test_labels = split
    save = np.savez_compressed if is_compressed else np.savez
    onnx.save(model, folder / f"{model.graph.name}.onnx")
    save(folder / "calibration.npz", image=train_images[:NUM_CALIBRATION])
    save(folder / "test.npz", image=test_images, label=test_labels)
