"""Photographs as network inputs: random crops of the two that scikit-learn ships."""

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_image

PHOTOGRAPHS = ("china.jpg", "flower.jpg")
MEAN = np.array([0.485, 0.456, 0.406], np.float32)  # of ImageNet, RGB in [0, 1]
STD = np.array([0.229, 0.224, 0.225], np.float32)
MIN_CROP, MAX_CROP = 0.3, 1.0  # side of the crop over the photograph's shorter side
BRIGHTNESS = (0.6, 1.4)


def sample_images(num_images: int, size: int, seed: int = 0) -> NDArray[np.float32]:
    """Make ImageNet-normalised images from random crops, flips and brightness changes.

    Args:
        num_images: How many, at least 1.
        size: Height and width in pixels.
        seed: Different seeds give different crops (one for calibration, one for evaluation).

    Returns:
        Shape (num_images, 3, size, size), about zero mean and unit deviation.
    """
    rng = np.random.default_rng(seed)
    pixels = np.stack([_crop(rng, i, size) for i in range(num_images)])
    return np.ascontiguousarray(((pixels - MEAN) / STD).transpose(0, 3, 1, 2))


def stream_images(num_images: int, size: int, seed: int = 0) -> Iterator[NDArray[np.float32]]:
    """Yield the images of `sample_images` one by one, each (1, 3, size, size)."""
    rng = np.random.default_rng(seed)
    for i in range(num_images):
        pixels = (_crop(rng, i, size) - MEAN) / STD
        yield np.ascontiguousarray(pixels.transpose(2, 0, 1))[None]


@cache
def _photograph(name: str) -> Image.Image:
    return Image.fromarray(load_sample_image(name))


def _crop(rng: np.random.Generator, index: int, size: int) -> NDArray[np.float32]:
    """Cut a square, resize it to (size, size, 3), in [0, 1]."""
    photograph = _photograph(PHOTOGRAPHS[index % len(PHOTOGRAPHS)])
    width, height = photograph.size
    side = min(width, height) * rng.uniform(MIN_CROP, MAX_CROP)
    left, top = rng.uniform(0, width - side), rng.uniform(0, height - side)
    box = (left, top, left + side, top + side)
    crop = photograph.resize((size, size), Image.Resampling.BILINEAR, box)
    pixels = np.asarray(crop, np.float32) / np.float32(255)
    if rng.random() < 0.5:
        pixels = pixels[:, ::-1]
    brightness = np.float32(rng.uniform(*BRIGHTNESS))
    return np.asarray(np.clip(pixels * brightness, 0, 1), np.float32)
