"""What each part of a package weighs, as a table: models, then the files that they are in."""

from collections.abc import Mapping, Sequence
from typing import Any

_COLUMNS = ("code", "tables", "weights", "file")


def c_table(package: Any) -> Any:
    """Code is in the libraries, of which a program takes one; weights are files beside it."""
    table = _table("target")
    for size in package.sizes:
        files = {f"lib{package.name}.so": size.library_bytes}
        files[f"lib{package.name}.a"] = size.static_bytes
        _add(table, size.target, size, files)
    return table


def python_table(package: Any) -> Any:
    """Everything is in the wheels, where all of it is compressed."""
    table = _table("target")
    for size in package.sizes:
        files = {f"lib{package.name}.so": size.library_bytes, "wheel": size.wheel_bytes}
        _add(table, size.target, size, files)
    return table


def android_table(package: Any) -> Any:
    """Everything is in the archive; its own tables and padding are what is left."""
    table = _table("abi")
    for size in package.sizes:
        _add(table, size.abi, size, {"native library": size.library_bytes})
    _add_files(table, {"classes": package.classes_bytes, package.aar.name: package.aar_bytes})
    return table


def ios_table(package: Any) -> Any:
    """Code is in a static library for each slice; an app takes one, and all weights."""
    table = _table("slice")
    for size in package.sizes:
        _add(table, size.slice, size, {"static library": size.library_bytes})
    files = {"xcframework": package.framework_bytes, "all weights": package.weights_bytes}
    _add_files(table, files)
    return table


def _table(first: str) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column(first, no_wrap=True)
    table.add_column("part", overflow="fold")
    for header in _COLUMNS:
        table.add_column(header, justify="right", no_wrap=True)
    return table


def _add(table: Any, label: str, size: Any, files: Mapping[str, int]) -> None:
    """Rows of one target: its models, the runtime that they share, the files of both."""
    from octavo.compiler.report.units import size_text

    for model in size.models:
        parts = (model.kernel_bytes, model.table_bytes, model.weights_bytes)
        table.add_row(label, model.name, *map(size_text, parts))
        label = ""
    table.add_row("", "runtime", size_text(size.runtime_bytes))
    _add_files(table, files)


def _add_files(table: Any, files: Mapping[str, int]) -> None:
    from octavo.compiler.report.units import size_text

    empty: Sequence[str] = ("",) * (len(_COLUMNS) - 1)
    for name, num_bytes in files.items():
        table.add_row("", name, *empty, size_text(num_bytes))
