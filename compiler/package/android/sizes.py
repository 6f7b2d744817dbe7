"""What each part of an AAR weighs."""

from dataclasses import dataclass
from pathlib import Path

from octavo.compiler.package.libraries import Objects
from octavo.compiler.package.models import PackagedModel
from octavo.compiler.package.sizes import ModelSize, measure_models


@dataclass(frozen=True)
class AbiSize:
    """Bytes of one ABI.

    Attributes:
        abi: Android's name of it.
        target: What the models were compiled for.
        library_bytes: The native library, stripped: everything but the weights.
        runtime_bytes: The runtime and the functions for Java in it.
        models: The models in it.
    """

    abi: str
    target: str
    library_bytes: int
    runtime_bytes: int
    models: tuple[ModelSize, ...]


@dataclass(frozen=True)
class AndroidPackage:
    """What was written.

    Attributes:
        directory: The folder.
        name: Of the package.
        aar: The archive.
        aar_bytes: Its size.
        classes_bytes: Of classes.jar in it.
        sizes: What each part weighs, by ABI.
    """

    directory: Path
    name: str
    aar: Path
    aar_bytes: int
    classes_bytes: int
    sizes: tuple[AbiSize, ...]


def measure_abi(
    abi: str, objects: Objects, models: tuple[PackagedModel, ...], library: Path
) -> AbiSize:
    """Weigh the library of an ABI, and what it is made of."""
    sizes = measure_models(objects, models)
    library_bytes = library.stat().st_size
    own = sum(size.kernel_bytes + size.table_bytes for size in sizes)
    return AbiSize(abi, objects.target.name, library_bytes, library_bytes - own, sizes)
