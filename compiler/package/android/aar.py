"""An AAR: classes, native libraries and weights of models, as one dependency of an app."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from octavo.compiler.artifact.new_folder import new_folder
from octavo.compiler.package.android.abis import collect_abis
from octavo.compiler.package.android.archive import (
    PAGE_BYTES,
    WORD_BYTES,
    Entry,
    write_archive,
)
from octavo.compiler.package.android.contents import (
    AAR_METADATA,
    ANDROID_MANIFEST,
    MODELS_RECORD,
    SHRINKER_RULES,
    aar_metadata,
    android_manifest,
    models_record,
    shrinker_rules,
)
from octavo.compiler.package.android.java_classes import write_classes
from octavo.compiler.package.android.jni_library import JNI_LIBRARY, compile_jni, link_jni
from octavo.compiler.package.android.prefab import prefab_entries
from octavo.compiler.package.android.readme import android_readme
from octavo.compiler.package.android.sample_app import write_sample
from octavo.compiler.package.android.sizes import AbiSize, AndroidPackage
from octavo.compiler.package.libraries import build_objects, make_static
from octavo.compiler.package.licences import LICENSE, licence_text
from octavo.compiler.package.models import PackagedModel
from octavo.compiler.package.names import check_name, package_name
from octavo.compiler.package.record import PACKAGE, write_record
from octavo.compiler.package.sizes import measure_library

SAMPLE = "sample"
# What is stored uncompressed and ends in .so begins with a page in an app's package, assets
# included, so it can be mapped; other files are aligned to four bytes. The build of an app
# compresses assets other than those that it names: by this suffix it can name all weights.
# Sources: Android Gradle plugin, CompressAssetsTask and ApkFlinger; bundletool,
# ModuleSplitSerializer; zipalign -p.
_WEIGHTS_SUFFIX = ".weights.so"

Models = dict[str, tuple[PackagedModel, ...]]
Assets = dict[str, dict[str, str]]


@dataclass(frozen=True)
class SampleFiles:
    """What the sample app shows, where it is not made up.

    Attributes:
        picture: A picture that Android reads; None takes a drawn one.
        labels: Names of classes, one a line; None numbers them.
    """

    picture: Path | None = None
    labels: Path | None = None


def package_android(
    artifacts: Sequence[str | os.PathLike[str]],
    directory: str | os.PathLike[str],
    *,
    name: str | None = None,
    sample: SampleFiles | None = None,
    force: bool = False,
) -> AndroidPackage:
    """Write an AAR of artifacts, which share one runtime, and a sample app.

    Args:
        artifacts: Folders that the compiler wrote: every model for every ABI.
        directory: Folder to create.
        name: Of the package: a C identifier. None: ``octavo_`` and the model's name, or
            ``octavo_models`` where there are several.
        sample: Picture and labels of the sample app.
        force: Replace a package that is already there.

    Raises:
        ArtifactError: An artifact does not fit, see ``collect_abis``; the name is not one;
            ``directory`` exists, and ``force`` is off or it holds no package.
        TargetError: An artifact was compiled for a target that is not known.
        ToolchainError: The compiler or the linker failed, or there is no JDK.
    """
    check_name(name)
    with new_folder(directory, PACKAGE, force=force) as folder:
        models = collect_abis(artifacts)
        of_one_abi = next(iter(models.values()))
        package = package_name(name, models)
        aar = folder / f"{package}.aar"
        with tempfile.TemporaryDirectory(dir=folder, prefix=".build-") as build:
            sizes, classes_bytes = _write_aar(package, models, aar, Path(build))
        api_level = _api_level(models)
        files = sample or SampleFiles()
        write_sample(
            folder / SAMPLE,
            aar.name,
            of_one_abi[0].name,
            api_level,
            files.picture,
            files.labels,
        )
        written = AndroidPackage(
            directory=Path(os.path.abspath(directory)),
            name=package,
            aar=Path(os.path.abspath(directory)) / aar.name,
            aar_bytes=aar.stat().st_size,
            classes_bytes=classes_bytes,
            sizes=sizes,
        )
        text = android_readme(written, of_one_abi, api_level)
        (folder / "README.md").write_text(text, encoding="utf-8")
        (folder / LICENSE).write_text(licence_text(), encoding="utf-8")
        facts = {key: asdict(written)[key] for key in ("aar_bytes", "classes_bytes", "sizes")}
        write_record(folder, "android", package, facts)
    return written


def weights_assets(models: Mapping[str, Sequence[PackagedModel]]) -> Assets:
    """Where the weights are among an app's assets, by ABI and model.

    Weights are laid out for the kernels; where two ABIs have the same, they share a file.
    """
    places: dict[tuple[str, str], str] = {}
    assets: Assets = {}
    for abi, of_abi in models.items():
        for model in of_abi:
            key = model.name, str(model.manifest["files"]["weights.bin"])
            asset = f"octavo/{model.name}-{abi}{_WEIGHTS_SUFFIX}"
            assets.setdefault(abi, {})[model.name] = places.setdefault(key, asset)
    return assets


def _write_aar(
    package: str, models: Models, path: Path, build: Path
) -> tuple[tuple[AbiSize, ...], int]:
    assets = weights_assets(models)
    classes = build / "classes.jar"
    write_classes(classes, build / "classes")
    entries = [
        Entry(ANDROID_MANIFEST, _text(_android_manifest(models))),
        Entry("R.txt", b""),  # the package has no resources, and every AAR has the file
        Entry(SHRINKER_RULES, _text(shrinker_rules())),
        Entry(AAR_METADATA, _text(aar_metadata())),
        Entry(LICENSE, licence_text().encode()),
        Entry(f"assets/{MODELS_RECORD}", _text(models_record(models, assets))),
        Entry(classes.name, classes, WORD_BYTES),
    ]
    sizes = []
    weights: dict[str, Path] = {}
    static: dict[str, Path] = {}
    for abi, of_abi in models.items():
        objects = build_objects(of_abi[0].target, of_abi, build / abi)
        library = build / abi / JNI_LIBRARY
        link_jni(objects, compile_jni(objects, assets[abi]), library)
        size = measure_library(objects, of_abi, library)
        sizes.append(AbiSize(**vars(size), abi=abi))
        entries.append(Entry(f"jni/{abi}/{JNI_LIBRARY}", library, PAGE_BYTES))
        static[abi] = build / abi / "static.a"
        make_static(objects, static[abi])
        for model in of_abi:
            weights.setdefault(assets[abi][model.name], model.folder / "weights.bin")
    entries += [Entry(f"assets/{a}", file, PAGE_BYTES) for a, file in weights.items()]
    entries += prefab_entries(package, models, assets, static)
    write_archive(path, entries)
    return tuple(sizes), classes.stat().st_size


def _android_manifest(models: Models) -> str:
    targets = [of_abi[0].target for of_abi in models.values()]
    uses_opencl = any(target.accelerator is not None for target in targets)
    return android_manifest(_api_level(models), uses_opencl=uses_opencl)


def _api_level(models: Models) -> int:
    """Oldest version of Android that all libraries load on."""
    abis = [of_abi[0].target.abi for of_abi in models.values()]
    return max(abi.api_level for abi in abis if abi is not None)


def _text(text: str) -> bytes:
    return text.encode()
