"""README.md of a C SDK."""

from collections.abc import Mapping, Sequence

import octavo
from octavo.compiler.package.models import PackagedModel
from octavo.compiler.package.pkg_config import SYSTEM_LIBRARIES
from octavo.compiler.package.size_lines import size_lines
from octavo.compiler.package.sizes import LibrarySize

_TEXT = """\
# {name}

{models}, compiled by Octavo {version}. The libraries need the C library of their system and
nothing else; all models share one runtime.

| folder | what is in it |
|---|---|
| `include/` | `octavo_runtime.h`, and a header for each model |
| `lib/TARGET/` | `lib{library}.a` and `lib{library}.so` |
| `lib/TARGET/pkgconfig/`, `lib/cmake/` | for builds that look for packages |
| `models/TARGET/MODEL/` | `weights.bin`, which the program loads, and the manifest |
| `example/` | a program for each model |

## Build the example

    {command}
    ./{example} models/{target}/{example}/weights.bin <inputs.raw >outputs.raw

With CMake:

    find_package({name} CONFIG REQUIRED)   # with -D{name}_DIR=.../lib/cmake/{name}
    target_link_libraries(app PRIVATE octavo::{name})   # or octavo::{name}_shared

With pkg-config, for the shared library:

    export PKG_CONFIG_PATH=lib/{target}/pkgconfig
    cc -std=c11 example/{example}.c $(pkg-config --cflags --libs {name}) -o {example}

## Use

`include/octavo_MODEL.h` has the functions of a model and its tensors' types and sizes, and
`octavo_runtime.h` everything else: weights inside of a file (`octavo_load_descriptor`) or
in memory (`octavo_load_memory`), runs without copies, cancelling, memory and time, CPUs. One
instance is used by one thread at a time; any number of instances run at once.

## Sizes

{sizes}

## Licence

Runtime, kernels and headers: see [LICENSE](LICENSE). The weights are whoever's the model is.
"""


def c_readme(
    name: str,
    library: str,
    models: Mapping[str, tuple[PackagedModel, ...]],
    sizes: Sequence[LibrarySize],
) -> str:
    """The file.

    Args:
        name: Of the package.
        library: Of the libraries, without ``lib``.
        models: By name of the target.
        sizes: Of each target.
    """
    target, first = next(iter(models.items()))
    example = first[0].name
    command = (
        f"cc -std=c11 example/{example}.c -Iinclude lib/{target}/lib{library}.a"
        f" {' '.join(SYSTEM_LIBRARIES)} -o {example}"
    )
    by_target = {size.target: size for size in sizes}
    return _TEXT.format(
        name=name,
        library=library,
        version=octavo.__version__,
        models=", ".join(model.name for model in first),
        command=command,
        target=target,
        example=example,
        sizes=size_lines("target", by_target, "shared library"),
    )
