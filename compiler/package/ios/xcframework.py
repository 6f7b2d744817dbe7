"""An XCFramework of static libraries: one for each platform, with headers and a module map.

Headers and module map lie in a folder of the module's name: Xcode copies the headers of all
frameworks of an app into one folder, where two module maps would be one file. Compilers look
for module maps in folders of that name, too.

Source: Apple, Creating a multiplatform binary framework bundle, and what ``xcodebuild
-create-xcframework`` writes; clang, Modules, for module maps.
"""

import plistlib
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from octavo.compiler.package.ios.fat_archive import write_fat_archive
from octavo.compiler.package.ios.slices import Slice, slice_name

MODULE = "COctavo"  # Swift sources import it
FRAMEWORK = f"{MODULE}.xcframework"
_HEADERS = "Headers"


def write_xcframework(
    folder: Path, library: str, archives: Mapping[Slice, Path], headers: Mapping[str, str]
) -> dict[str, Path]:
    """Write the framework.

    Args:
        folder: To create.
        library: File name of the libraries in it.
        archives: Static library of each slice.
        headers: Text of each header by file name; all belong to the module.

    Returns:
        The library of each platform, by the name of its folder.
    """
    folder.mkdir()
    records, libraries = [], {}
    ordered = sorted(archives)
    for platform, group in groupby(ordered, key=lambda s: s.platform):
        architectures = [s.architecture for s in group]
        name = slice_name(platform, architectures)
        place = folder / name
        _write_headers(place / _HEADERS / MODULE, headers)
        libraries[name] = place / library
        parts = {a: archives[Slice(platform, a)] for a in architectures}
        write_fat_archive(libraries[name], parts)
        record: dict[str, Any] = {
            "BinaryPath": library,
            "HeadersPath": _HEADERS,
            "LibraryIdentifier": name,
            "LibraryPath": library,
            "SupportedArchitectures": architectures,
            "SupportedPlatform": platform.system,
        }
        if platform.variant:
            record["SupportedPlatformVariant"] = platform.variant
        records.append(record)
    info = {
        "AvailableLibraries": records,
        "CFBundlePackageType": "XFWK",
        "XCFrameworkFormatVersion": "1.0",
    }
    (folder / "Info.plist").write_bytes(plistlib.dumps(info))
    return libraries


def module_map(headers: Mapping[str, str]) -> str:
    """module.modulemap: what ``import`` of the module declares."""
    lines = [f"module {MODULE} {{", *(f'    header "{name}"' for name in headers)]
    return "\n".join([*lines, "    export *", "}"]) + "\n"


def _write_headers(folder: Path, headers: Mapping[str, str]) -> None:
    folder.mkdir(parents=True)
    for name, text in headers.items():
        (folder / name).write_text(text, encoding="ascii")
    (folder / "module.modulemap").write_text(module_map(headers), encoding="ascii")
