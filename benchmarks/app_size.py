"""What a model adds to an Android app: python -m benchmarks.app_size [NAME ...].

Packages networks as AARs and weighs their parts, beside the library of LiteRT. That one comes
from LiteRT's wheel for 64-bit Arm Linux, in the version that is installed here: its AAR was
not at hand. It has the interpreter and kernels of all operators, and no symbols; libraries for
accelerators, which are files beside it, do not count.

Writes benchmarks/results/app_size.json and app_size.md.
"""

import importlib.metadata
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

import octavo
from benchmarks.result_rows import Rows, rows_command
from benchmarks.workloads import find_workload

TARGET = "android-arm64"
LITERT, LITERT_LIBRARY = "LiteRT", "ai_edge_litert/libLiteRt.so"
PLATFORMS = tuple(f"manylinux_2_{minor}_aarch64" for minor in (28, 27, 17))
NUM_SAMPLES = 4  # what is measured does not depend on calibration
COLUMNS = {  # of the table, and the keys of rows
    "library": "library",
    "library, compressed": "library_compressed",
    "classes": "classes",
    "weights": "weights",
    "AAR": "aar",
}
NAMES = ("mobilenet_v2", "ds_cnn", "vit_tiny", LITERT)


def measure(name: str) -> dict[str, Any]:
    """Bytes of one network's AAR and of its parts, or of LiteRT's library.

    Args:
        name: Of a workload, or ``LITERT``.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _litert(Path(folder)) if name == LITERT else _network(name, Path(folder))


def _network(name: str, folder: Path) -> dict[str, Any]:
    model, calibration, _ = find_workload(name).make()
    samples = {
        key: np.concatenate([sample[key] for sample in calibration[:NUM_SAMPLES]])
        for key in calibration[0]
    }
    octavo.compile(model, TARGET, folder / "artifact", samples=samples)
    package = octavo.package_android([folder / "artifact"], folder / "package")
    (abi,) = package.sizes
    with zipfile.ZipFile(package.aar) as archive:
        library = archive.read(f"jni/{abi.abi}/liboctavo_jni.so")
    return {
        "library_bytes": abi.library_bytes,
        "library_compressed_bytes": _compressed(library),
        "classes_bytes": package.classes_bytes,
        "weights_bytes": abi.models[0].weights_bytes,
        "aar_bytes": package.aar_bytes,
    }


def _litert(folder: Path) -> dict[str, Any]:
    version = importlib.metadata.version("ai-edge-litert")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary", ":all:", "--dest", str(folder)]
    command += [part for platform in PLATFORMS for part in ("--platform", platform)]
    subprocess.run([*command, f"ai-edge-litert=={version}"], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        library = archive.read(LITERT_LIBRARY)
    return {
        "version": version,
        "library_bytes": len(library),
        "library_compressed_bytes": _compressed(library),
    }


def _compressed(data: bytes) -> int:
    """As an app store sends it: packages are compressed on their way to a phone."""
    return len(zlib.compress(data, 9))


def table(rows: Rows) -> str:
    """Markdown of all rows, KB of 1000 bytes."""
    header = " | ".join(f"{column}, KB" for column in COLUMNS)
    lines = [f"| | {header} |", "|---" * (1 + len(COLUMNS)) + "|"]
    for name, row in rows.items():
        found = [row.get(f"{key}_bytes") for key in COLUMNS.values()]
        sizes = ["" if size is None else f"{size / 1000:,.0f}" for size in found]
        shown = f"{name} {row['version']}, without a model" if "version" in row else name
        lines.append(f"| {shown} | {' | '.join(sizes)} |")
    return "\n".join(lines)


main = rows_command("app_size", NAMES, measure, table)

if __name__ == "__main__":
    main()
