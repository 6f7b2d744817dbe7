"""``octavo explain``: why a layer is slow, and whether float would be faster."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from octavo.compiler.cli.console import Console, to_json_value
from octavo.compiler.cli.device_option import LOCAL, QEMU, chosen_device, device_option
from octavo.compiler.cli.options import EXISTING_FOLDER, output_options, threads_option
from octavo.errors import DataError, DeviceError, ToolchainError

if TYPE_CHECKING:
    from octavo.compiler.explain.explanation import Explanation, LayerExplanation
    from octavo.compiler.roofline.peaks import Peaks

NUM_LAYERS = 10  # without -v


@click.command("explain")
@click.argument("artifact", type=EXISTING_FOLDER)
@click.argument("layer", required=False)
@device_option
@click.option(
    "--measure", is_flag=True, help="Measure now, also where the database knows every step."
)
@click.option(
    "--no-save", is_flag=True, help="Leave the database of measurements as it is (octavo db)."
)
@threads_option
@output_options
@click.pass_obj
def explain_command(
    console: Console,
    artifact: Path,
    layer: str | None,
    device: str,
    measure: bool,
    no_save: bool,
    num_threads: int,
) -> None:
    """Say why the layers of the model in the folder ARTIFACT take their time.

    Without LAYER: the most expensive ones, and whether float would be faster. With LAYER, the
    name of a layer or of an ONNX node: all that is known of it.
    """
    if device == QEMU:
        raise click.UsageError("an emulator has no times to explain; measure on a device")
    from octavo.compiler.cli.database import open_database
    from octavo.compiler.cli.explain_text import layer_page, overview
    from octavo.compiler.explain.explain import ExplainOptions, explain_artifact

    options = ExplainOptions(num_threads, measures=measure, keeps=not no_save)
    # The peaks that are measured are those of this machine.
    peaks = _peaks(console, artifact, num_threads) if device == LOCAL else ()
    with open_database(console) as store:
        found = explain_artifact(
            artifact, chosen_device(device), store, peaks, options, console.note)
    if layer is None:
        limit = len(found.layers) if console.verbosity > 0 else NUM_LAYERS
        console.result(_document(found, device, found.layers), *overview(found, limit))
        return
    chosen = find_layer(found, layer)
    console.result(_document(found, device, (chosen,)), *layer_page(found, chosen))


def find_layer(found: "Explanation", name: str) -> "LayerExplanation":
    """The layer of a name, or of one of its ONNX nodes.

    Raises:
        DataError: There is none.
    """
    for layer in found.layers:
        if name == layer.name or name in layer.nodes:
            return layer
    import difflib

    names = [node for layer in found.layers for node in layer.nodes]
    near = difflib.get_close_matches(name, names, n=3) or names[:3]
    raise DataError(f"no layer {name!r}; layers of {found.name}: {', '.join(near)}, ...")


def _document(
    found: "Explanation", device: str, layers: "tuple[LayerExplanation, ...]"
) -> dict[str, Any]:
    document: dict[str, Any] = to_json_value(found)
    return document | {"device_name": device, "layers": to_json_value(layers)}


def _peaks(console: Console, artifact: Path, num_threads: int) -> "tuple[Peaks, ...]":
    """Peaks of the machine; none, with a warning, where they cannot be measured."""
    from octavo.compiler.artifact.manifest import read_manifest
    from octavo.compiler.machine_code import refuse_static_library
    from octavo.compiler.roofline.artifact_peaks import artifact_peaks

    manifest = read_manifest(artifact)
    refuse_static_library(artifact, manifest)
    try:
        return artifact_peaks(manifest, num_threads)
    except (DeviceError, ToolchainError) as error:
        console.warn(f"no roofline: {error}")
        return ()
