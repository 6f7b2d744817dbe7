"""Small models and samples on disk, and the command as a user calls it."""

import json
from dataclasses import dataclass, replace

import numpy as np
import onnx
import pytest
from onnx import parser

from octavo.compiler.cli import main

MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
tiny (float[1,2,4,4] image) => (float[1,3] scores)
<float[3,2,3,3] weight, float[3] bias>
{
    hidden = Conv <pads = [1,1,1,1]> (image, weight, bias)
    active = Relu (hidden)
    pooled = GlobalAveragePool (active)
    scores = Flatten (pooled)
}
"""


@dataclass(frozen=True)
class Outcome:
    """What a run of the command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def error_line(self):
        """The one line that a mistake gives."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("octavo: ")
        assert "Traceback" not in self.err
        return lines[0]


@pytest.fixture
def octavo(capfd):
    def run(*arguments):
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return Outcome(code, *capfd.readouterr())

    return run


@pytest.fixture(autouse=True)
def _known_peaks(monkeypatch, make_peaks):
    """Tests share the cores: what they would measure is no peak of the machine."""
    monkeypatch.setattr(
        "octavo.compiler.roofline.artifact_peaks.find_peaks",
        lambda _target, num_threads: replace(make_peaks(num_threads), call_us=0.0),
    )


@pytest.fixture
def proto():
    """The model, for tests that damage it."""
    rng = np.random.default_rng(0)
    parsed = parser.parse_model(MODEL)
    arrays = {
        "weight": rng.normal(size=(3, 2, 3, 3)).astype(np.float32),
        "bias": rng.normal(size=3).astype(np.float32),
    }
    del parsed.graph.initializer[:]
    parsed.graph.initializer.extend(
        onnx.numpy_helper.from_array(a, n) for n, a in arrays.items()
    )
    for node in parsed.graph.node:
        node.name = node.output[0]
    return parsed


@pytest.fixture
def model(tmp_path, proto):
    path = tmp_path / "tiny.onnx"
    onnx.save(proto, path)
    return path


@pytest.fixture
def samples(tmp_path):
    path = tmp_path / "samples.npz"
    images = np.random.default_rng(1).normal(size=(8, 2, 4, 4)).astype(np.float32)
    np.savez(path, image=images)
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own: no measurements yet, but the compiled toolchain."""
    from octavo.compiler.artifact.toolchain import cache_folder

    shared, own = cache_folder(), tmp_path / "cache"
    own.mkdir()
    for part in ("zig", "runtime"):
        (shared / part).mkdir(parents=True, exist_ok=True)
        (own / part).symlink_to((shared / part).resolve())
    monkeypatch.setenv("OCTAVO_CACHE", str(own))
    return own
