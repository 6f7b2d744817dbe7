"""An AAR against the published layout, its libraries against what Android loads."""

import json
import re
import shutil
import struct
import subprocess
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest

from octavo.compiler.artifact import toolchain
from octavo.compiler.package.android.aar import package_android
from octavo.compiler.package.android.jni_library import JNI_LIBRARY, model_table
from octavo.compiler.package.libraries import build_objects
from octavo.compiler.package.models import collect_models
from octavo.compiler.package.record import PACKAGE_RECORD
from octavo.errors import ArtifactError, ToolchainError
from octavo.targets import SYSTEMS, get_target

INPUT = (np.arange(1000) * 7).astype(np.int8)
PAGE_BYTES = 16 * 1024
TARGETS = ("android-arm64", "android-armv7", "android-x86-64")
ABIS = ("arm64-v8a", "armeabi-v7a", "x86_64")
LEVEL_8 = 52  # of class files. Source: Java Virtual Machine Specification, section 4.1
# Source: Android developers, Create an Android library, "Anatomy of an AAR file"; the tools'
# "AAR Format". The manifest is all that must be there.
LAYOUT = re.compile(
    r"AndroidManifest\.xml|classes\.jar|R\.txt|public\.txt|proguard\.txt|lint\.jar|api\.jar"
    r"|(res|assets|prefab)/.+|libs/[^/]+\.jar|jni/[^/]+/[^/]+\.so"
    r"|META-INF/com/android/build/gradle/aar-metadata\.properties|LICENSE"
)


@pytest.fixture(scope="module")
def package(make_artifact, tmp_path_factory):
    if shutil.which("javac") is None:
        pytest.skip("needs javac, of default-jdk-headless")
    artifacts = [make_artifact(m, target) for target in TARGETS for m in ("tiny", "other")]
    return package_android(artifacts, tmp_path_factory.mktemp("aar") / "aar")


@pytest.fixture(scope="module")
def contents(package, tmp_path_factory):
    """The AAR, unpacked."""
    folder = tmp_path_factory.mktemp("contents")
    with zipfile.ZipFile(package.aar) as archive:
        archive.extractall(folder)
    return folder


def _readelf(path, *options):
    if shutil.which("readelf") is None:
        pytest.skip("needs readelf, of binutils")
    command = ["readelf", "-W", *options, path]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_layout_is_that_of_an_aar(package, contents):
    with zipfile.ZipFile(package.aar) as archive:
        names = archive.namelist()
    assert [name for name in names if not LAYOUT.fullmatch(name)] == []
    libraries = {f"jni/{abi}/{JNI_LIBRARY}" for abi in ABIS}
    assert {"AndroidManifest.xml", "classes.jar", "R.txt", "proguard.txt"} <= set(names)
    assert {name for name in names if name.startswith("jni/")} == libraries
    manifest = ElementTree.parse(contents / "AndroidManifest.xml").getroot()
    space = "{http://schemas.android.com/apk/res/android}"
    assert manifest.get("package") == "octavo.runtime"
    assert manifest.find("uses-sdk").get(f"{space}minSdkVersion") == "29"
    assert manifest.find("application") is None
    metadata = contents / "META-INF/com/android/build/gradle/aar-metadata.properties"
    assert dict(line.split("=") for line in metadata.read_text().split()) == {
        "aarFormatVersion": "1.0",
        "aarMetadataVersion": "1.0",
        "minCompileSdk": "1",
    }


def test_libraries_and_weights_are_stored_at_pages(package):
    data = package.aar.read_bytes()
    with zipfile.ZipFile(package.aar) as archive:
        stored = [info for info in archive.infolist() if info.filename.endswith(".so")]
    # The weights of these models are the same on every ABI, and there once.
    assert [info.filename for info in stored] == [
        "assets/octavo/other-arm64-v8a.weights.so",
        "assets/octavo/tiny-arm64-v8a.weights.so",
        *(f"jni/{abi}/{JNI_LIBRARY}" for abi in ABIS),
    ]
    for info in stored:
        lengths = struct.unpack_from("<HH", data, info.header_offset + 26)
        assert info.compress_type == zipfile.ZIP_STORED
        assert (info.header_offset + 30 + sum(lengths)) % PAGE_BYTES == 0


def test_the_record_of_models_names_files_that_are_there(package, contents, make_artifact):
    record = json.loads((contents / "assets/octavo/models.json").read_text())
    assert [model["name"] for model in record["models"]] == ["other", "tiny"]
    for model in record["models"]:
        assert tuple(model["abis"]) == ABIS
        for target, abi in zip(TARGETS, model["abis"].values(), strict=True):
            assert abi["target"] == target
            weights = make_artifact(model["name"], target) / "weights.bin"
            assert (contents / "assets" / abi["weights"]).read_bytes() == weights.read_bytes()


def test_classes_are_of_level_8_and_none_is_androids(contents):
    with zipfile.ZipFile(contents / "classes.jar") as classes:
        names = classes.namelist()
        assert "octavo/runtime/OctavoModel.class" in names
        for name in names:
            assert name.startswith("octavo/runtime/")
            magic, _, level = struct.unpack_from(">IHH", classes.read(name))
            assert (magic, level) == (0xCAFEBABE, LEVEL_8)


def test_shrinkers_keep_the_class_that_the_library_looks_for(contents):
    rules = (contents / "proguard.txt").read_text()
    assert re.search(r"^-keep class octavo\.runtime\.Native \{ \*; \}$", rules, re.MULTILINE)
    names = re.findall(r"Java_octavo_runtime_Native_(\w+)", _symbols(contents, ABIS[0]))
    source = toolchain.runtime_folder() / "android/java/octavo/runtime/Native.java"
    assert set(names) == set(re.findall(r"static native \S+ (\w+)\(", source.read_text()))


def _symbols(contents, abi):
    return _readelf(contents / "jni" / abi / JNI_LIBRARY, "--dyn-syms")


@pytest.mark.parametrize(("target", "abi"), list(zip(TARGETS, ABIS, strict=True)))
def test_a_library_needs_what_android_has_and_offers_what_java_calls(contents, target, abi):
    symbols = _symbols(contents, abi)
    known = {s for library in get_target(target).abi.libraries for s in library.symbols}
    undefined = set(re.findall(r"\bUND[ ]+([^\s@]+)", symbols))
    assert {"mmap", "pthread_create", "malloc"} <= undefined <= known
    lines = [line.split() for line in symbols.splitlines() if " GLOBAL " in line]
    defined = [line[7] for line in lines if line[6] != "UND"]
    assert defined
    assert all(name.startswith("Java_octavo_runtime_Native_") for name in defined)


@pytest.mark.parametrize("abi", ABIS)
def test_a_library_is_one_that_android_15_loads(contents, abi):
    library = contents / "jni" / abi / JNI_LIBRARY
    segments = re.findall(
        r"^\s+(LOAD|GNU_STACK)\s+(0x\w+)\s+(0x\w+)\s+\S+\s+\S+\s+\S+\s+([RWE ]+?)\s+(\w+)$",
        _readelf(library, "-l"),
        re.MULTILINE,
    )
    loads = [s for s in segments if s[0] == "LOAD"]
    assert len(loads) >= 2
    for _, offset, address, flags, alignment in loads:
        assert int(alignment, 16) % PAGE_BYTES == 0
        assert (int(offset, 16) - int(address, 16)) % PAGE_BYTES == 0
        assert not {"W", "E"} <= set(flags)
    dynamic = _readelf(library, "-d")
    assert "TEXTREL" not in dynamic
    assert re.findall(r"\(SONAME\).*\[(.*)\]", dynamic) == [JNI_LIBRARY]
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic))
    assert needed <= {"libc.so", "libm.so", "libdl.so"}
    assert ".symtab" not in _readelf(library, "-S")


def test_sizes_add_up(package, contents):
    for size in package.sizes:
        library = contents / "jni" / size.abi / JNI_LIBRARY
        own = sum(model.kernel_bytes + model.table_bytes for model in size.models)
        assert size.library_bytes == library.stat().st_size == own + size.runtime_bytes
        assert [model.weights_bytes for model in size.models] == [1088, 1088]
    record = json.loads((package.directory / PACKAGE_RECORD).read_text())
    assert record["aar_bytes"] == package.aar_bytes == package.aar.stat().st_size
    assert package.aar.name in record["files"]


def test_two_builds_are_the_same_bytes(package, make_artifact, tmp_path):
    artifacts = [make_artifact(m, target) for target in TARGETS for m in ("other", "tiny")]
    again = package_android(artifacts, tmp_path / "elsewhere" / "aar")
    assert again.aar.read_bytes() == package.aar.read_bytes()


def test_the_sample_app_takes_the_aar_and_its_first_model(package):
    sample = package.directory / "sample"
    build = (sample / "app" / "build.gradle").read_text()
    (dependency,) = re.findall(r'implementation files\("(.*)"\)', build)
    assert (sample / "app" / dependency).resolve() == package.aar.resolve()
    assert "minSdk 29" in build
    activity = sample / "app/src/main/java/octavo/sample/MainActivity.java"
    assert 'MODEL = "other"' in activity.read_text()
    picture = (sample / "app/src/main/assets/picture.png").read_bytes()
    image = pytest.importorskip("PIL.Image")
    import io

    assert image.open(io.BytesIO(picture)).size == (256, 256)
    marks = [p for p in sample.rglob("*") if p.is_file() and b"@A" in p.read_bytes()]
    assert [p.name for p in marks if p.suffix != ".png"] == []


def test_an_artifact_of_another_system_is_refused(make_artifact, tmp_path):
    with pytest.raises(ArtifactError, match="not Android; targets that are: android-arm64"):
        package_android([make_artifact("tiny", "host")], tmp_path / "aar")
    # Said before that a model is missing, which is for want of the right target.
    artifacts = [make_artifact("tiny", "android-arm64"), make_artifact("other", "host")]
    with pytest.raises(ArtifactError, match="host, which is not Android"):
        package_android(artifacts, tmp_path / "aar")
    assert not (tmp_path / "aar").exists()


def test_two_targets_of_one_abi_are_refused(make_artifact, tmp_path):
    artifacts = [make_artifact("tiny", "android-arm64"), make_artifact("tiny", "pixel-8")]
    with pytest.raises(ArtifactError, match="both for arm64-v8a"):
        package_android(artifacts, tmp_path / "aar")


def test_without_a_jdk_the_message_says_what_is_missing(make_artifact, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(ToolchainError, match=r"install a JDK .* or set JAVA_HOME"):
        package_android([make_artifact("tiny", "android-arm64")], tmp_path / "aar")
    assert not (tmp_path / "aar").exists()


@pytest.mark.slow
@pytest.mark.parametrize("target", ["android-arm64", "android-armv7"])
def test_the_code_for_java_gives_the_same_bytes_under_an_emulator(
    make_artifact, run_command, expected, request, tmp_path, target
):
    """The functions that Java calls, by a table of C functions in place of a Java machine."""
    record = SYSTEMS[target]
    emulator = shutil.which(record.emulator.program) or pytest.skip("needs qemu-user")
    ((model,),) = collect_models([make_artifact("tiny", target)]).values()
    program_target = "aarch64-linux-musl" if "arm64" in target else "arm-linux-musleabi"
    assert record.program_zig_target == program_target
    jni = toolchain.runtime_folder() / "android" / "jni"
    (tmp_path / "model_table.c").write_text(model_table({"tiny": "octavo/tiny"}))
    sources = {
        "jni.o": jni / "octavo_jni.c",
        "table.o": tmp_path / "model_table.c",
        "model.o": model.folder / "model.c",
        "caller.o": request.path.parent / "jni_caller.c",
    }
    include = [f"-I{toolchain.runtime_folder() / 'include'}", f"-I{jni}"]
    command = ["cc", "-target", program_target]
    flags = ["-std=c11", "-O2", "-fno-sanitize=all", *include]
    for name, source in sources.items():
        toolchain.zig([*command, *flags, "-c", str(source), "-o", name], tmp_path)
    runtime = toolchain.runtime_objects(program_target, with_bench=False)
    objects = [*sources, str(model.folder / "kernels.o"), *map(str, runtime)]
    toolchain.zig([*command, *objects, "-lm", "-o", "caller"], tmp_path)
    run = [emulator, "-cpu", record.emulator.cpu, tmp_path / "caller"]
    package = tmp_path / "package"
    package.write_bytes(bytes(PAGE_BYTES) + (model.folder / "weights.bin").read_bytes())
    assert run_command([*run, package, str(PAGE_BYTES)], input=INPUT.tobytes()) == expected(
        "tiny"
    )


def test_objects_of_a_package_do_not_depend_on_where_they_are_built(make_artifact, tmp_path):
    models = collect_models([make_artifact("tiny", "android-arm64")])["android-arm64"]
    places = [tmp_path / "a", tmp_path / "longer" / "b"]
    first, second = (build_objects(models[0].target, models, place) for place in places)
    assert [p.read_bytes() for p in first.paths()] == [p.read_bytes() for p in second.paths()]
