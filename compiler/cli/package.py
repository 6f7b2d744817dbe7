"""``octavo package``: artifacts as something that an app's build takes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from octavo.compiler.cli.console import Console
from octavo.compiler.cli.options import (
    EXISTING_FOLDER,
    NEW_PATH,
    force_option,
    output_options,
)


@click.command("package")
@click.argument("artifacts", type=EXISTING_FOLDER, nargs=-1, required=True)
@click.option(
    "--c",
    "c_folder",
    type=NEW_PATH,
    metavar="DIR",
    help="Write a C SDK: headers, static and shared library, pkg-config and CMake files, an"
    " example.",
)
@click.option(
    "--name",
    metavar="NAME",
    help="Name of the package and its libraries; octavo_MODEL when left out, or octavo_models"
    " where there are several.",
)
@force_option
@output_options
@click.pass_obj
def package_command(
    console: Console,
    artifacts: tuple[Path, ...],
    c_folder: Path | None,
    name: str | None,
    force: bool,
) -> None:
    """Pack the folders ARTIFACTS, which share one runtime, for an app's build."""
    if c_folder is None:
        raise click.UsageError("say what to make: --c DIR")
    from octavo.compiler.package.c_sdk import package_c

    package = package_c(artifacts, c_folder, name=name, force=force)
    console.result(
        {"package": package.directory, "name": package.name, "sizes": package.sizes},
        _size_table(package.sizes),
        f"{package.name}: {package.directory}",
    )


def _size_table(sizes: Sequence[Any]) -> Any:
    """Code is in the shared library; weights and manifests are files beside it."""
    from rich.table import Table

    from octavo.compiler.report.units import size_text

    table = Table(box=None, pad_edge=False)
    table.add_column("target")
    table.add_column("part")
    for header in ("kernels", "tables", "weights", "manifest"):
        table.add_column(header, justify="right")
    for target in sizes:
        label = target.target
        for model in target.models:
            parts = (
                model.kernel_bytes,
                model.table_bytes,
                model.weights_bytes,
                model.manifest_bytes,
            )
            table.add_row(label, model.name, *map(size_text, parts))
            label = ""
        table.add_row("", "runtime", size_text(target.runtime_bytes))
        table.add_row("", "shared library", size_text(target.shared_bytes))
    return table
