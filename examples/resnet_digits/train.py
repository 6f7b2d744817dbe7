"""Train the residual network; write resnet_digits.onnx, calibration.npz and test.npz here.

Needs torch and scikit-learn: pip install torch scikit-learn onnx, then
python examples/resnet_digits/train.py. Four stages of two basic blocks as in ResNet-18, but
narrow. The graph is written node by node, with BatchNormalization left in it.

Source: He et al., Deep Residual Learning for Image Recognition, arXiv:1512.03385.
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
EPOCHS, BATCH = 40, 64
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


def load_split() -> tuple[NDArray[np.generic], ...]:
    """Return training images, test images, training labels, test labels; images in [0, 1]."""
    pixels, labels = load_digits(return_X_y=True)
    small = torch.from_numpy((pixels.reshape(-1, 1, 8, 8) / 16).astype(np.float32))
    images = functional.interpolate(small, size=(SIDE, SIDE), mode="bilinear").numpy()
    return tuple(
        train_test_split(
            images, labels, test_size=NUM_TEST, stratify=labels, random_state=SEED
        )
    )


def train(images: NDArray[np.float32], labels: NDArray[np.int64]) -> ResNetDigits:
    """Fit the network with shifted copies of the images; the same seed gives the same weights.

    Args:
        images: Shape (N, 1, 32, 32), in [0, 1].
        labels: Shape (N,), 0 to 9.
    """
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # one order of summation, so one result
    net = ResNetDigits()
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
    """Move the whole batch by up to 3 pixels in each direction."""
    left, top = torch.randint(0, 2 * SHIFT + 1, (2,)).tolist()
    padded = functional.pad(images, (SHIFT,) * 4)
    return padded[:, :, top : top + SIDE, left : left + SIDE]


class Writer:
    """Writes layers of a trained network as ONNX nodes, each into a value named after it."""

    def __init__(self, arrays: dict[str, NDArray[np.float32]]) -> None:
        self.arrays = arrays
        self.nodes: list[onnx.NodeProto] = []

    def add(self, op_type: str, inputs: list[str], name: str, **attributes: object) -> str:
        """Append a node; return its output's name."""
        output = f"{name}_out"
        self.nodes.append(helper.make_node(op_type, inputs, [output], name, **attributes))
        return output

    def conv_bn(self, x: str, name: str, norm: str, stride: int = 1) -> str:
        """Append a convolution without bias, and its BatchNormalization."""
        kernel = self.arrays[f"{name}.weight"].shape[2]
        shape = {"kernel_shape": [kernel] * 2, "pads": [kernel // 2] * 4}
        y = self.add("Conv", [x, f"{name}.weight"], name, strides=[stride] * 2, **shape)
        moments = (f"{norm}.{k}" for k in ("weight", "bias", "running_mean", "running_var"))
        return self.add("BatchNormalization", [y, *moments], norm, epsilon=1e-5)

    def block(self, x: str, name: str, stride: int) -> str:
        """Append two convolutions and the way around them."""
        y = self.conv_bn(x, f"{name}.conv1", f"{name}.bn1", stride)
        y = self.add("Relu", [y], f"{name}.relu1")
        y = self.conv_bn(y, f"{name}.conv2", f"{name}.bn2")
        if f"{name}.shortcut.weight" in self.arrays:
            x = self.conv_bn(x, f"{name}.shortcut", f"{name}.shortcut_bn", stride)
        return self.add("Relu", [self.add("Add", [x, y], f"{name}.add")], f"{name}.relu2")


def export(net: ResNetDigits) -> onnx.ModelProto:
    """Write the trained network as ONNX."""
    arrays = {
        name.removeprefix("blocks."): array.numpy()
        for name, array in net.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    writer = Writer(arrays)
    x = writer.add("Relu", [writer.conv_bn("image", "stem", "stem_bn")], "stem_relu")
    for name, block in net.blocks.items():
        x = writer.block(x, name, block.conv1.stride[0])
    x = writer.add("Flatten", [writer.add("GlobalAveragePool", [x], "mean")], "flatten")
    gemm = helper.make_node(
        "Gemm", [x, "fc.weight", "fc.bias"], ["logits"], name="fc", transB=1
    )
    float_type = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [*writer.nodes, gemm],
        "resnet_digits",
        [helper.make_tensor_value_info("image", float_type, [1, 1, SIDE, SIDE])],
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
    onnx.save(export(net), FOLDER / "resnet_digits.onnx")
    np.savez_compressed(FOLDER / "calibration.npz", image=train_images[:NUM_CALIBRATION])
    np.savez_compressed(FOLDER / "test.npz", image=test_images, label=test_labels)


if __name__ == "__main__":
    main()
