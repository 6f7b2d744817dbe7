"""The classes of an AAR and the library for Java, on the Java machine of this computer."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from octavo.compiler.session import load

INPUT = (np.arange(1000) * 7).astype(np.int8)
MEAN, DEVIATION = (
    np.float32(0.485),
    np.float32(0.229),
)  # PictureClassifier's, of its first colour
FRONT_BYTES = 16 * 1024  # of a file that weights are in
MAX_GROWTH_KIB = 4096  # 10,000 leaks of 1 KiB would be 10,000; the machine's own heap moves


@pytest.fixture(scope="module")
def java(machine):
    """Function: arguments of Checks to what it prints."""

    def run(*arguments, library=True, main="Checks"):
        command = [
            # A heap that is there from the start: what grows is not Java's.
            "java", "-Xcheck:jni", "-Xms32m", "-Xmx32m", "-XX:+AlwaysPreTouch",
            "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            "--add-opens", "java.base/java.io=ALL-UNNAMED",
            f"-Djava.library.path={machine if library else machine / 'objects'}",
            "-cp", f"{machine / 'classes.jar'}:{machine / 'checks'}",
            f"octavo.check.{main}", *map(str, arguments),
        ]  # fmt: skip
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=300, check=False
        )
        assert result.returncode == 0, result.stderr + result.stdout
        assert "WARNING in native method" not in result.stdout  # of -Xcheck:jni
        return result.stdout

    return run


@pytest.fixture(scope="module")
def weights(make_artifact):
    return make_artifact("tiny") / "weights.bin"


@pytest.fixture
def files(tmp_path):
    (tmp_path / "in").write_bytes(INPUT.tobytes())
    return tmp_path / "in", tmp_path / "out"


def _session_bytes(folder):
    with load(folder) as session:
        (port,) = session.inputs
        outputs = session.run({port.name: INPUT.reshape(port.shape)})
    return b"".join(array.tobytes() for array in outputs.values())


def test_a_run_gives_the_bytes_of_a_session(java, weights, files, make_artifact, expected):
    out = java("run", weights, *files)
    assert "x:0: int8 10x100; mapped 1088, copied 0, threads 1" in out
    assert files[1].read_bytes() == _session_bytes(make_artifact("tiny")) == expected("tiny")


def test_models_share_the_library(java, weights):
    assert java("names", weights).split() == ["digits", "other", "tiny"]


@pytest.mark.parametrize(
    ("kind", "offset", "usage"),
    [
        ("stored", FRONT_BYTES, "mapped 1088, copied 0, threads 2"),
        ("stored", FRONT_BYTES + 4, "mapped 0, copied 1088, threads 2"),
        ("compressed", 0, "mapped 0, copied 0, threads 2"),
    ],
)
def test_assets_are_mapped_where_they_can_be(
    java, weights, files, tmp_path, expected, kind, offset, usage
):
    package = tmp_path / "package"
    package.write_bytes(bytes(range(256)) * (offset // 256) + bytes(offset % 256))
    with package.open("ab") as file:
        file.write(weights.read_bytes())
    assert usage in java("assets", package, *files, kind, offset)
    assert files[1].read_bytes() == expected("tiny")


def test_misuse_is_an_exception_that_says_so(java, weights, tmp_path):
    (tmp_path / "short").write_bytes(weights.read_bytes()[:-1])
    lines = java("misuse", weights, tmp_path / "short").splitlines()
    assert len(lines) == 26
    assert sum(line.startswith("OctavoException: ") for line in lines) == 3
    assert sum(line.startswith("IllegalStateException: ") for line in lines) == 4


def test_eight_threads_share_a_model_and_have_their_own(java, weights, files, expected):
    (files[1]).write_bytes(expected("tiny"))
    assert java("threads", weights, *files).strip() == str(8 * 200 * 2)


def test_a_run_can_be_cancelled_and_the_model_used_afterwards(java, weights):
    assert java("cancel", weights).strip() == "cancelled"


def test_closing_waits_for_a_run(java, weights):
    assert java("close", weights).strip() == "closed"


@pytest.mark.slow
def test_ten_thousand_loads_take_no_memory(java, weights):
    count, growth_kib, num_files = (
        int(text) for text in java("cycles", weights).replace(":", "").split()[::2]
    )
    assert count == 10_000
    assert growth_kib < MAX_GROWTH_KIB
    assert num_files == 0


def test_the_sample_app_classifies_as_a_session_does(java, digits, weights):
    grey = np.random.default_rng(3).integers(0, 256, (8, 8))
    image = (grey[np.newaxis, np.newaxis] / np.float32(255) - MEAN) / DEVIATION
    with load(digits) as session:
        (scores,) = session.run({"image": image.astype(np.float32)}).values()
    arguments = (digits / "weights.bin", *grey.ravel(), weights)
    lines = java(*arguments, main="PictureCheck").splitlines()
    best = np.argsort(-scores[0], kind="stable")[:3]
    names = [line.split(": ")[0] for line in lines[:3]]
    assert names == ["zero" if i == 0 else f"class {i}" for i in best]
    values = [float(line.split(": ")[1]) for line in lines[:3]]
    np.testing.assert_allclose(values, scores[0][best], rtol=1e-6)  # printed by Java
    assert lines[3:] == ["x:0: int8 10x100 is not a picture"]


def test_a_missing_library_is_an_exception(java, weights, files):
    with pytest.raises(AssertionError, match="OctavoException: no library of the models"):
        java("run", weights, *files, library=False)


def test_the_table_of_java_is_that_of_its_own_header(run_command, request, tmp_path):
    header = _jni_header()
    jni = request.path.parents[3] / "runtime" / "android" / "jni" / "jni_table.h"
    places = [
        line.strip(" ,").split(" = ")
        for line in jni.read_text().splitlines()
        if line.startswith("  JNI_") and " = " in line
    ]
    assert len(places) == 11
    checks = "\n".join(
        f"_Static_assert(offsetof(struct JNINativeInterface_, {_camel(name)})"
        f' == {number} * sizeof(void *), "{name}");'
        for name, number in places
    )
    source = tmp_path / "check.c"
    source.write_text(f"#include <stddef.h>\n#include <jni.h>\n{checks}\n")
    gcc = shutil.which("gcc") or pytest.skip("needs gcc")
    folders = [f"-I{header.parent}", f"-I{header.parent / 'linux'}"]
    run_command([gcc, "-std=c11", *folders, "-c", source, "-o", tmp_path / "check.o"])


def _jni_header():
    javac = shutil.which("javac") or pytest.skip("needs javac, of default-jdk-headless")
    header = Path(javac).resolve().parents[1] / "include" / "jni.h"
    return header if header.is_file() else pytest.skip("needs jni.h of the JDK")


def _camel(name):
    return "".join(part.capitalize() for part in name.removeprefix("JNI_").split("_"))
