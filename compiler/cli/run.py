"""``octavo run``: one inference with a compiled model."""

from pathlib import Path

import click

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.device_option import LOCAL, chosen_device, device_option
from octavo.compiler.cli.options import (
    EXISTING_FOLDER,
    NEW_PATH,
    READABLE_FILE,
    force_option,
    output_options,
    threads_option,
)
from octavo.compiler.cli.output_file import check_output_file
from octavo.compiler.report.units import printable


@click.command("run")
@click.argument("artifact", type=EXISTING_FOLDER)
@click.option(
    "--input",
    "input_file",
    type=READABLE_FILE,
    required=True,
    metavar="FILE.npz",
    help="The inputs: .npz with an array per input, or .npy for one input.",
)
@click.option("-o", "--output", type=NEW_PATH, metavar="FILE.npz", help="Write the outputs.")
@device_option
@threads_option
@force_option
@output_options
@click.pass_obj
def run_command(
    console: Console,
    artifact: Path,
    input_file: Path,
    output: Path | None,
    device: str,
    num_threads: int,
    force: bool,
) -> None:
    """Run the model of the folder ARTIFACT once and show or write its outputs."""
    if output is not None:
        check_output_file(output, force=force)
    from octavo.compiler.artifact.toolchain import driver_cache_folder
    from octavo.compiler.cli.tensors import (
        describe_tensor,
        read_tensors,
        tensor_line,
        write_tensors,
    )
    from octavo.compiler.devices.inference import input_names, run_inference
    from octavo.compiler.session import load

    if device == LOCAL:
        cache = driver_cache_folder()
        with load(artifact, num_threads=num_threads, cache_folder=cache) as session:
            outputs = session.run(read_tensors(input_file, input_names(artifact)))
    else:
        inputs = read_tensors(input_file, input_names(artifact))
        outputs = run_inference(
            chosen_device(device), artifact, inputs, num_threads=num_threads
        )
    if output is not None:
        write_tensors(outputs, output)
    console.result(
        {"outputs": [describe_tensor(name, array) for name, array in outputs.items()]},
        *(printable(tensor_line(name, array)) for name, array in outputs.items()),
    )
