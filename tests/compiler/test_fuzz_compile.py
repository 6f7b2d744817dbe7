"""Random valid models give the same integers as onnxruntime; damaged ones give an OctavoError.

OCTAVO_FUZZ_SECONDS (default 5) is the time for all three tests together. The examples are the
same in every run; a longer run sees more of them.
"""

import os
import signal
import time
from contextlib import contextmanager

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from tests.compiler.local_reference import (
    expose_quantized,
    local_differences,
    worst_difference,
)
from tests.compiler.lowering.qdq_builder import random_feeds
from tests.compiler.mutations import mutated
from tests.compiler.random_models.models import models

from octavo.compiler.artifact import write_artifact
from octavo.compiler.importer import import_model
from octavo.compiler.lowering.lower import lower
from octavo.compiler.quantize import quantize_model
from octavo.compiler.ready_model import is_quantized
from octavo.compiler.session import load
from octavo.errors import OctavoError
from octavo.passes.prepare import prepare
from octavo.targets import get_target

SECONDS = float(os.environ.get("OCTAVO_FUZZ_SECONDS", "5"))
EXAMPLES_PER_CHUNK = 10
HANG_SECONDS = 60  # one example takes 0.1 s; this leaves room for a loaded machine
# Float parts: at most 100 operations one after the other, each within 2**-23 of the largest.
FLOAT_TOLERANCE = 100 * 2**-23


@contextmanager
def bounded():
    def stop(_signal, _frame):
        raise TimeoutError(f"one model took more than {HANG_SECONDS} s")

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HANG_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def fuzz(strategy, check):
    """Check examples until a third of the time is over; return how many."""
    end = time.monotonic() + SECONDS / 3
    chunk = count = 0

    def is_over():
        return chunk > 0 and time.monotonic() > end

    while not is_over():

        @seed(chunk)
        @settings(
            max_examples=EXAMPLES_PER_CHUNK,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy, st.sampled_from(["float32", "dyadic"]))
        def run_chunk(model, mode):
            nonlocal count
            if time.monotonic() < end:
                count += 1
                with bounded():
                    check(model, mode)

        run_chunk()
        chunk += 1
    return count


def quantized(model, folder):
    """The QDQ model, from three random samples."""
    onnx.save(model, folder / "m.onnx")
    samples = [random_feeds(model, s) for s in range(3)]
    return quantize_model(import_model(folder / "m.onnx"), samples, measure=False).model


def build_and_run(model, folder, mode, feeds):
    target = get_target("host")
    program = lower(model, target, mode=mode)
    write_artifact(program, target, None, folder / "out", force=True)
    with load(folder / "out") as session:
        return session.run(feeds)


def check_run(model, mode, folder):
    """Each region within one step; and planned memory changes nothing.

    Per region, both compute round(real) from the same integers: ours from an exact sum,
    onnxruntime from one in float32, which differ only next to a tie, by one step.
    """
    qdq, feeds = quantized(model, folder), random_feeds(model, 0)
    exposed = expose_quantized(ir.to_proto(qdq))
    ours = build_and_run(ir.from_proto(exposed), folder, mode, feeds)
    plain = build_and_run(qdq, folder, mode, feeds)
    for name, array in plain.items():
        np.testing.assert_array_equal(array, ours[name])
    for name, (mine, reference) in local_differences(exposed, feeds, ours).items():
        assert worst_difference(mine, reference, FLOAT_TOLERANCE) <= 1, name


def random_samples(model):
    rng = np.random.default_rng(0)
    for _ in range(2):
        yield {
            v.name: rng.uniform(0, 2, [int(d) for d in v.shape]).astype(v.dtype.numpy())
            for v in model.graph.inputs
        }


def check_damaged(model, mode, folder):
    onnx.save(model, folder / "m.onnx")
    try:
        imported = import_model(folder / "m.onnx")
        if is_quantized(imported):
            prepare(imported)
        else:
            samples = list(random_samples(imported))
            imported = quantize_model(imported, samples, measure=False).model
        lower(imported, get_target("host"), mode=mode)
    except OctavoError as error:
        assert "\n" not in str(error)  # noqa: PT017 (the message is what is under test)


def test_random_models_match_onnxruntime_region_by_region(tmp_path):
    assert fuzz(models(), lambda model, mode: check_run(model, mode, tmp_path)) > 0


@pytest.mark.parametrize("already_quantized", [False, True])
def test_damaged_models_end_in_an_octavo_error(tmp_path, already_quantized):
    def as_qdq(model):
        try:
            return ir.to_proto(quantized(model, tmp_path))
        except OctavoError:  # an input of one element may not vary
            return model

    valid = models().map(as_qdq) if already_quantized else models()
    assert fuzz(mutated(valid), lambda model, mode: check_damaged(model, mode, tmp_path)) > 0
