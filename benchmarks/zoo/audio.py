"""Synthetic utterances as mel-frequency cepstral coefficients, for the keyword networks.

A voiced source (a gliding pitch with harmonics) passes two moving resonances, with noise and
an envelope; the features are those of keyword spotting: 1 s at 16 kHz, 40 ms frames every
20 ms.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

SAMPLE_RATE_HZ = 16_000
FRAME, HOP = 640, 320  # samples: 40 ms and 20 ms
NUM_FRAMES, NUM_COEFFICIENTS, NUM_BANDS = 49, 10, 40
LOWEST_HZ, HIGHEST_HZ = 20.0, 4000.0


def sample_mfcc(num_samples: int, seed: int = 0) -> NDArray[np.float32]:
    """Make features of random utterances, normalised to zero mean and unit deviation.

    Args:
        num_samples: How many, at least 1.
        seed: Seed of the utterances.

    Returns:
        Shape (num_samples, 49, 10), frames by coefficients.
    """
    rng = np.random.default_rng(seed)
    features = np.stack([_mfcc(_utterance(rng)) for _ in range(num_samples)])
    centered = features - features.mean(axis=(0, 1))
    return np.asarray(centered / features.std(axis=(0, 1)), np.float32)


def _utterance(rng: np.random.Generator) -> NDArray[np.float64]:
    time_s = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    pitch_hz = np.linspace(rng.uniform(90, 250), rng.uniform(90, 250), time_s.size)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    formants = [
        (np.linspace(rng.uniform(low, high), rng.uniform(low, high), time_s.size), width)
        for low, high, width in ((300, 900, 120), (900, 2500, 200))
    ]
    wave = rng.normal(0, rng.uniform(0.001, 0.05), time_s.size)
    for harmonic in range(1, 16):
        frequency = harmonic * pitch_hz
        gain = sum(np.exp(-(((frequency - f) / w) ** 2)) for f, w in formants) + 0.02
        wave += gain * np.sin(harmonic * phase)
    start, stop = rng.uniform(0, 0.3), rng.uniform(0.5, 1.0)
    edge_s = 0.05
    envelope = np.clip((time_s - start) / edge_s, 0, 1) * np.clip(
        (stop - time_s) / edge_s, 0, 1
    )
    return wave * (envelope + 0.01) * rng.uniform(0.2, 1.0)


def _mfcc(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    starts = np.arange(NUM_FRAMES) * HOP
    frames = wave[starts[:, None] + np.arange(FRAME)] * np.hanning(FRAME)
    power = np.abs(np.fft.rfft(frames)) ** 2
    energies = np.log(power @ _mel_filters().T + 1e-6)
    return np.asarray(dct(energies, norm="ortho")[:, :NUM_COEFFICIENTS])


def _mel_filters() -> NDArray[np.float64]:
    """Return triangular filters evenly spaced in mel, shape (bands, FRAME // 2 + 1)."""
    low, high = (2595 * np.log10(1 + f / 700) for f in (LOWEST_HZ, HIGHEST_HZ))
    edges_hz = 700 * (10 ** (np.linspace(low, high, NUM_BANDS + 2) / 2595) - 1)
    bins_hz = np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE_HZ)
    left, middle, right = (edges_hz[i : i + NUM_BANDS, None] for i in range(3))
    rising = (bins_hz - left) / (middle - left)
    falling = (right - bins_hz) / (right - middle)
    return np.clip(np.minimum(rising, falling), 0, None)
