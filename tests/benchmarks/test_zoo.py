"""The benchmark networks are the architectures they claim, and behave like trained ones."""

from functools import cache

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from benchmarks.zoo.registry import FIT_SEED, ZOO, find_entry
from onnx import numpy_helper

# Parameters as published with the reference implementations, BatchNormalization statistics
# excluded; inputs of the standard size except where noted below.
NUM_PARAMETERS = {
    "mobilenet_v2": 3_504_872,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "efficientnet_lite0": 4_652_008,
    "mobilenet_v3_large": 5_483_032,
    "squeezenet1_1": 1_235_496,
    "densenet121": 7_978_856,
    "inception_v3": 23_834_568,
    "shufflenet_v2": 2_278_604,
    # 138,357,544 at 224; the first fully connected layer then reads 7x7 positions, not 2x2.
    "vgg16": 138_357_544 - 4096 * 512 * (7 * 7 - 2 * 2),
    # 5,717,416 at 224; its 14x14 patches have positions of their own, here 4x4.
    "vit_tiny": 5_717_416 - 192 * (14 * 14 - 4 * 4),
}
HEAVY = {"vgg16", "inception_v3", "resnet50"}
NAMES = [
    pytest.param(entry.name, marks=[pytest.mark.slow] if entry.name in HEAVY else [])
    for entry in ZOO
]


@cache
def small(name: str) -> onnx.ModelProto:
    entry = find_entry(name)
    return entry.fitted(input_size=entry.small_size)


def run(model: onnx.ModelProto, samples, outputs=None):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        model.SerializeToString(), options, ["CPUExecutionProvider"]
    )
    return [session.run(outputs, sample) for sample in samples]


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_finite_and_depend_on_the_input(name):
    entry = find_entry(name)
    samples = entry.samples(4, input_size=entry.small_size, seed=5)
    outputs = np.stack([y[0] for y in run(small(name), samples)])
    assert np.isfinite(outputs).all()
    # Trained logits spread over single digits; a dead network gives 0, a runaway one 1e3.
    assert 0.2 < outputs.std() < 30
    # A collapsed network answers alike whatever it sees.
    assert outputs.std(axis=0).mean() > 0.1 * outputs.std()


@pytest.mark.parametrize(
    "name", [p for p in NAMES if p.values[0] in NUM_PARAMETERS], ids=lambda name: name
)
def test_the_architecture_has_the_published_number_of_parameters(name):
    graph = small(name).graph
    statistics = {
        value
        for node in graph.node
        if node.op_type == "BatchNormalization"
        for value in node.input[3:]
    }
    count = sum(
        int(np.prod(tensor.dims))
        for tensor in graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
        and len(tensor.dims) > 0  # Clip bounds and the scalars of GELU are not parameters
        and tensor.name not in statistics
    )
    assert count == NUM_PARAMETERS[name]


@pytest.mark.parametrize("name", ["mobilenet_v2", "densenet121", "shufflenet_v1", "unet"])
def test_every_batch_norm_puts_out_its_own_mean_and_deviation(name):
    entry, model = find_entry(name), onnx.ModelProto()
    model.CopyFrom(small(name))
    norms = [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    model.graph.output.extend(
        onnx.helper.make_empty_tensor_value_info(node.output[0]) for node in norms
    )
    samples = entry.samples(entry.num_fit_samples, input_size=entry.small_size, seed=FIT_SEED)
    results = run(model, samples, [node.output[0] for node in norms])
    arrays = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    assert norms
    for i, node in enumerate(norms):
        y = np.concatenate([result[i] for result in results]).astype(np.float64)
        gamma, beta, _, var = (arrays[value] for value in node.input[1:])
        epsilon = node.attribute[0].f
        # Float32 rounding (6e-8) grows through the layers: below 1e-4 of a deviation here.
        np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), beta, atol=1e-3)
        expected = gamma * np.sqrt(var / (var + epsilon))
        np.testing.assert_allclose(y.std(axis=(0, 2, 3)), expected, atol=1e-3)


def test_convolutions_without_batch_norm_get_spread_out_channels():
    model = onnx.ModelProto()
    model.CopyFrom(small("squeezenet1_1"))
    entry = find_entry("squeezenet1_1")
    convs = [node.output[0] for node in model.graph.node if node.op_type == "Conv"]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(v) for v in convs)
    samples = entry.samples(entry.num_fit_samples, input_size=entry.small_size, seed=FIT_SEED)
    for values in zip(*run(model, samples, convs), strict=True):
        deviations = np.concatenate(values).std(axis=(0, 2, 3))
        assert deviations.min() > 0.49  # drawn from [0.5, 1.5]
        assert deviations.max() < 1.51
    assert not any(node.op_type == "BatchNormalization" for node in model.graph.node)


def test_the_seed_names_the_weights():
    entry = find_entry("ds_cnn")
    first, second, other = (entry.fitted(seed=seed) for seed in (0, 0, 1))
    assert first.SerializeToString() == second.SerializeToString()
    assert first.SerializeToString() != other.SerializeToString()


def test_samples_differ_by_seed_and_repeat_with_it():
    entry = find_entry("mobilenet_v2")
    images = [entry.samples(2, input_size=32, seed=seed)[1]["image"] for seed in (3, 3, 4)]
    assert images[0].shape == (1, 3, 32, 32)
    assert (images[0] == images[1]).all()
    assert np.abs(images[0] - images[2]).mean() > 0.1


def test_unknown_network_names_the_known_ones():
    with pytest.raises(KeyError, match="mobilenet_v2"):
        find_entry("mobilenet_v9")
