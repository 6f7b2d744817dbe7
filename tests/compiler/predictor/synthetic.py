"""Made-up measurements of made-up networks, with a known law behind them."""

import numpy as np

from octavo.compiler.measurements.key import operation_record
from octavo.compiler.predictor.call import Call, call_from_record
from octavo.compiler.predictor.training_set import MeasuredCall, TrainingSet, training_set
from octavo.targets.ops.conv import Conv
from octavo.targets.ops.move import Move


def conv_call(side: int, in_c: int, out_c: int, kernel: int = 1) -> Call:
    """A convolution of a square map."""
    pad = kernel // 2
    op = Conv(
        1, side, side, in_c, out_c, kernel, kernel, pad_top=pad, pad_left=pad,
        pad_bottom=pad, pad_right=pad)
    schedule = {"rows": 6, "panel": 3, "block_tiles": 8, "blocks": 4}
    call = call_from_record("conv_gemm.avx512_vnni.6x48", operation_record(op), schedule)
    assert call is not None
    return call


def copy_call(elements: int) -> Call:
    """A plain copy."""
    op = Move(
        shape=(elements,), src_strides=(1,), dst_strides=(1,), src_elements=elements,
        dst_elements=elements, dtype="uint8", out_dtype="uint8")
    call = call_from_record("move.copy.run", operation_record(op), None)
    assert call is not None
    return call


def law_us(call: Call) -> float:
    """What the made-up machine takes: 0.1 us, 200 macs and 50 bytes a nanosecond."""
    work = call.work
    return 0.1 + work.macs / 200e3 + (work.read_bytes + work.written_bytes) / 50e3


def network(rng: np.random.Generator, noise: float = 0.03) -> list[MeasuredCall]:
    """A dozen layers; each network has an error of its own, and each layer as well."""
    bias = rng.normal(0, noise)
    calls = [
        conv_call(*(int(n) for n in rng.integers((4, 3, 8), (40, 200, 300))),
                  kernel=int(rng.choice([1, 3])))
        for _ in range(12)]
    calls += [copy_call(int(rng.integers(100, 100_000))) for _ in range(3)]
    return [
        MeasuredCall(call, law_us(call) * float(np.exp(bias + rng.normal(0, noise))))
        for call in calls]


def measured(num_networks: int = 24, seed: int = 0) -> TrainingSet:
    """Networks that do not resemble each other."""
    rng = np.random.default_rng(seed)
    return training_set([network(rng) for _ in range(num_networks)])
