"""README.md of a package for Apple's systems."""

from collections.abc import Sequence

import octavo
from octavo.compiler.package.ios.samples import Sample
from octavo.compiler.package.ios.sizes import IosPackage
from octavo.compiler.package.ios.slices import Slices, oldest_version
from octavo.compiler.package.size_lines import size_lines
from octavo.compiler.report.units import size_text

_TEXT = """\
# {name}

{models}, compiled by Octavo {version} for {systems}.
Libraries: {slices}.

All models share one runtime; an app takes one such package, with all of its models.

## Use

In Xcode: File > Add Package Dependencies > Add Local, and choose this folder. In a
`Package.swift`:

    .package(name: "{name}", path: "path/to/this/folder"),
    ...
    .product(name: "Octavo", package: "{name}"),

Then:

    import Octavo

    let model = try OctavoModel(named: "{model}")
    print(model.inputs, model.outputs)      // names, types, shapes, scales and zero points
    let results = try model.run(model.inputs.map {{ input in
        OctavoTensor(bytes: [UInt8](repeating: 0, count: input.byteCount), as: input.dataType)
    }})

`OctavoTensor([Float])` makes a tensor of numbers, `values(as: Float.self)` numbers of a
tensor; `run(writing:reading:)` gives the memory that the model reads and writes, without
copies. Every failure is an `OctavoError` with `status` and `message`. A model is `Sendable`:
every method may be called from any thread, and runs of one model wait for each other.

Weights are mapped from the app's bundle, not copied: `model.usage()` tells. An app gets the
weights of all slices, {weights} here.

The folder can be a repository: then its address does instead of a path. An app in C or
Objective-C takes `COctavo.xcframework` alone, with `#include <COctavo/octavo_{model}.h>`, and
weights from `Sources/Octavo/Models`.

`PrivacyInfo.xcprivacy` declares the one function on Apple's list that the runtime calls:
`fstat`, for the size of a weight file inside the app's container. An app that loads weights
from a file that its user picked adds the reason `3B52.1` to its own.

## Is it right on this device?

{checks}

On a phone, add the product `OctavoCheck` to a new app in Xcode; this is all of its code:

    import OctavoCheck
    import SwiftUI

    @main
    struct CheckApp: App {{
        var body: some Scene {{ WindowGroup {{ ModelCheckView() }} }}
    }}

Elsewhere, `try checkModels()` gives the same as values: differences, and the time of a run.

The package's own tests do the same: Product > Test in Xcode for a simulator, or `swift test`
on a Mac where the package has a library for macOS.

## Sizes

{sizes}

## Licence

Swift code, runtime and kernels: see [LICENSE](LICENSE). The weights are whoever's the model
is.
"""


def ios_readme(package: IosPackage, slices: Slices, samples: Sequence[Sample]) -> str:
    """The file.

    Args:
        package: What was written.
        slices: The models.
        samples: What it checks models with.
    """
    names = [model.name for model in next(iter(slices.values()))]
    by_slice = {size.slice: size for size in package.sizes}
    return _TEXT.format(
        name=package.name,
        models=", ".join(names),
        version=octavo.__version__,
        slices=", ".join(size.slice for size in package.sizes),
        systems=_systems(slices),
        model=names[0],
        weights=size_text(package.weights_bytes),
        checks=_checks(samples),
        sizes=size_lines("slice", by_slice, "static library"),
    )


def _systems(slices: Slices) -> str:
    named = {"iOS": oldest_version(slices, "ios"), "macOS": oldest_version(slices, "macos")}
    return " and ".join(f"{n} {v} and later" for n, v in named.items() if v is not None)


def _checks(samples: Sequence[Sample]) -> str:
    compared = [s for s in samples if s.outputs]
    lines = [
        f"`{s.model}` has to give the bytes that it gave on `{s.reference}` for a sample."
        for s in compared
    ]
    if len(compared) < len(samples):
        others = ", ".join(f"`{s.model}`" for s in samples if not s.outputs)
        lines.append(f"{others}: no reference was given, so one thread is compared with four.")
    return "\n".join(lines)
