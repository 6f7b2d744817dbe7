"""The digits example: its files fit together, and unbalancing keeps the function."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from examples.digits.imbalance import unbalance
from onnx import numpy_helper

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "digits"


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return onnx.load(FOLDER / "digits.onnx")


@pytest.fixture(scope="module")
def held_out() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "test.npz") as data:
        return dict(data)


def logits(model: onnx.ModelProto, images: np.ndarray) -> np.ndarray:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    return np.concatenate([session.run(None, {"image": x[None]})[0] for x in images])


def test_held_out_accuracy_is_at_least_98_5_percent(model, held_out):
    predicted = logits(model, held_out["image"]).argmax(axis=1)
    assert (predicted == held_out["label"]).mean() >= 0.985


def test_batch_normalization_is_left_to_fold(model):
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("BatchNormalization") == kinds.count("Conv") == 5
    assert {"Add", "MaxPool", "GlobalAveragePool", "Gemm"} <= set(kinds)


def test_no_calibration_image_is_held_out(held_out):
    with np.load(FOLDER / "calibration.npz") as data:
        calibration = data["image"]
    assert calibration.shape == (128, 1, 8, 8)
    seen_in_test = {image.tobytes() for image in held_out["image"]}
    assert not any(image.tobytes() in seen_in_test for image in calibration)


@pytest.mark.parametrize("factor", [32, 128])
def test_unbalancing_by_a_power_of_two_changes_no_bit(model, held_out, factor):
    images = held_out["image"][:50]
    unbalanced = logits(unbalance(model, factor), images)
    np.testing.assert_array_equal(unbalanced, logits(model, images))


def test_unbalancing_scales_every_fourth_channel(model):
    before, after = (
        {t.name: numpy_helper.to_array(t) for t in m.graph.initializer}
        for m in (model, unbalance(model, 128))
    )
    # Three chains: stem to depthwise, depthwise to pointwise, and inside the residual block.
    for index, norm in enumerate(("stem_bn", "depthwise_bn", "residual1_bn")):
        ratio = after[f"{norm}.weight"] / before[f"{norm}.weight"]
        assert (ratio[index::4] == 128).all()
        assert (np.delete(ratio, np.s_[index::4]) == 1).all()
    assert (after["fc.weight"] == before["fc.weight"]).all()
