"""The recurrent examples read digits as well in ONNX as they did when trained."""

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "sequence"


# A gate in the wrong place costs tens of points; the thresholds are one point below training.
@pytest.mark.parametrize(("name", "accuracy"), [("lstm", 0.970), ("gru", 0.976)])
def test_held_out_accuracy(name, accuracy):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(FOLDER / f"{name}.onnx", options, ["CPUExecutionProvider"])
    with np.load(FOLDER / "test.npz") as data:
        rows, labels = data["rows"], data["label"]
    logits = np.concatenate([session.run(None, {"rows": x[None]})[0] for x in rows])
    assert (logits.argmax(axis=1) == labels).mean() >= accuracy


def test_calibration_rows_have_the_models_shape():
    with np.load(FOLDER / "calibration.npz") as data:
        assert data.files == ["rows"]
        assert data["rows"].shape == (128, 8, 8)
        assert data["rows"].dtype == np.float32
