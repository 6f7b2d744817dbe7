"""Texts of an AAR: manifest, rules for shrinkers, and what is known of the models."""

import json
from collections.abc import Mapping
from typing import Any

import octavo
from octavo.compiler.package.models import PackagedModel

ANDROID_MANIFEST = "AndroidManifest.xml"
SHRINKER_RULES = "proguard.txt"
AAR_METADATA = "META-INF/com/android/build/gradle/aar-metadata.properties"
MODELS_RECORD = "octavo/models.json"  # among the assets
_FORMAT = 1
_NAMESPACE = "octavo.runtime"
_OPENCL = """
  <application>
    <!-- Drivers of graphics processors, which apps ask for since Android 12. -->
    <uses-native-library android:name="libOpenCL.so" android:required="false" />
  </application>"""


def android_manifest(api_level: int, *, uses_opencl: bool) -> str:
    """AndroidManifest.xml.

    Args:
        api_level: Oldest version of Android that loads the libraries.
        uses_opencl: Whether a model runs on a graphics processor.
    """
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<manifest xmlns:android="http://schemas.android.com/apk/res/android"\n'
        f'    package="{_NAMESPACE}">\n'
        f'  <uses-sdk android:minSdkVersion="{api_level}" />'
        f"{_OPENCL if uses_opencl else ''}\n"
        "</manifest>\n"
    )


def shrinker_rules() -> str:
    """proguard.txt: what an app that uses the package must not rename or remove."""
    return (
        "# The native library finds its functions by the name of this class.\n"
        f"-keep class {_NAMESPACE}.Native {{ *; }}\n"
    )


def aar_metadata() -> str:
    """What Android's Gradle plugin checks before it uses a package."""
    return "aarFormatVersion=1.0\naarMetadataVersion=1.0\nminCompileSdk=1\n"


def models_record(
    models: Mapping[str, tuple[PackagedModel, ...]], assets: Mapping[str, Mapping[str, str]]
) -> str:
    """models.json: inputs, outputs and origin of each model.

    Args:
        models: By ABI.
        assets: Place of the weights by ABI and model.
    """
    first = next(iter(models.values()))
    record = {
        "format": _FORMAT,
        "octavo": octavo.__version__,
        "models": [
            {
                "name": model.name,
                "inputs": model.manifest["inputs"],
                "outputs": model.manifest["outputs"],
                "macs": model.manifest["macs"],
                "abis": {
                    abi: _abi_record(same[index], assets[abi][model.name])
                    for abi, same in models.items()
                },
            }
            for index, model in enumerate(first)
        ],
    }
    return json.dumps(record, indent=1, allow_nan=False) + "\n"


def _abi_record(model: PackagedModel, asset: str) -> dict[str, Any]:
    manifest = model.manifest
    return {
        "target": model.target.name,
        "cpu_features": manifest["target_details"]["cpu_features"],
        "weights": asset,
        "weights_bytes": model.num_bytes("weights.bin"),
        "weights_sha256": manifest["files"]["weights.bin"],
        "arena_bytes": manifest["memory"]["arena_bytes"],
        "versions": manifest["versions"],
    }
