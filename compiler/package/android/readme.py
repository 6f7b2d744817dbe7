"""README.md of a package for Android."""

from collections.abc import Sequence
from textwrap import indent

import octavo
from octavo.compiler.package.android.sizes import AndroidPackage
from octavo.compiler.package.models import PackagedModel
from octavo.compiler.package.size_lines import size_lines

_TEXT = """\
# {name}

{models}, compiled by Octavo {version} for {abis}, Android API level {api_level} and
later. All models share one runtime; an app takes one such package, with all of its models.

## Use

Copy `{aar}` to the app's `libs` folder, and in its `build.gradle`:

    dependencies {{
        implementation files("libs/{aar}")
    }}

Kotlin:

{snippet}

Java has the same with `try (OctavoModel model = ...)`. A buffer of another size, type or byte
order is an `IllegalArgumentException`, a closed model an `IllegalStateException`, and what the
runtime refuses an `OctavoException` with its message.

C++ gets headers and a static library by `buildFeatures {{ prefab true }}`, and in CMake by
`find_package(octavo REQUIRED CONFIG)` and `octavo::{name}`; `octavo_assets.h` names weights.

`sample/` is an app that classifies a picture: open the folder in Android Studio.

Weights are assets that are mapped out of the app, not copied, if the app's build does not
compress them; in its `build.gradle`:

    android {{
        androidResources {{ noCompress ".weights.so" }}
    }}

Without it they are read into memory, and everything else stays the same:
`model.usage().weightsMappedBytes()` says which.

## Sizes

{sizes}

## Licence

Classes, runtime and kernels: see [LICENSE](LICENSE). The weights are whoever's the model is.
"""

_ONE_TENSOR = """\
OctavoModel.load(context, "{model}", OctavoOptions().threads(4)).use {{ model ->
    val input = model.input(0).allocate()     // a direct ByteBuffer of the right size
    val output = model.output(0).allocate()
    // ... fill the input
    model.run(input, output)
}}"""

_SEVERAL_TENSORS = """\
OctavoModel.load(context, "{model}", OctavoOptions().threads(4)).use {{ model ->
    // direct ByteBuffers of the right sizes
    val inputs = Array(model.numInputs()) {{ model.input(it).allocate() }}
    val outputs = Array(model.numOutputs()) {{ model.output(it).allocate() }}
    // ... fill the inputs
    model.run(inputs, outputs)
}}"""


def kotlin_snippet(model: PackagedModel) -> str:
    """How an app runs a model."""
    counts = [len(model.manifest[kind]) for kind in ("inputs", "outputs")]
    text = _ONE_TENSOR if counts == [1, 1] else _SEVERAL_TENSORS
    return text.format(model=model.name)


def android_readme(
    package: AndroidPackage, models: Sequence[PackagedModel], api_level: int
) -> str:
    """The file.

    Args:
        package: What was written.
        models: In it, of any ABI.
        api_level: Oldest version of Android.
    """
    by_abi = {size.abi: size for size in package.sizes}
    totals = {"classes": package.classes_bytes, "whole AAR": package.aar_bytes}
    return _TEXT.format(
        name=package.name,
        models=", ".join(model.name for model in models),
        version=octavo.__version__,
        abis=", ".join(size.abi for size in package.sizes),
        api_level=api_level,
        aar=package.aar.name,
        snippet=indent(kotlin_snippet(models[0]), "    "),
        sizes=size_lines("ABI", by_abi, "library", totals),
    )
