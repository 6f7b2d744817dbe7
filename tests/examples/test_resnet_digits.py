"""The residual example: its files fit together, and it reads digits as when it was trained."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "resnet_digits"


@pytest.fixture(scope="module")
def held_out() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "test.npz") as data:
        return dict(data)


def test_held_out_accuracy_is_at_least_98_5_percent(held_out):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    model = FOLDER / "resnet_digits.onnx"
    session = ort.InferenceSession(model, options, ["CPUExecutionProvider"])
    logits = [session.run(None, {"image": x[None]})[0] for x in held_out["image"]]
    predicted = np.concatenate(logits).argmax(axis=1)
    assert (predicted == held_out["label"]).mean() >= 0.985


def test_it_has_the_layers_of_a_resnet_18():
    kinds = [node.op_type for node in onnx.load(FOLDER / "resnet_digits.onnx").graph.node]
    assert kinds.count("BatchNormalization") == kinds.count("Conv") == 1 + 16 + 3
    assert kinds.count("Add") == 8
    assert kinds[-3:] == ["GlobalAveragePool", "Flatten", "Gemm"]


def test_no_calibration_image_is_held_out(held_out):
    with np.load(FOLDER / "calibration.npz") as data:
        calibration = data["image"]
    assert calibration.shape == (128, 1, 32, 32)
    assert calibration.dtype == held_out["image"].dtype == np.float32
    seen_in_test = {image.tobytes() for image in held_out["image"]}
    assert not any(image.tobytes() in seen_in_test for image in calibration)
