"""Train the digits network; write digits.onnx, calibration.npz and test.npz beside this file.

Needs torch and scikit-learn: pip install torch scikit-learn onnx, then
python -m examples.digits.train.
"""

from pathlib import Path

import onnx
import torch
from torch import nn
from torch.nn import functional

from examples.digit_training import GraphWriter, accuracy, load_split, train, write

FOLDER = Path(__file__).resolve().parent
SIDE = 8  # pixels
SHIFT = 1  # pixels
EPOCHS = 60
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


def export(net: nn.Module) -> onnx.ModelProto:
    """Write the trained network as ONNX."""
    writer = GraphWriter(net)

    def conv_bn(x: str, name: str, group: int = 1) -> str:
        return writer.conv_bn(x, name, f"{name}_bn", group=group)

    x = writer.add("Relu", [conv_bn("image", "stem")], "stem_relu")
    x = writer.add("Relu", [conv_bn(x, "depthwise", group=32)], "depthwise_relu")
    x = writer.add("Relu", [conv_bn(x, "pointwise")], "pointwise_relu")
    x = writer.add("MaxPool", [x], "pool", kernel_shape=[2, 2], strides=[2, 2])
    y = writer.add("Relu", [conv_bn(x, "residual1")], "residual1_relu")
    x = writer.add("Add", [x, conv_bn(y, "residual2")], "residual_add")
    x = writer.add("Relu", [x], "residual_relu")
    x = writer.add(
        "Flatten", [writer.add("GlobalAveragePool", [x], "mean")], "flatten", axis=1
    )
    return writer.model(x, "digits", SIDE)


def main() -> None:
    """Train, report held-out accuracy and write the three files."""
    split = load_split(SIDE)
    images, test_images, labels, test_labels = split
    net = train(DigitsNet, images, labels, epochs=EPOCHS, shift=SHIFT)
    held_out = accuracy(net, test_images, test_labels)
    print(f"held-out accuracy {held_out:.4f} of {len(test_labels)}")
    write(FOLDER, export(net), split)


if __name__ == "__main__":
    main()
