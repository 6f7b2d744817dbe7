"""Train the residual network; write resnet_digits.onnx, calibration.npz and test.npz here.

Needs torch and scikit-learn: pip install torch scikit-learn onnx, then
python -m examples.resnet_digits.train. Four stages of two basic blocks as in ResNet-18, but
narrow.

Source: He et al., Deep Residual Learning for Image Recognition, arXiv:1512.03385.
"""

from pathlib import Path

import onnx
import torch
from torch import nn
from torch.nn import functional

from examples.digit_training import GraphWriter, accuracy, load_split, train, write

FOLDER = Path(__file__).resolve().parent
EPOCHS = 40
SIDE = 32  # pixels
SHIFT = 3  # pixels
WIDTHS = (8, 16, 32, 64)
BLOCKS = 2  # in each stage


class Block(nn.Module):
    """Two convolutions and a way around them, a 1x1 convolution where the shape changes."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        """Make the layers; the names are those of the ONNX initializers."""
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Conv2d | None = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.shortcut_bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (N, C_out, H / stride, W / stride) of (N, C_in, H, W)."""
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if self.shortcut is not None:
            x = self.shortcut_bn(self.shortcut(x))
        return functional.relu(x + y)


class ResNetDigits(nn.Module):
    """Stem, eight blocks, global average pooling, one linear layer."""

    def __init__(self) -> None:
        """Make the layers; the names are those of the ONNX initializers."""
        super().__init__()
        self.stem = nn.Conv2d(1, WIDTHS[0], 3, padding=1, bias=False)
        self.stem_bn = nn.BatchNorm2d(WIDTHS[0])
        self.blocks = nn.ModuleDict()
        channels = WIDTHS[0]
        for stage, width in enumerate(WIDTHS, 1):
            for block in range(1, BLOCKS + 1):
                stride = 2 if stage > 1 and block == 1 else 1
                self.blocks[f"stage{stage}_block{block}"] = Block(channels, width, stride)
                channels = width
        self.fc = nn.Linear(channels, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits (N, 10) of images (N, 1, 32, 32) in [0, 1]."""
        x = functional.relu(self.stem_bn(self.stem(x)))
        for block in self.blocks.values():
            x = block(x)
        return self.fc(x.mean(dim=(2, 3)))


def export(net: ResNetDigits) -> onnx.ModelProto:
    """Write the trained network as ONNX."""
    writer = GraphWriter(net, prefix="blocks.")
    x = writer.conv_bn("image", "stem", "stem_bn", strides=[1, 1])
    x = writer.add("Relu", [x], "stem_relu")
    for name, block in net.blocks.items():
        x = _block(writer, x, name, block.conv1.stride[0])
    x = writer.add("Flatten", [writer.add("GlobalAveragePool", [x], "mean")], "flatten")
    return writer.model(x, "resnet_digits", SIDE)


def _block(writer: GraphWriter, x: str, name: str, stride: int) -> str:
    """Append two convolutions and the way around them."""
    strides = [stride] * 2
    y = writer.conv_bn(x, f"{name}.conv1", f"{name}.bn1", strides=strides)
    y = writer.add("Relu", [y], f"{name}.relu1")
    y = writer.conv_bn(y, f"{name}.conv2", f"{name}.bn2", strides=[1, 1])
    if f"{name}.shortcut.weight" in writer.arrays:
        x = writer.conv_bn(x, f"{name}.shortcut", f"{name}.shortcut_bn", strides=strides)
    return writer.add("Relu", [writer.add("Add", [x, y], f"{name}.add")], f"{name}.relu2")


def main() -> None:
    """Train, report held-out accuracy and write the three files."""
    split = load_split(SIDE)
    images, test_images, labels, test_labels = split
    net = train(ResNetDigits, images, labels, epochs=EPOCHS, shift=SHIFT)
    held_out = accuracy(net, test_images, test_labels)
    print(f"held-out accuracy {held_out:.4f} of {len(test_labels)}")
    write(FOLDER, export(net), split, is_compressed=True)


if __name__ == "__main__":
    main()
