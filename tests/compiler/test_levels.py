"""A network computes the same bits on every x86-64 level that this machine runs."""

import numpy as np
import pytest
from benchmarks.zoo.registry import find_entry

import octavo
from octavo.targets.host import CPUINFO, LEVELS, cpu_flags

NUM_CALIBRATION = 4
SEED = 1  # of the inputs; the samples for calibration have others
NETWORKS = ("ds_cnn", "squeezenet1_1", "shufflenet_v2", "vit_tiny")


@pytest.fixture(scope="module", params=NETWORKS)
def on_host(request, tmp_path_factory):
    """A quantized network, inputs, and what the host's artifact makes of them."""
    import onnx

    entry = find_entry(request.param)
    folder = tmp_path_factory.mktemp(entry.name)
    model = entry.build(seed=0) if entry.small_size is None else entry.build(
        input_size=entry.small_size, seed=0)  # fmt: skip
    onnx.save(model, folder / "model.onnx")
    samples = entry.samples(NUM_CALIBRATION, input_size=entry.small_size)
    np.savez(
        folder / "samples.npz",
        **{k: np.concatenate([s[k] for s in samples]) for k in samples[0]},
    )
    octavo.compile(
        folder / "model.onnx", "host", folder / "host", samples=folder / "samples.npz"
    )
    inputs = entry.samples(2, input_size=entry.small_size, seed=SEED)
    with octavo.load(folder / "host") as session:
        outputs = [session.run(x) for x in inputs]
    return folder / "host" / "model.int8.onnx", inputs, outputs


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level[0].name)
def test_every_level_computes_the_same_bits(on_host, level, tmp_path):
    target, needed = level
    missing = needed - cpu_flags(CPUINFO)
    if missing:
        pytest.skip(f"this CPU lacks {', '.join(sorted(missing))}")
    quantized, inputs, expected = on_host
    octavo.compile(quantized, target.name, tmp_path / "out")
    with octavo.load(tmp_path / "out") as session:
        for x, outputs in zip(inputs, expected, strict=True):
            for name, result in session.run(x).items():
                np.testing.assert_array_equal(result, outputs[name])
                assert len(np.unique(result)) > 1, "a constant output would hide errors"
