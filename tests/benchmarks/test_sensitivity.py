"""Errors that run through the network tell what it loses, the shape of weights does not."""

import pytest
from benchmarks.sensitivity import NUM_LAYERS, train_perceptron

from octavo.compiler.samples import open_samples
from octavo.compiler.sensitivity.compare import compare_measures
from octavo.passes.layer_format import LayerFormat

pytest.importorskip("sklearn")


def test_propagated_error_ranks_twelve_layers_better_than_kurtosis():
    model, images, _ = train_perceptron()
    samples = open_samples({"image": images}, model)
    propagated, kurtosis = (
        compare_measures(
            model,
            samples,
            num_samples=len(samples),
            measure=name,
            layer_format=LayerFormat.parse("w3a8"),
        )
        for name in ("propagated_error", "kurtosis")
    )
    assert len(propagated.drops) == NUM_LAYERS
    assert propagated.rankings[0].tau_error > 0.5 > kurtosis.rankings[0].tau_error
