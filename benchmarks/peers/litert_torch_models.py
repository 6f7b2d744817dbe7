"""Float .tflite files that litert-torch converts: four small networks with random weights.

litert-torch brings PyTorch and JAX, which nothing else here needs, so it has an environment
of its own:

    pip install litert-torch
    python benchmarks/peers/litert_torch_models.py FOLDER

`python -m benchmarks.tflite_fidelity FOLDER/*.tflite` quantizes them with LiteRT's quantizer.
"""

import sys
from pathlib import Path

import litert_torch
import torch
from torch import Tensor, nn

# expansion, channels, blocks, stride; Sandler et al. 2018, table 2
MOBILENET_V2 = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1),
                (6, 160, 3, 2), (6, 320, 1, 1))  # fmt: skip
MAP_SIZES = (16, 8)  # of the detector


def conv(inputs, outputs, kernel=3, stride=1, groups=1, padding=None, act=nn.ReLU6):
    """Convolution, normalization, activation."""
    pad = kernel // 2 if padding is None else padding
    parts = [nn.Conv2d(inputs, outputs, kernel, stride, pad, groups=groups, bias=False)]
    parts += [nn.BatchNorm2d(outputs), *([act()] if act else [])]
    return nn.Sequential(*parts)


class Block(nn.Module):
    """Expand, convolve each channel, project; with a residual where shapes allow."""

    def __init__(self, inputs, outputs, stride, expansion):
        super().__init__()
        wide = inputs * expansion
        expand = [conv(inputs, wide, 1)] if expansion > 1 else []
        depthwise = conv(wide, wide, 3, stride, wide)
        self.body = nn.Sequential(*expand, depthwise, conv(wide, outputs, 1, act=None))
        self.is_residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.is_residual else self.body(x)


class MobileNetV2(nn.Module):
    """1000 classes, full width."""

    def __init__(self):
        super().__init__()
        parts, channels = [conv(3, 32, 3, 2)], 32
        for expansion, outputs, blocks, stride in MOBILENET_V2:
            for block in range(blocks):
                step = stride if block == 0 else 1
                parts.append(Block(channels, outputs, step, expansion))
                channels = outputs
        self.features = nn.Sequential(*parts, conv(channels, 1280, 1))
        self.classifier = nn.Linear(1280, 1000)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x).mean((2, 3)))


class KeywordSpotter(nn.Module):
    """DS-CNN over 49 frames of 10 MFCCs."""

    def __init__(self):
        super().__init__()
        parts = [conv(1, 64, (10, 4), 2, padding=(5, 1), act=nn.ReLU)]
        for _ in range(4):
            parts += [conv(64, 64, 3, groups=64, act=nn.ReLU), conv(64, 64, 1, act=nn.ReLU)]
        self.features = nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.classifier = nn.Linear(64, 12)

    def forward(self, x: Tensor) -> Tensor:
        return torch.softmax(self.classifier(self.features(x)), -1)


class Lstm(nn.Module):
    """The last state of 49 frames, classified; litert-torch writes the steps one by one."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(10, 64, batch_first=True)
        self.classifier = nn.Linear(64, 12)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.lstm(x)
        return self.classifier(states[:, -1])


class Detector(nn.Module):
    """Scores and boxes of anchors on two maps, the finer one with features of the coarser."""

    def __init__(self, classes=5, anchors=3):
        super().__init__()
        self.classes = classes
        self.stem = nn.Sequential(conv(3, 16, 3, 2), conv(16, 32, 3, 2))
        self.down = conv(32, 64, 3, 2)
        self.lateral = conv(64, 32, 1)
        self.scores, self.boxes = (
            nn.ModuleList([nn.Conv2d(c, anchors * n, 3, padding=1) for c in (32, 64)])
            for n in (classes, 4)
        )
        centres = []
        for size in MAP_SIZES:
            places = (torch.arange(size) + 0.5) / size
            y, x = torch.meshgrid(places, places, indexing="ij")
            grid = torch.stack([x, y], -1)[:, :, None].expand(-1, -1, anchors, -1)
            centres.append(grid.reshape(1, -1, 2))
        self.register_buffer("centres", torch.cat(centres, 1))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fine = self.stem(x)
        coarse = self.down(fine)
        fine = fine + nn.functional.interpolate(self.lateral(coarse), scale_factor=2.0)

        def joined(heads, width):
            maps = [
                h(m).permute(0, 2, 3, 1) for h, m in zip(heads, (fine, coarse), strict=True)
            ]
            return torch.cat([m.reshape(1, -1, width) for m in maps], 1)

        boxes = joined(self.boxes, 4)
        middle = torch.sigmoid(boxes[..., :2]) * 0.2 - 0.1 + self.centres
        half = torch.relu(boxes[..., 2:]) * 0.05
        scores = torch.sigmoid(joined(self.scores, self.classes))
        return scores, torch.cat([middle - half, middle + half], -1)


MODELS = {
    "mobilenet_v2": (MobileNetV2, (1, 3, 96, 96)),
    "ds_cnn": (KeywordSpotter, (1, 1, 49, 10)),
    "lstm": (Lstm, (1, 49, 10)),
    "detector": (Detector, (1, 3, 64, 64)),
}


def with_statistics(model: nn.Module, shape: tuple[int, ...]) -> nn.Module:
    """Draw what training would find, and let normalizations see some inputs."""
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.weight.data.uniform_(0.5, 1.5)
            part.bias.data.normal_(0, 0.3)
            part.momentum = None
        if isinstance(part, nn.LSTM):
            for parameter in part.parameters():
                parameter.data.normal_(0, 0.3)
    model.train()
    with torch.no_grad():
        for _ in range(16):
            model(torch.randn(shape))
    return model.eval()


def main(folder: Path) -> None:
    """Write all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (kind, shape) in MODELS.items():
        torch.manual_seed(0)
        model = with_statistics(kind(), shape)
        litert_torch.convert(model, (torch.randn(shape),)).export(
            str(folder / f"{name}.tflite")
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
