"""The sample app and its AAR, put together by the tools that Android builds are made of."""

import re
import shutil
import struct
import subprocess
import zipfile
from pathlib import Path

import pytest

PAGE_BYTES = 4096  # of Android's older tools; newer ones align to 16 KiB
FRAMEWORK = Path("/usr/share/android-framework-res/framework-res.apk")
NAMESPACE = "octavo.sample"  # which a Gradle build puts into the manifest


def _run(*command):
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == 0, result.stderr + result.stdout
    return result.stdout


@pytest.fixture(scope="module")
def contents(aar, tmp_path_factory):
    """The AAR, unpacked; skips where Android's tools are missing."""
    if shutil.which("aapt2") is None or shutil.which("zipalign") is None:
        pytest.skip("needs aapt2 and zipalign, of aapt and zipalign")
    if not FRAMEWORK.is_file():
        pytest.skip(f"needs {FRAMEWORK}, of android-framework-res")
    folder = tmp_path_factory.mktemp("aar")
    with zipfile.ZipFile(aar) as archive:
        archive.extractall(folder)
    return folder


def _stored(source):
    """What the app's build does not compress: names end so."""
    build = (source.parents[1] / "build.gradle").read_text()
    (suffix,) = re.findall(r'noCompress "(.*?)"', build)
    return suffix


@pytest.fixture(scope="module")
def app(aar, contents, tmp_path_factory):
    """The app's package: resources, assets and native libraries, aligned."""
    folder = tmp_path_factory.mktemp("app")
    source = aar.parent / "sample" / "app" / "src" / "main"
    manifest = (source / "AndroidManifest.xml").read_text()
    named = manifest.replace("<manifest ", f'<manifest package="{NAMESPACE}" ', 1)
    (folder / "AndroidManifest.xml").write_text(named)
    for assets in (source / "assets", contents / "assets"):
        shutil.copytree(assets, folder / "assets", dirs_exist_ok=True)
    _run("aapt2", "compile", "--dir", source / "res", "-o", folder / "res.zip")
    versions = ("--min-sdk-version", "29", "--target-sdk-version", "35")
    link = ("aapt2", "link", "-I", FRAMEWORK, "--manifest", folder / "AndroidManifest.xml")
    output = ("-A", folder / "assets", "-0", _stored(source), *versions)
    _run(*link, *output, "-o", folder / "linked.apk", folder / "res.zip")
    with zipfile.ZipFile(folder / "linked.apk", "a") as archive:
        for library in sorted((contents / "jni").rglob("*.so")):
            name = f"lib/{library.parent.name}/{library.name}"
            archive.write(library, name, zipfile.ZIP_STORED)
    _run("zipalign", "-p", "4", folder / "linked.apk", folder / "app.apk")
    return folder / "app.apk"


def test_the_manifest_of_an_aar_is_one(contents, tmp_path):
    manifest = contents / "AndroidManifest.xml"
    command = ("aapt2", "link", "-I", FRAMEWORK, "--manifest", manifest)
    _run(*command, "-o", tmp_path / "a.apk")
    badging = _run("aapt2", "dump", "badging", tmp_path / "a.apk")
    assert "package: name='octavo.runtime'" in badging
    assert "sdkVersion:'29'" in badging


def test_the_sample_app_is_one_that_starts(app):
    badging = _run("aapt2", "dump", "badging", app)
    assert f"package: name='{NAMESPACE}'" in badging
    assert f"launchable-activity: name='{NAMESPACE}.MainActivity'" in badging
    assert "native-code: 'x86_64'" in badging


def test_weights_and_libraries_can_be_mapped_out_of_an_app(app, contents):
    """What ends in .so is stored at a page, among the assets as well."""
    _run("zipalign", "-c", "-p", "4", app)
    data = app.read_bytes()
    with zipfile.ZipFile(app) as archive:
        mapped = [info for info in archive.infolist() if info.filename.endswith(".so")]
    names = [info.filename for info in mapped]
    assert len([name for name in names if name.startswith("assets/octavo/")]) == 2
    assert "lib/x86_64/liboctavo_jni.so" in names
    for info in mapped:
        lengths = struct.unpack_from("<HH", data, info.header_offset + 26)
        place = info.header_offset + 30 + sum(lengths)
        assert info.compress_type == zipfile.ZIP_STORED
        assert place % PAGE_BYTES == 0
        if info.filename.startswith("assets/"):
            weights = (contents / info.filename).read_bytes()
            assert data[place : place + info.file_size] == weights
