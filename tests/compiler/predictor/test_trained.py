from dataclasses import replace

import numpy as np
import pytest

from octavo.compiler.measurements.key import Context, TuningKey, operation_text
from octavo.compiler.measurements.latencies import KernelLatency
from octavo.compiler.predictor import trained
from octavo.compiler.predictor.trained import kept_predictor, trained_predictor
from octavo.targets import get_target
from octavo.targets.ops.conv import Conv

pytest.importorskip("sklearn")
HERE = Context("avx2 x", "cpu L1:32768 L2:524288", "kernels:new")
TARGET = get_target("x86-64-avx2")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OCTAVO_CACHE", str(tmp_path))
    return tmp_path


def rows(num_networks=11):
    rng = np.random.default_rng(0)
    for network in range(num_networks):
        for layer in range(10):
            op = Conv(1, *(int(n) for n in rng.integers(2, 40, 4)))
            key = TuningKey("conv_gemm.avx2.4x16", operation_text(op), HERE)
            us = 0.1 + op.macs / 1e5
            yield KernelLatency(key, None, us, us, us, us, 5, "2025", f"{network}-{layer}")


def test_the_device_tells_its_caches():
    assert trained_predictor(rows(), HERE, TARGET).caches.l2_bytes == 524288


def test_a_predictor_is_fitted_once_until_the_measurements_change(monkeypatch):
    fits, fit = [], trained.fit_predictor

    def counted(data, *arguments):
        fits.append(data.num_networks)
        return fit(data, *arguments)

    monkeypatch.setattr(trained, "fit_predictor", counted)
    for _ in range(2):
        trained_predictor(rows(), HERE, TARGET)
    assert fits == [11]
    trained_predictor(rows(12), HERE, TARGET)
    assert fits == [11, 12]


def test_what_was_kept_is_found_and_other_contexts_have_their_own():
    assert kept_predictor(HERE) is None
    trained_predictor(rows(), HERE, TARGET)
    assert kept_predictor(HERE) is not None
    assert kept_predictor(replace(HERE, toolchain="kernels:newer")) is not None
    assert kept_predictor(replace(HERE, num_threads=2)) is None
    assert kept_predictor(replace(HERE, device="phone")) is None


def test_a_damaged_file_is_fitted_anew(cache):
    trained_predictor(rows(), HERE, TARGET)
    (path,) = (cache / "predictors").iterdir()
    path.write_bytes(b"nothing of the kind")
    assert kept_predictor(HERE) is None
    trained_predictor(rows(), HERE, TARGET)
    assert kept_predictor(HERE) is not None
