"""Train the digits network; write digits.onnx, calibration.npz and test.npz beside this file.

Needs torch and scikit-learn: pip install torch scikit-learn onnx, then
python examples/digits/train.py. The graph is written node by node, with BatchNormalization
left in it, because folding is the compiler's work.
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
WIDTH = 48


class DigitsNet(nn.Module):
    """Stem, depthwise and pointwise convolution, residual block, pooling, linear layer."""

    def __init__(self) -> None:
        """Make the layers; the names are those of the ONNX initializers."""
        super().__init__()
        self.stem = _conv(1, 32, 3)
        self.stem_bn = nn.BatchNorm2d(32)
        self.depthwise = _conv(32, 32, 3, groups=32)
        self.depthwise_bn = nn.BatchNorm2d(32)
        self.pointwise = _conv(32, WIDTH, 1)
        self.pointwise_bn = nn.BatchNorm2d(WIDTH)
        self.residual1 = _conv(WIDTH, WIDTH, 3)
        self.residual1_bn = nn.BatchNorm2d(WIDTH)
        self.residual2 = _conv(WIDTH, WIDTH, 3)
        self.residual2_bn = nn.BatchNorm2d(WIDTH)
        self.fc = nn.Linear(WIDTH, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, 10) of images (N, 1, 8, 8) in [0, 1]."""
        x = functional.relu(self.stem_bn(self.stem(x)))
        x = functional.relu(self.depthwise_bn(self.depthwise(x)))
        x = functional.relu(self.pointwise_bn(self.pointwise(x)))
        x = functional.max_pool2d(x, 2)
        y = functional.relu(self.residual1_bn(self.residual1(x)))
        y = self.residual2_bn(self.residual2(y))
        x = functional.relu(x + y)
        return self.fc(x.mean(dim=(2, 3)))


def _conv(in_channels: int, out_channels: int, kernel: int, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(
        in_channels, out_channels, kernel, padding=kernel // 2, groups=groups, bias=False
    )


def load_split() -> tuple[NDArray[np.float32], ...]:
    """Return training images, test images, training labels, test labels; images in [0, 1]."""
    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 1, 8, 8) / 16).astype(np.float32)
    return tuple(
        train_test_split(
            images, labels, test_size=NUM_TEST, stratify=labels, random_state=SEED
        )
    )


def train(images: NDArray[np.float32], labels: NDArray[np.int64]) -> DigitsNet:
    """Fit the network with shifted copies of the images; the same seed gives the same weights.

    Args:
        images: Shape (N, 1, 8, 8), in [0, 1].
        labels: Shape (N,), 0 to 9.
    """
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # one order of summation, so one result
    net = DigitsNet()
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    steps = EPOCHS * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in range(EPOCHS):
        order = torch.randperm(len(x))
        for batch in order[: len(x) // BATCH * BATCH].split(BATCH):
            loss = functional.cross_entropy(
                net(_shift(x[batch])), y[batch], label_smoothing=0.05
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def _shift(images: torch.Tensor) -> torch.Tensor:
    """Move the whole batch by up to one pixel in each direction."""
    left, top = torch.randint(0, 3, (2,)).tolist()
    return functional.pad(images, (1, 1, 1, 1))[:, :, top : top + 8, left : left + 8]


def export(net: DigitsNet) -> onnx.ModelProto:
    """Write the trained network as ONNX."""
    arrays = {
        name: array.numpy()
        for name, array in net.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    nodes: list[onnx.NodeProto] = []

    def add(op_type: str, inputs: list[str], name: str, **attributes: object) -> str:
        nodes.append(
            helper.make_node(op_type, inputs, [f"{name}_out"], name=name, **attributes)
        )
        return f"{name}_out"

    def conv_bn(x: str, name: str) -> str:
        weight = arrays[f"{name}.weight"]
        kernel = weight.shape[2]
        groups = weight.shape[0] if weight.shape[1] == 1 and name != "stem" else 1
        y = add(
            "Conv",
            [x, f"{name}.weight"],
            name,
            kernel_shape=[kernel] * 2,
            pads=[kernel // 2] * 4,
            group=groups,
        )
        keys = ("weight", "bias", "running_mean", "running_var")
        norm = f"{name}_bn"
        return add(
            "BatchNormalization", [y, *(f"{norm}.{k}" for k in keys)], norm, epsilon=1e-5
        )

    x = add("Relu", [conv_bn("image", "stem")], "stem_relu")
    x = add("Relu", [conv_bn(x, "depthwise")], "depthwise_relu")
    x = add("Relu", [conv_bn(x, "pointwise")], "pointwise_relu")
    x = add("MaxPool", [x], "pool", kernel_shape=[2, 2], strides=[2, 2])
    y = add("Relu", [conv_bn(x, "residual1")], "residual1_relu")
    x = add("Add", [x, conv_bn(y, "residual2")], "residual_add")
    x = add("GlobalAveragePool", [add("Relu", [x], "residual_relu")], "mean")
    x = add("Flatten", [x], "flatten", axis=1)
    nodes.append(
        helper.make_node("Gemm", [x, "fc.weight", "fc.bias"], ["logits"], name="fc", transB=1)
    )
    float_type = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", float_type, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("logits", float_type, [1, 10])],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    opset = helper.make_opsetid("", OPSET)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    """Train, report held-out accuracy and write the three files."""
    train_images, test_images, train_labels, test_labels = load_split()
    net = train(train_images, train_labels)
    with torch.no_grad():
        predicted = net(torch.from_numpy(test_images)).argmax(dim=1).numpy()
    print(f"held-out accuracy {(predicted == test_labels).mean():.4f} of {len(test_labels)}")
    onnx.save(export(net), FOLDER / "digits.onnx")
    np.savez(FOLDER / "calibration.npz", image=train_images[:NUM_CALIBRATION])
    np.savez(FOLDER / "test.npz", image=test_images, label=test_labels)


if __name__ == "__main__":
    main()
