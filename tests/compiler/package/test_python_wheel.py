"""Wheels as whoever gets them uses them: installed by pip, equal bytes, mistakes refused."""

import ast
import email
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

from octavo.compiler.artifact.link import LINK_FLAGS
from octavo.compiler.artifact.manifest import sha256_of
from octavo.compiler.artifact.toolchain import zig
from octavo.compiler.package.python.contents import python_files
from octavo.compiler.package.python.elf_versions import needed_glibc
from octavo.compiler.package.python.platforms import architecture
from octavo.compiler.package.python.wheels import package_python
from octavo.compiler.package.record import PACKAGE_RECORD
from octavo.compiler.session import load
from octavo.errors import ArtifactError, ToolchainError
from octavo.targets import SYSTEMS, TARGETS, get_target

INPUT = (np.arange(1000) * 7).astype(np.int8).reshape(10, 100)


@pytest.fixture(scope="module")
def wheels(artifacts, tmp_path_factory):
    """What was written of both models for this machine."""
    return package_python(artifacts, tmp_path_factory.mktemp("wheels") / "out", name="net")


@pytest.fixture(scope="module")
def wheel(wheels):
    """The archive."""
    return wheels.directory / wheels.sizes[0].wheel


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """Function: program to what a fresh environment prints, where the wheel is installed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    executable = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    # Numpy is a dependency that nobody downloads here.
    (packages / "numpy.pth").write_text(f"{Path(np.__file__).parents[1]}\n")
    pip = [sys.executable, "-m", "pip", "--python", executable, "--disable-pip-version-check"]
    _succeed([*pip, "install", "--no-index", wheel])

    def run(program):
        return _succeed([executable, "-c", program])

    return run


def _succeed(command):
    environment = {key: v for key, v in os.environ.items() if key != "PYTHONPATH"}
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=300, env=environment
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_an_installed_model_gives_the_bytes_of_a_session(python, artifacts):
    program = (
        "import net, sys, numpy as np\n"
        "x = (np.arange(1000) * 7).astype(np.int8).reshape(10, 100)\n"
        "with net.load({name!r}, num_threads=2) as model:\n"
        "    model.run({{'x:0': 0 * x}})\n"
        "    outputs = model.run({{'x:0': np.asfortranarray(x)}})\n"
        "assert list(outputs) == [info.name for info in model.outputs]\n"
        "assert not any(name.startswith('octavo') for name in sys.modules)\n"
        "print(b''.join(array.tobytes() for array in outputs.values()).hex())"
    )
    for folder, name in zip(artifacts, ("tiny", "other"), strict=True):
        with load(folder) as session:
            expected = b"".join(a.tobytes() for a in session.run({"x:0": INPUT}).values())
        assert bytes.fromhex(python(program.format(name=name))) == expected


def test_a_package_says_what_is_in_it(python):
    assert python(
        "import net\n"
        "print(net.MODELS, net.__version__)\n"
        "print(net.load('tiny', cpus='big').inputs)"
    ) == (
        "('other', 'tiny') 0.1.0\n"
        "(TensorInfo(name='x:0', dtype='int8', shape=(10, 100),"
        " scale=0.10000000149011612, zero_point=-3),)\n"
    )


def test_weights_are_mapped_from_the_installed_file(python):
    assert python(
        "import net, pathlib\n"
        "model = net.load('tiny')\n"
        "usage = model.usage()\n"
        "assert usage.weights_mapped_bytes > 0 == usage.weights_copied_bytes, usage\n"
        "maps = pathlib.Path('/proc/self/maps').read_text\n"
        "assert 'site-packages/net/tiny.weights' in maps()\n"
        "model.close()\n"
        "assert 'site-packages/net/tiny.weights' not in maps()\n"
        "assert maps().count('libnet.so') > 0\n"
        "print('mapped')"
    ).startswith("mapped")


MISTAKES = {
    "net.load()": ("ValueError", "model None not allowed; models: other, tiny"),
    "net.load('big')": ("ValueError", "model 'big' not allowed"),
    "net.load('tiny', num_threads=0)": ("ValueError", "num_threads 0 not allowed (1 to 256)"),
    "net.load('tiny', cpus='fast')": ("ValueError", "allowed: big, little"),
    "model.run({})": ("ValueError", "no input 'x:0'"),
    "model.run({'x:0': x, 'z': x})": ("ValueError", "unknown input 'z'"),
    "model.run({'x:0': x[1:]})": ("ValueError", "int8 (9, 100); the model takes int8"),
    "model.run({'x:0': x.astype(float)})": ("TypeError", "is float64 (10, 100)"),
    "closed.run({'x:0': x})": ("ValueError", "the model is closed"),
    "closed.usage()": ("ValueError", "the model is closed"),
    "closed.reset()": ("ValueError", "the model is closed"),
    "spoil('libnet.so', 'tiny.weights', b'no weights')": ("ModelError", "cannot load"),
}


def test_mistakes_are_exceptions(python):
    program = (
        "import net, numpy as np\n"
        "from net import _models\n"
        "def spoil(library, weights, data):\n"
        "    good = _models.WEIGHTS['tiny']\n"
        "    _models.WEIGHTS['tiny'] = bad = good.with_name('spoiled')\n"
        "    bad.write_bytes(data)\n"
        "    try: net.load('tiny')\n"
        "    finally:\n"
        "        _models.WEIGHTS['tiny'] = good\n"
        "        bad.unlink()\n"
        "x = np.zeros((10, 100), np.int8)\n"
        "model, closed = net.load('tiny'), net.load('tiny')\n"
        "closed.close()\n"
        "closed.close()\n"
        "assert not model.cancel() and not closed.cancel()\n"
        f"for mistake in {list(MISTAKES)!r}:\n"
        "    try: eval(mistake)\n"
        "    except Exception as error: print(f'{type(error).__name__}: {error}')\n"
        "    else: print('none')\n"
        "model.run({'x:0': x})"  # and nothing is the worse for it
    )
    lines = python(program).splitlines()
    for line, (mistake, (kind, message)) in zip(lines, MISTAKES.items(), strict=True):
        assert line.startswith(f"{kind}: "), (mistake, line)
        assert message in line, mistake


def test_eight_threads_and_many_loads(python):
    assert python(
        "import net, numpy as np, resource\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "x = (np.arange(1000) * 7).astype(np.int8).reshape(10, 100)\n"
        "shared = net.load('tiny')\n"
        "expected = shared.run({'x:0': x})['y'].copy()\n"
        "def work(index):\n"
        "    with net.load('tiny') as own:\n"
        "        for model in (own, shared) * 50:\n"
        "            assert (model.run({'x:0': x})['y'] == expected).all()\n"
        "    return index\n"
        "with ThreadPoolExecutor(8) as pool: print(sum(pool.map(work, range(8))))\n"
        "def cycles(count):\n"
        "    for _ in range(count): net.load('tiny').close()\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = cycles(500)\n"
        "print(cycles(2000) - before < 1024)"
    ).split() == ["28", "True"]


def test_a_wheel_of_one_model_needs_no_name(make_artifact, tmp_path):
    package = package_python([make_artifact("tiny")], tmp_path / "out", version="1.2")
    assert package.name == "octavo_tiny"
    wheel = package.directory / package.sizes[0].wheel
    assert wheel.name.startswith("octavo_tiny-1.2-py3-none-manylinux_2_")
    target = tmp_path / "target"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install"]
    _succeed([*pip, "--no-index", "--no-deps", "--target", target, wheel])
    program = (
        f"import sys; sys.path.insert(0, {str(target)!r})\n"
        "import numpy as np, octavo_tiny\n"
        "with octavo_tiny.load() as model:\n"
        "    print(model.run({'x:0': np.ones((10, 100), np.int8)})['y'][:3])"
    )
    assert _succeed([sys.executable, "-c", program]) == "[3 5 7]\n"


def test_the_wheel_is_one_for_this_machine(wheels, wheel):
    name, version, build, tags = parse_wheel_filename(wheel.name)
    assert (name, str(version), build) == ("net", "0.1.0", ())
    assert tags & set(sys_tags())
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        about = email.message_from_bytes(archive.read("net-0.1.0.dist-info/METADATA"))
        mode = archive.getinfo("net/libnet.so").external_attr >> 16
    assert about["Name"] == "net"
    assert about["Requires-Dist"].startswith("numpy")
    assert mode == 0o100755
    info = [name for name in names if name.startswith("net-0.1.0.dist-info/")]
    assert names[-len(info) :] == info  # last, so that installers and indexes find it
    assert names[-1].endswith("/RECORD")
    assert "net-0.1.0.dist-info/licenses/LICENSE" in info
    (size,) = wheels.sizes
    own = sum(model.kernel_bytes + model.table_bytes for model in size.models)
    assert size.library_bytes == own + size.runtime_bytes
    assert size.wheel_bytes == wheel.stat().st_size


def test_two_wheels_are_byte_identical(artifacts, wheels, wheel, tmp_path):
    again = package_python(list(reversed(artifacts)), tmp_path / "elsewhere", name="net")
    assert sha256_of(again.directory / wheel.name) == sha256_of(wheel)
    first, second = (p.directory / PACKAGE_RECORD for p in (wheels, again))
    assert first.read_bytes() == second.read_bytes()


def test_the_python_is_one_that_boards_have():
    for name, data in python_files().items():
        tree = ast.parse(data, name, feature_version=(3, 9))
        imported = [node.module or "" for node in ast.walk(tree) if _is_import_from(node)]
        assert not any(module.startswith("octavo") for module in imported), name


def _is_import_from(node):
    return isinstance(node, ast.ImportFrom)


def test_tags_are_for_systems_with_python():
    known = {name: architecture(target) for name, target in {**TARGETS, **SYSTEMS}.items()}
    assert known["arm64-dotprod"] == "aarch64"
    assert known["armv7-neon"] == "armv7l"
    assert known["riscv64-rvv"] == "riscv64"
    assert known["hexagon-v68"] is known["android-arm64"] is None


def test_the_number_of_a_tag_is_what_the_library_asks_for(tmp_path):
    known = {  # a function that was there first, and one that was renewed
        ("arm64-neon", "float tanhf(float); float f(float x) { return tanhf(x); }"): (2, 17),
        ("x86-64", "float tanhf(float); float f(float x) { return tanhf(x); }"): (2, 2),
        ("x86-64", "float expf(float); float f(float x) { return expf(x); }"): (2, 27),
    }
    for (target, source), expected in known.items():
        (tmp_path / "f.c").write_text(source)
        system = ["-target", get_target(target).zig_target]
        # As other libraries are linked: their C libraries are in the cache.
        zig(["cc", *system, *LINK_FLAGS, "-shared", "-o", "f.so", "f.c", "-lm"], tmp_path)
        assert needed_glibc(tmp_path / "f.so") == expected
    with pytest.raises(ToolchainError, match=r"f\.c is no ELF file"):
        needed_glibc(tmp_path / "f.c")


@pytest.mark.slow
def test_installers_take_the_wheel_of_their_board(make_artifact, tmp_path):
    artifacts = [make_artifact("tiny", target) for target in ("host", "arm64-neon")]
    package = package_python(artifacts, tmp_path / "out")
    of_board = next(s.wheel for s in package.sizes if s.target == "arm64-neon")
    assert of_board.endswith("-py3-none-manylinux_2_17_aarch64.whl")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download"]
    board = ["--platform", "manylinux_2_28_aarch64", "--platform", "manylinux_2_17_aarch64"]
    find = ["--no-index", "--no-deps", "--find-links", package.directory]
    _succeed([*pip, *find, "--only-binary=:all:", *board, "-d", tmp_path / "d", "octavo-tiny"])
    assert [path.name for path in (tmp_path / "d").iterdir()] == [of_board]


def test_what_cannot_be_a_wheel_is_refused(make_artifact, artifacts, tmp_path):
    cases = {
        "Python has it for itself": ([artifacts[0]], {"name": "lambda"}),
        "'my net' is not allowed": ([artifacts[0]], {"name": "my net"}),
        "the version 'new' is not allowed": ([artifacts[0]], {"version": "new"}),
        "both for x86_64": ([artifacts[0], make_artifact("tiny", "x86-64")], {}),
        "which runs no Python": ([make_artifact("tiny", "android-x86-64")], {}),
    }
    for message, (folders, options) in cases.items():
        with pytest.raises(ArtifactError, match=message):
            package_python(folders, tmp_path / "out", **options)
    assert not any(tmp_path.iterdir())
