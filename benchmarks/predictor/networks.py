"""Random networks of realistic layers: what the predictor learns from, besides the zoo.

Widths are drawn on a logarithmic scale, a third of them any number (3, 17, 30, ...), so
that what a tile wastes is seen. Layers are measured inside a network, where their inputs
are as warm in the caches as they are in use.
"""

import math
import zlib
from collections.abc import Callable

import numpy as np
import onnx

from benchmarks.zoo.builder import GraphBuilder
from benchmarks.zoo.transformer import add_mlp, dense, layer_norm

FRIENDLY_STEP = 8
UNFRIENDLY_SHARE = 0.33
MAX_MACS = 600e6  # of one network: a tenth of a second in float


class RandomNetwork:
    """A graph that grows by random layers, up to a limit of work.

    Attributes:
        g: The graph.
        macs: Multiply-accumulates so far, about.
    """

    def __init__(self, name: str, seed: int) -> None:
        self.g = GraphBuilder(name, seed)
        self.macs = 0.0
        self._rng = np.random.default_rng(zlib.crc32(name.encode()))

    def width(self, low: int, high: int) -> int:
        """Draw a number of channels."""
        value = math.exp(self._rng.uniform(math.log(low), math.log(high)))
        if self._rng.random() < UNFRIENDLY_SHARE:
            return max(1, round(value))
        return max(FRIENDLY_STEP, round(value / FRIENDLY_STEP) * FRIENDLY_STEP)

    def pick(self, *values: int) -> int:
        """Draw one of some numbers."""
        return int(self._rng.choice(values))

    def chance(self, share: float) -> bool:
        """Draw whether something is done."""
        return bool(self._rng.random() < share)

    def act(self, x: str) -> str:
        """Append an activation, or none."""
        kind = self.pick(0, 0, 0, 1, 1, 2, 3, 4)
        if kind == 1:
            return self.g.relu6(x)
        if kind in (0, 2, 3):
            return self.g.node(("Relu", "", "HardSwish", "Sigmoid")[kind], x)
        return x

    def conv(
        self, x: str, channels: int, kernel: int | tuple[int, int], stride: int = 1,
        groups: int = 1,
    ) -> str:
        """Append a convolution with its normalization."""
        y = self.g.conv(x, channels, kernel, stride=stride, groups=groups)
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        fan_in = self.g.shape(x)[1] // groups * height * width
        self.macs += math.prod(self.g.shape(y)) * fan_in
        return self.g.batch_norm(y)

    def image(self, low: int = 16, high: int = 260) -> str:
        """Append the input: an image with a few channels, square or not."""
        height = self.width(low, high)
        width = height if self.chance(0.7) else self.width(low, high)
        return self.g.input("x", (1, self.pick(1, 3, 3, 3, 4), height, width))

    def side(self, x: str) -> int:
        """The shorter side of a map."""
        return min(self.g.shape(x)[2:])

    @property
    def is_full(self) -> bool:
        """Whether there is work enough."""
        return self.macs > MAX_MACS


def mobile(seed: int) -> onnx.ModelProto:
    """Inverted residuals, some with squeeze and excitation."""
    n = RandomNetwork(f"mobile_{seed}", seed)
    g = n.g
    x = n.act(n.conv(n.image(), n.width(8, 48), 3, n.pick(1, 2, 2)))
    for _ in range(n.pick(4, 6, 8, 10)):
        channels = g.shape(x)[1]
        stride = n.pick(1, 1, 2) if n.side(x) > 6 else 1
        hidden = min(max(channels, n.width(channels, 6 * channels + 8)), 1200)
        y = n.act(n.conv(x, hidden, 1))
        y = n.act(n.conv(y, hidden, n.pick(3, 3, 5, 7), stride, groups=hidden))
        if n.chance(0.25):
            y = _squeeze_excite(n, y)
        wanted = channels if stride == 1 and n.chance(0.6) else n.width(8, 320)
        y = n.conv(y, wanted, 1)
        x = g.node("Add", x, y) if g.shape(x) == g.shape(y) else y
        if n.is_full:
            break
    x = n.act(n.conv(x, n.width(64, 1280), 1))
    return g.finish(y=g.classifier(x, n.width(2, 1000)))


def _squeeze_excite(n: RandomNetwork, x: str) -> str:
    g = n.g
    y = g.node("GlobalAveragePool", x)
    y = g.node("Relu", g.conv(y, n.width(4, 96), 1, bias=True))
    y = g.conv(y, g.shape(x)[1], 1, bias=True)
    return g.node("Mul", x, g.node("Sigmoid" if n.chance(0.5) else "HardSigmoid", y))


def residual(seed: int) -> onnx.ModelProto:
    """Basic and bottleneck blocks with dense convolutions."""
    n = RandomNetwork(f"residual_{seed}", seed)
    g = n.g
    x = n.act(n.conv(n.image(), n.width(12, 80), n.pick(3, 5, 7), n.pick(1, 2, 2)))
    if n.side(x) > 20:
        x = g.pool("MaxPool", x, n.pick(2, 3), 2, 0)
    for _ in range(n.pick(3, 5, 7)):
        stride = n.pick(1, 1, 2) if n.side(x) > 6 else 1
        if n.chance(0.5):
            inner = n.width(12, 300)
            y = n.act(n.conv(x, inner, n.pick(1, 3), 1))
            y = n.act(n.conv(y, inner, 3, stride))
            y = n.conv(y, n.width(16, 900), 1)
        else:
            y = n.act(n.conv(x, n.width(12, 400), n.pick(3, 3, 3, 5), stride))
            y = n.conv(y, n.width(12, 400), 3)
        shortcut = n.conv(x, g.shape(y)[1], 1, stride) if n.chance(0.6) else ""
        x = g.node("Relu", g.node("Add", shortcut, y)) if shortcut else n.act(y)
        if n.is_full:
            break
    return g.finish(y=g.classifier(x, n.width(2, 1000)))


def branches(seed: int) -> onnx.ModelProto:
    """Parallel convolutions and pools, joined by channels; grouped and shuffled ones."""
    n = RandomNetwork(f"branches_{seed}", seed)
    g = n.g
    x = n.act(n.conv(n.image(24, 200), n.width(12, 64), 3, n.pick(1, 2)))
    for _ in range(n.pick(3, 4, 5)):
        if n.side(x) > 8 and n.chance(0.5):
            kind = "MaxPool" if n.chance(0.6) else "AveragePool"
            x = g.pool(kind, x, n.pick(2, 3), 2)
        parts = [n.act(n.conv(x, n.width(8, 128), 1))]
        y = n.act(n.conv(x, n.width(8, 128), 1))
        parts.append(n.act(n.conv(y, n.width(8, 160), n.pick(3, 3, 5))))
        if n.chance(0.5):
            size = n.pick(3, 5, 7)
            y = n.act(n.conv(x, n.width(8, 128), (1, size)))
            parts.append(n.act(n.conv(y, n.width(8, 128), (size, 1))))
        if n.chance(0.5):
            kind = "MaxPool" if n.chance(0.5) else "AveragePool"
            y = g.pool(kind, x, 3, 1, 1)
            parts.append(n.act(n.conv(y, n.width(8, 96), 1)))
        x = g.node("Concat", *parts, axis=1)
        if n.chance(0.3):
            x = _grouped(n, x)
        if n.is_full:
            break
    return g.finish(y=g.classifier(x, n.width(2, 1000)))


def _grouped(n: RandomNetwork, x: str) -> str:
    g, groups = n.g, n.pick(2, 3, 4, 8)
    channels = groups * n.width(6, 64)
    x = n.act(n.conv(x, channels, 1))
    _, _, height, width = g.shape(x)
    x = g.reshape(x, (-1, groups, channels // groups, height, width))
    x = g.reshape(g.node("Transpose", x, perm=[0, 2, 1, 3, 4]), (-1, channels, height, width))
    return n.act(n.conv(x, channels, n.pick(1, 3), groups=groups))


def transformer(seed: int) -> onnx.ModelProto:
    """Encoder blocks over tokens or patches."""
    n = RandomNetwork(f"transformer_{seed}", seed)
    g = n.g
    heads = n.pick(1, 2, 3, 4, 6, 8)
    depth = n.pick(16, 24, 32, 48, 64)
    features, tokens = heads * depth, n.width(8, 260)
    x = g.input("x", (1, tokens, n.width(8, 300)))
    x = dense(g, x, features, label="embed")
    for _ in range(n.pick(1, 2, 3)):
        y = layer_norm(g, x, 1e-6, label="norm1")
        query, key, value = (dense(g, y, features, label=name) for name in "qkv")
        shape = (1, tokens, heads, depth)
        query, value = (
            g.node("Transpose", g.reshape(part, shape), perm=[0, 2, 1, 3])
            for part in (query, value))
        key = g.node("Transpose", g.reshape(key, shape), perm=[0, 2, 3, 1])
        scale = g.constant(np.array(1 / math.sqrt(depth), np.float32), "scale")
        scores = g.node("MatMul", g.node("Mul", query, scale), key)
        y = g.node("MatMul", g.node("Softmax", scores, axis=-1), value)
        y = g.reshape(g.node("Transpose", y, perm=[0, 2, 1, 3]), (1, tokens, features))
        x = g.node("Add", x, dense(g, y, features, label="proj"))
        y = layer_norm(g, x, 1e-6, label="norm2")
        x = g.node("Add", x, add_mlp(g, y, n.width(features, 4 * features)))
        n.macs += tokens * features * (12 * features + 2 * tokens)
        if n.is_full:
            break
    x = layer_norm(g, x, 1e-6, label="norm")
    first = g.constant(np.array(0, np.int64), "first")
    return g.finish(y=g.linear(g.node("Gather", x, first, axis=1), n.width(2, 1000)))


def perceptron(seed: int) -> onnx.ModelProto:
    """Dense layers, for one sample or a batch."""
    n = RandomNetwork(f"perceptron_{seed}", seed)
    g = n.g
    x = g.input("x", (n.pick(1, 1, 4, 16, 64), n.width(10, 2000)))
    for _ in range(n.pick(3, 4, 6, 8)):
        x = n.act(g.linear(x, n.width(8, 2000)))
    return g.finish(y=g.linear(x, n.width(1, 1000)))


def recurrent(seed: int) -> onnx.ModelProto:
    """LSTM or GRU layers over a sequence, and a dense layer."""
    n = RandomNetwork(f"recurrent_{seed}", seed)
    g = n.g
    steps, features = n.width(8, 100), n.width(4, 200)
    x = g.input("x", (steps, 1, features))
    state = ""
    for index in range(n.pick(1, 2)):
        kind, gates = ("LSTM", 4) if n.chance(0.6) else ("GRU", 3)
        hidden, features = n.width(16, 256), g.shape(x)[2]
        w = g.normal((1, gates * hidden, features), 1 / math.sqrt(features))
        r = g.normal((1, gates * hidden, hidden), 1.0 / math.sqrt(hidden))
        b = g.normal((1, 2 * gates * hidden), 0.1)
        names = [g.constant(a, f"{key}{index}") for key, a in {"w": w, "r": r, "b": b}.items()]
        extra = {"linear_before_reset": 1} if kind == "GRU" else {}
        outputs = g.nodes(
            kind, (x, *names), 3 if kind == "LSTM" else 2, hidden_size=hidden, **extra)
        axes = g.constant(np.array([1], np.int64), "axes")
        x, state = g.node("Squeeze", outputs[0], axes), outputs[1]
    axes = g.constant(np.array([0], np.int64), "axes")
    return g.finish(y=g.linear(g.node("Squeeze", state, axes), n.width(2, 300)))


def decoder(seed: int) -> onnx.ModelProto:
    """Down and up again, by resizing or transposed convolutions."""
    n = RandomNetwork(f"decoder_{seed}", seed)
    g = n.g
    side = 16 * n.pick(2, 3, 4, 6, 8)
    x = g.input("x", (1, n.pick(1, 3), side, side))
    skips = []
    for _ in range(n.pick(2, 3)):
        x = n.act(n.conv(x, n.width(8, 96), 3))
        skips.append(x)
        x = g.pool("MaxPool", x, 2, 2) if n.chance(0.6) else n.conv(x, n.width(8, 128), 3, 2)
    x = n.act(n.conv(x, n.width(16, 200), 3))
    for skip in reversed(skips):
        x = _up(n, x)
        x = n.act(n.conv(g.node("Concat", skip, x, axis=1), n.width(8, 96), 3))
    return g.finish(y=g.conv(x, n.pick(1, 3, 4, 21), 1, bias=True))


def _up(n: RandomNetwork, x: str) -> str:
    g = n.g
    channels = g.shape(x)[1]
    if n.chance(0.4):
        wanted = n.width(8, 96)
        weight = g.normal((channels, wanted, 2, 2), math.sqrt(2 / channels))
        names = g.constant(weight, "up.weight"), g.constant(g.normal((wanted,), 0.05), "bias")
        return g.node("ConvTranspose", x, *names, kernel_shape=[2, 2], strides=[2, 2])
    scales = g.constant(np.array([1, 1, 2, 2], np.float32), "scales")
    if n.chance(0.6):
        return g.node("Resize", x, "", scales, mode="nearest",
                      coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    return g.node("Resize", x, "", scales, mode="linear",
                  coordinate_transformation_mode="half_pixel")


def preactivation(seed: int) -> onnx.ModelProto:
    """Normalizations before the convolutions, which cannot be folded; maps grow by joining."""
    n = RandomNetwork(f"preactivation_{seed}", seed)
    g = n.g
    x = n.act(n.conv(n.image(24, 160), n.width(12, 64), 3, n.pick(1, 2)))
    for _ in range(n.pick(3, 4, 6)):
        for _ in range(n.pick(1, 2, 3)):
            y = g.node("Relu", g.batch_norm(x))
            y = g.node("Relu", n.conv(y, n.width(16, 256), 1))
            grown = g.conv(y, n.width(8, 64), 3)
            joins = n.chance(0.7)
            x = g.node("Concat", x, grown, axis=1) if joins else g.node("Relu", grown)
        if n.side(x) > 4:
            x = g.conv(g.node("Relu", g.batch_norm(x)), n.width(16, 256), 1)
            x = g.pool("AveragePool" if n.chance(0.6) else "MaxPool", x, 2, 2)
        if n.is_full:
            break
    return g.finish(y=g.classifier(g.node("Relu", g.batch_norm(x)), n.width(2, 1000)))


def pooled(seed: int) -> onnx.ModelProto:
    """Pools of all sizes, products with broadcasting, sums and reductions between them."""
    n = RandomNetwork(f"pooled_{seed}", seed)
    g = n.g
    x = n.act(n.conv(n.image(32, 128), n.width(8, 96), 3, n.pick(1, 1, 2)))
    for _ in range(n.pick(3, 4, 5)):
        channels = g.shape(x)[1]
        window = n.pick(2, 3, 3, 5)
        kind = "MaxPool" if n.chance(0.5) else "AveragePool"
        extra = {"count_include_pad": 1} if kind == "AveragePool" and n.chance(0.5) else {}
        y = g.pool(kind, x, window, 1, window // 2, **extra) if window % 2 else x
        y = n.act(n.conv(y, channels, n.pick(1, 3), groups=channels))
        x = g.node("Add" if n.chance(0.6) else "Mul", x, y)
        if n.chance(0.5):
            factor = g.constant(g.normal((1, channels, 1, 1), 1.0), "factor")
            x = g.node("Mul" if n.chance(0.5) else "Add", x, factor)
        if n.side(x) > 6:
            x = g.pool("MaxPool" if n.chance(0.5) else "AveragePool", x, n.pick(2, 3), 2)
        x = n.act(n.conv(x, n.width(8, 200), 1))
    axes = {"axes": [2, 3], "keepdims": 0}
    x = g.node("ReduceMean" if n.chance(0.6) else "ReduceMax", x, **axes)
    return g.finish(y=g.linear(x, n.width(2, 1000)))


Family = Callable[[int], onnx.ModelProto]
# How many networks of each kind; each is built for INT8 and for float.
FAMILIES: tuple[tuple[Family, int], ...] = (
    (mobile, 14), (residual, 12), (branches, 12), (transformer, 14), (perceptron, 8),
    (recurrent, 28), (decoder, 14), (preactivation, 8), (pooled, 8),
)
