"""ONNX's reference evaluator with operators that it only has in single precision, or wrongly.

onnx 1.21: Erf, Gelu and LayerNormalization round to float32; ConvTranspose with groups raises.
"""

import math

import numpy as np
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

_erf = np.vectorize(math.erf, otypes=[np.float64])


class Erf(OpRun):
    def _run(self, x):
        return (_erf(x).astype(x.dtype),)


class Gelu(OpRun):
    def _run(self, x, approximate=None):
        if approximate == "tanh":
            tail = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
        else:
            tail = _erf(x / math.sqrt(2))
        return (0.5 * x * (1 + tail),)


class LayerNormalization(OpRun):
    def _run(self, x, scale, bias=None, axis=None, epsilon=None, stash_type=None):
        axes = tuple(range(axis % x.ndim, x.ndim))
        centred = x - x.mean(axis=axes, keepdims=True)
        y = centred / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + epsilon) * scale
        return (y if bias is None else y + bias,)


class ConvTranspose(OpRun):
    def _run(
        self, x, w, b=None, auto_pad=None, dilations=None, group=None, kernel_shape=None,
        output_padding=None, output_shape=None, pads=None, strides=None,
    ):  # fmt: skip
        strides, dilations = strides or [1, 1], dilations or [1, 1]
        pads, extra = pads or [0] * 4, output_padding or [0, 0]
        (n, c, *sizes), (_, per_group, *taps) = x.shape, w.shape
        spans = [
            (size - 1) * s + (k - 1) * d + 1
            for size, s, k, d in zip(sizes, strides, taps, dilations, strict=True)
        ]
        full = np.zeros((n, group * per_group, spans[0] + extra[0], spans[1] + extra[1]))
        for i in range(c):
            outputs = slice(i * group // c * per_group, (i * group // c + 1) * per_group)
            for u in range(taps[0]):
                for v in range(taps[1]):
                    rows = slice(u * dilations[0], u * dilations[0] + sizes[0] * strides[0])
                    columns = slice(v * dilations[1], v * dilations[1] + sizes[1] * strides[1])
                    part = full[:, outputs, rows, columns][..., :: strides[0], :: strides[1]]
                    part += x[:, i, None] * w[i, :, u, v][None, :, None, None]
        height, width = full.shape[2:]
        y = full[:, :, pads[0] : height - pads[2], pads[1] : width - pads[3]]
        return (y if b is None else y + b[:, None, None],)


def evaluator(model):
    """Runs a model in double precision."""
    return ReferenceEvaluator(model, new_ops=[Erf, Gelu, LayerNormalization, ConvTranspose])
