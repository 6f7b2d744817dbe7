"""``octavo search``: which format each layer gets, by what is measured."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.options import (
    NEW_PATH,
    READABLE_FILE,
    SAMPLES,
    force_option,
    model_options,
    output_options,
    parse_maxima,
    parse_shapes,
    target_option,
)
from octavo.compiler.cli.search_options import (
    chosen_device,
    limits_of,
    options_of,
    search_options,
)

if TYPE_CHECKING:
    from octavo.compiler.mixed_precision.run import Executors


@click.command("search")
@click.argument("model", type=READABLE_FILE)
@target_option
@click.option(
    "-o", "--output", type=NEW_PATH, required=True, metavar="DIR",
    help="The folder of the search: its journal, the front, the best artifact.",
)  # fmt: skip
@click.option(
    "--data",
    type=SAMPLES,
    required=True,
    metavar="SAMPLES",
    help="Samples: .npz, .npy (one input), or a folder of them; with an array `label` in the"
    " .npz, accuracy is measured, else noise. `synthetic`: made from what BatchNormalization"
    " stores.",
)
@search_options
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    default=1,
    show_default=True,
    metavar="N",
    help="Processes that measure accuracy; what is found does not depend on them.",
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Work on a Ray cluster: ray://HOST:PORT, auto, or local.",
)
@click.option(
    "--device-resource",
    metavar="NAME",
    help="With --cluster: the Ray resource of nodes that have the device, such as pixel-8;"
    " one measurement at a time.",
)
@click.option("--resume", is_flag=True, help="Go on with the search that the folder holds.")
@model_options
@force_option
@output_options
@click.pass_obj
def search_command(
    console: Console,
    model: Path,
    target: str,
    output: Path,
    data: Path | str,
    format_texts: str,
    solver: str,
    budget: int,
    max_drop: float | None,
    min_sqnr: float | None,
    max_latency_ms: float | None,
    max_instructions: float | None,
    max_size: float | None,
    max_buffer: float | None,
    by: str,
    device: str | None,
    num_threads: int,
    cores: str,
    measure_seconds: float,
    test_data: Path | None,
    recipe: str,
    calibrator: str | None,
    rounding: str,
    keep_float: tuple[str, ...],
    overrides: Path | None,
    max_samples: int | None,
    seed: int,
    workers: int,
    cluster: str | None,
    device_resource: str | None,
    resume: bool,
    shape_texts: tuple[str, ...],
    max_texts: tuple[str, ...],
    allow_external_data: bool,
    force: bool,
) -> None:
    """Search which format each layer of MODEL gets: accuracy, latency and size, measured."""
    if resume and force:
        raise click.UsageError("--resume goes on, --force begins anew; not both")
    where = chosen_device(device, target)
    limits = limits_of(
        where, max_drop, min_sqnr, max_latency_ms, max_instructions, max_size, max_buffer
    )
    options = options_of(
        format_texts, solver, budget, seed, limits, where, num_threads, cores,
        measure_seconds, by,
    )
    executors = _executors(workers, cluster, device_resource)
    shapes, maxima = parse_shapes(shape_texts), parse_maxima(max_texts)
    from octavo.compiler.cli.search_lines import search_lines
    from octavo.compiler.cli.search_progress import SearchProgress
    from octavo.compiler.mixed_precision.options import MILLISECONDS, latency_unit
    from octavo.compiler.mixed_precision.run import search_model
    from octavo.targets import get_target

    unit = MILLISECONDS if where is None else latency_unit(where, get_target(target))
    with SearchProgress(console, options, latency_unit=unit) as progress:
        result = search_model(
            model,
            target,
            output,
            data,
            options,
            test_samples=test_data,
            shapes=shapes,
            maxima=maxima,
            recipe=recipe,
            calibrator=calibrator,
            rounding=rounding,
            keep_float=keep_float,
            overrides=overrides,
            max_samples=max_samples,
            allow_external_data=allow_external_data,
            resume=resume,
            force=force,
            executors=executors,
            progress=progress.update,
        )
    console.result(result.record, *search_lines(result.record, result.directory))
    # Written and shown before it is refused: what was measured says what is possible.
    from octavo.compiler.mixed_precision.search import check_limits

    check_limits(result.found)


def _executors(workers: int, cluster: str | None, resource: str | None) -> "Executors":
    """Who works.

    Raises:
        click.UsageError: Options contradict each other.
    """
    from functools import partial

    from octavo.compiler.mixed_precision.run import Executors
    from octavo.compiler.workers import processes

    if cluster is None:
        if resource is not None:
            raise click.UsageError("--device-resource goes with --cluster")
        if workers == 1:
            return Executors()
        return Executors(workers=lambda make: processes(make, workers))
    if workers != 1:
        raise click.UsageError("--workers is for this machine; a cluster has its own")
    from octavo.compiler.workers.cluster import on_cluster

    make_workers = partial(on_cluster, address=cluster)
    on_device = None if resource is None else make_workers
    return Executors(workers=make_workers, on_device=on_device, resource=resource)
