"""The benchmark networks by name: how to build each, and what it is fed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import onnx
from numpy.typing import NDArray

from benchmarks.zoo import (
    densenet,
    ds_cnn,
    efficientnet_lite0,
    inception_v3,
    lstm,
    mobilenet_v2,
    mobilenet_v3,
    resnet,
    shufflenet,
    squeezenet,
    unet,
    vgg,
    vit,
)
from benchmarks.zoo.audio import sample_mfcc
from benchmarks.zoo.fit import fit
from benchmarks.zoo.images import sample_images

FIT_SEED = 1000  # far from the seeds that tests and benchmarks draw their samples with

Build = Callable[..., onnx.ModelProto]
Fit = Callable[[onnx.ModelProto, Sequence[dict[str, NDArray[np.float32]]]], None]


@dataclass(frozen=True, kw_only=True)
class ZooEntry:
    """One network.

    Attributes:
        name: What the command line and the tables call it.
        build: Keyword function that returns the model with unfitted statistics.
        input_size: Height and width of the standard input; None where it is fixed.
        small_size: The smallest sensible input, for quick tests.
        min_sqnr_db: Lowest acceptable INT8 output against float, decibels.
        fit: Sets the statistics from samples; None where there are none to fit.
        num_fit_samples: Inputs that the statistics are fitted to.
        is_audio: Fed with MFCCs instead of images.
    """

    name: str
    build: Build
    input_size: int | None = 224
    small_size: int | None = 64
    min_sqnr_db: float = 20.0
    fit: Fit | None = field(default=fit)
    num_fit_samples: int = 32
    is_audio: bool = False

    def samples(
        self, num_samples: int, *, input_size: int | None = None, seed: int = 0
    ) -> list[dict[str, NDArray[np.float32]]]:
        """Make inputs, one dictionary for each inference.

        Args:
            num_samples: How many.
            input_size: Height and width; the standard size when None.
            seed: Seed of the samples.
        """
        if not self.is_audio:
            size = input_size or self.input_size
            assert size is not None
            return [{"image": x[None]} for x in sample_images(num_samples, size, seed)]
        # DS-CNN sees one channel of 49x10, the LSTM a sequence of 49 steps.
        leading = (1,) if self.name == "lstm" else (1, 1)
        features = sample_mfcc(num_samples, seed)
        return [{"mfcc": x.reshape(*leading, *x.shape)} for x in features]

    def fitted(self, *, input_size: int | None = None, seed: int = 0) -> onnx.ModelProto:
        """Build the model and fit its statistics to real inputs.

        Args:
            input_size: Height and width; the standard size when None.
            seed: Seed of the weights.
        """
        size = input_size or self.input_size
        model = (
            self.build(seed=seed) if size is None else self.build(input_size=size, seed=seed)
        )
        if self.fit is not None:
            samples = self.samples(self.num_fit_samples, input_size=size, seed=FIT_SEED)
            self.fit(model, samples)
        return model


ZOO = (
    ZooEntry(name="mobilenet_v2", build=mobilenet_v2.build),
    ZooEntry(name="resnet18", build=partial(resnet.build, depth=18)),
    ZooEntry(name="resnet50", build=partial(resnet.build, depth=50)),
    ZooEntry(name="efficientnet_lite0", build=efficientnet_lite0.build),
    ZooEntry(name="mobilenet_v3_large", build=mobilenet_v3.build),
    ZooEntry(
        name="squeezenet1_1", build=squeezenet.build, fit=partial(fit, scale_convolutions=True)
    ),
    ZooEntry(name="densenet121", build=densenet.build),
    ZooEntry(name="inception_v3", build=inception_v3.build, input_size=299, small_size=107),
    ZooEntry(name="shufflenet_v2", build=partial(shufflenet.build, version=2)),
    ZooEntry(name="shufflenet_v1", build=partial(shufflenet.build, version=1)),
    # Its maps are the widest; a stack of 32 would need gigabytes.
    ZooEntry(
        name="vgg16",
        build=vgg.build,
        fit=partial(fit, scale_convolutions=True),
        num_fit_samples=8,
    ),
    ZooEntry(name="vit_tiny", build=vit.build, fit=None),
    ZooEntry(name="unet", build=unet.build, input_size=128, small_size=32),
    ZooEntry(
        name="unet_resize",
        build=partial(unet.build, upsampling="resize"),
        input_size=128,
        small_size=32,
    ),
    ZooEntry(
        name="ds_cnn", build=ds_cnn.build, input_size=None, small_size=None, is_audio=True
    ),
    ZooEntry(
        name="lstm",
        build=lstm.build,
        input_size=None,
        small_size=None,
        fit=None,
        is_audio=True,
    ),
)


def find_entry(name: str) -> ZooEntry:
    """Return the entry of that name.

    Raises:
        KeyError: No such entry; the message lists the names.
    """
    for entry in ZOO:
        if entry.name == name:
            return entry
    raise KeyError(f"no network {name!r}; known: {', '.join(entry.name for entry in ZOO)}")
