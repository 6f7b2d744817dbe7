"""How good predictions are for networks that the predictor has not seen."""

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.predictor.data import Program
from octavo.compiler.predictor.features import Caches
from octavo.compiler.predictor.predictor import Predictor, fit_predictor
from octavo.compiler.predictor.training_set import training_set

# Never in the fit of the first table; the second one leaves out every network in turn.
HELD_OUT = (
    "mobilenet_v2", "resnet50", "efficientnet_lite0", "shufflenet_v2", "vit_tiny", "ds_cnn",
    "lstm")
NUM_FOLDS = 8
INTERVAL = 0.9


def fit(programs: Sequence[Program], caches: Caches) -> Predictor:
    """Fit a predictor to some programs."""
    return fit_predictor(training_set([program.calls for program in programs]), caches)


def judge(predictor: Predictor, program: Program, seen: set[object]) -> dict[str, Any]:
    """Hold the predictions for one program against its measurement.

    Args:
        predictor: Fitted without the program.
        program: The program.
        seen: Calls that another network of the fit has as well.
    """
    unique = [measured.call for measured in program.calls]
    calls = [m.call for m in program.calls for _ in range(m.count)]
    total = predictor.predict_total(calls, INTERVAL)
    found = dict(zip(map(repr, calls), predictor.predict(calls, INTERVAL), strict=True))
    kernels = []
    for measured, call in zip(program.calls, unique, strict=True):
        prediction = found[repr(call)]
        kernels.append({
            "kernel": call.kernel,
            "latency_us": measured.latency_us,
            "predicted_us": prediction.latency_us,
            "error": abs(prediction.latency_us / measured.latency_us - 1),
            "half_width": math.log(prediction.high_us / prediction.low_us) / 2,
            "covered": prediction.low_us <= measured.latency_us <= prediction.high_us,
            "extrapolated": prediction.is_extrapolated,
            "seen": repr(call) in seen,
            "share": measured.latency_us * measured.count / program.steps_us,
        })
    widest = sum(k["half_width"] * k["share"] for k in kernels)
    return {
        "network": program.network, "precision": program.precision,
        "is_zoo": program.is_zoo,
        "measured_us": program.steps_us, "whole_us": program.whole_us,
        "predicted_us": total.latency_us, "low_us": total.low_us, "high_us": total.high_us,
        "error": total.latency_us / program.steps_us - 1,
        "whole_error": total.latency_us / program.whole_us - 1,
        "covered": total.low_us <= program.steps_us <= total.high_us,
        "extrapolated": total.is_extrapolated,
        "half_width": math.log(total.high_us / total.low_us) / 2,
        "sum_of_half_widths": widest,
        "kernels": kernels,
    }


def held_out(programs: Sequence[Program], caches: Caches) -> list[dict[str, Any]]:
    """Judge the networks of ``HELD_OUT`` with a predictor of the others."""
    known = [program for program in programs if program.network not in HELD_OUT]
    return _judge_all(known, [p for p in programs if p.network in HELD_OUT], caches)


def cross_validate(programs: Sequence[Program], caches: Caches) -> list[dict[str, Any]]:
    """Judge every network with a predictor that has not seen its family."""
    families = sorted({program.family for program in programs})
    order = np.random.default_rng(0).permutation(len(families))
    rows = []
    for fold in range(NUM_FOLDS):
        left = {families[i] for i in order[fold::NUM_FOLDS]}
        known = [program for program in programs if program.family not in left]
        rows += _judge_all(known, [p for p in programs if p.family in left], caches)
    return rows


def _judge_all(
    known: Sequence[Program], left: Sequence[Program], caches: Caches
) -> list[dict[str, Any]]:
    predictor = fit(known, caches)
    seen: set[object] = {repr(m.call) for program in known for m in program.calls}
    return [judge(predictor, program, seen) for program in left]


def kernel_summary(kernels: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Errors and coverage of kernels."""
    errors = np.array([k["error"] for k in kernels])
    return {
        "kernels": len(kernels),
        "median_error": float(np.median(errors)),
        "p90_error": float(np.percentile(errors, 90)),
        "covered": float(np.mean([k["covered"] for k in kernels])),
        "median_half_width": float(np.median([k["half_width"] for k in kernels])),
    }


def timed_fit(programs: Sequence[Program], caches: Caches) -> float:
    """Seconds of one core that a fit to everything takes."""
    started = time.process_time()
    fit(programs, caches)
    return time.process_time() - started
