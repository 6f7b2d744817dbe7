"""The phases of a transposed convolution against its definition."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.compiler.lowering.regions.conv_transpose import phases


def by_definition(x, taps, stride, pad, out):
    """y[i * stride - pad + k] += x[i] * taps[k]."""
    y = np.zeros(out)
    for i, value in enumerate(x):
        for k, weight in enumerate(taps):
            at = i * stride - pad + k
            if 0 <= at < out:
                y[at] += value * weight
    return y


@settings(max_examples=200, deadline=None, derandomize=True)
@given(
    size=st.integers(1, 9),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 4),
    pad=st.integers(0, 4),
    extra=st.integers(0, 3),
)
def test_phases_sum_to_the_definition(size, kernel, stride, pad, extra):
    out = stride * (size - 1) + kernel + extra - 2 * pad
    if out < 1 or pad >= kernel:
        return
    rng = np.random.default_rng(0)
    x, taps = rng.normal(size=size), rng.normal(size=kernel)
    y = np.full(out, np.nan)
    for phase in phases(size, out, kernel, stride, pad):
        weights = taps[list(phase.taps)] if phase.taps else np.zeros(1)
        # A negative padding leaves pixels out, as the convolution kernel does.
        wide = np.concatenate(
            [np.zeros(max(phase.pad_before, 0)), x, np.zeros(max(phase.pad_after, 0))]
        )
        stop = len(wide) - max(-phase.pad_after, 0)
        wide = wide[max(-phase.pad_before, 0) : stop]
        sums = np.array(
            [wide[t : t + len(weights)] @ weights for t in range(len(wide) - len(weights) + 1)]
        )
        assert len(sums) == phase.count
        y[phase.first :: stride] = sums
    assert y == pytest.approx(by_definition(x, taps, stride, pad, out), abs=1e-12)
