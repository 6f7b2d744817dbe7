"""Artifacts of configurations: folders as ``octavo compile`` makes them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from octavo.compiler.artifact.write import write_artifact
from octavo.compiler.calibration.layer_errors import measure_outputs
from octavo.compiler.mixed_precision.network import Formats, MixedNetwork, Samples
from octavo.compiler.mixed_precision.programs import ProgramMaker
from octavo.compiler.narrow_weights import narrow_weight_notes
from octavo.compiler.report.manifest import report_from_manifest
from octavo.compiler.report.page import render_page

NUM_SAMPLES = 8  # decibels over 8 samples move by tenths


def write_configuration(
    network: MixedNetwork,
    programs: ProgramMaker,
    formats: Formats,
    directory: Path,
    *,
    samples: Samples,
    measured: Mapping[str, float],
    seed: int,
) -> dict[str, Any]:
    """Build the artifact of a configuration.

    Args:
        network: Whose configuration.
        programs: Lowers it.
        formats: Of every layer.
        directory: Folder to create.
        samples: To measure the errors of the outputs with.
        measured: What the search measured of it; goes into the manifest.
        seed: Recorded in the manifest.

    Returns:
        The manifest.
    """
    model = network.quantized(formats)
    program = programs.program(formats)
    decibels = measure_outputs(network.prepared, model, samples[:NUM_SAMPLES])
    program.metadata |= {
        "requantize": programs.requantize,
        "float_precision": "float32",
        "layer_errors": [],
        "output_sqnr_db": {
            name: float(value) if np.isfinite(value) else None
            for name, value in decibels.items()
        },
        "notes": [*network.notes, *narrow_weight_notes(model.graph, program.steps)],
        "search": {
            "formats": {layer: str(chosen) for layer, chosen in formats.items()},
            "measured": dict(measured),
        },
    }
    return write_artifact(
        program, programs.target, model, directory, seed=seed, extra_files=_report_page)


def _report_page(manifest: Mapping[str, Any]) -> dict[str, bytes]:
    return {"report.html": render_page(report_from_manifest(manifest)).encode()}
