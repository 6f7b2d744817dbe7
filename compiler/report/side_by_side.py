"""From artifacts that were measured in turns to their comparison."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np

from octavo.compiler.devices.measurement import Measurement
from octavo.compiler.measurements.side_by_side import SideBySide
from octavo.compiler.report.comparison import Comparison, compare_profiles
from octavo.compiler.report.manifest import report_from_manifest
from octavo.compiler.report.origin import Origin
from octavo.compiler.report.profile_document import Profile, profile_of
from octavo.compiler.report.turns import RoundMedians, Turns


def compare_measured(
    found: SideBySide, *, device: str, num_threads: int, inputs: str
) -> Comparison:
    """Compare two artifacts.

    Args:
        found: Both of them, before and after.
        device: That ran them.
        num_threads: Threads that ran them.
        inputs: "zeros" or "given".

    Raises:
        ArtifactError: A manifest lacks an entry, or one is of the wrong kind.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    origin = Origin(device, found.machine.cpu, num_threads, inputs, now)
    before, after = (
        _profile(manifest, measured, origin)
        for manifest, measured in zip(found.manifests, found.measured, strict=True)
    )
    turns = Turns(*(_medians(measured) for measured in found.measured))
    return compare_profiles(before, after, turns)


def _profile(manifest: Mapping[str, Any], measured: Measurement, origin: Origin) -> Profile:
    report = report_from_manifest(
        manifest,
        samples_us=measured.steps_us.tolist(),
        runs_us=measured.runs_us.tolist(),
        round_sizes=[r.times.runs_us.size for r in measured.rounds],
    )
    return profile_of(report, origin)


def _medians(measured: Measurement) -> RoundMedians:
    steps = np.array([np.median(r.times.steps_us, axis=1) for r in measured.rounds])
    return RoundMedians(
        tuple(measured.medians_us), tuple(tuple(step) for step in steps.T.tolist()))
