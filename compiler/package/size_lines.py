"""What each part of a package weighs, as the Markdown of its README."""

from collections.abc import Mapping, Sequence

from octavo.compiler.package.sizes import LibrarySize
from octavo.compiler.report.units import size_text


def size_lines(
    place: str,
    sizes: Mapping[str, LibrarySize],
    library: str,
    totals: Mapping[str, int] | None = None,
) -> str:
    """A table: for each place the runtime, the models, and the library of both.

    Args:
        place: What a target is to the reader, such as "ABI".
        sizes: By name of the place.
        library: What the library is called.
        totals: Bytes of what is there once, by name.
    """
    lines = [f"| {place} | part | code | weights |", "|---|---|---|---|"]
    for name, size in sizes.items():
        lines.append(f"| {name} | runtime | {size_text(size.runtime_bytes)} | |")
        for model in size.models:
            code = size_text(model.kernel_bytes + model.table_bytes)
            lines.append(f"| | {model.name} | {code} | {size_text(model.weights_bytes)} |")
        lines += _total(library, size.library_bytes)
    for name, num_bytes in (totals or {}).items():
        lines += _total(name, num_bytes)
    return "\n".join(lines)


def _total(name: str, num_bytes: int) -> Sequence[str]:
    return [f"| | {name} | {size_text(num_bytes)} | |"]
