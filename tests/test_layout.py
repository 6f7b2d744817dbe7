"""The committed symlinks are real, and a wheel built from them holds the whole package."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LINKED_FOLDERS = ("compiler", "passes", "targets")


@pytest.mark.parametrize("folder", LINKED_FOLDERS)
def test_package_folder_is_a_relative_link_to_the_real_folder(folder):
    link = ROOT / "src" / "octavo" / folder
    assert link.is_symlink(), "clone with git config core.symlinks=true"
    assert os.readlink(link) == f"../../{folder}"
    assert link.resolve() == ROOT / folder
    assert (link / "__init__.py").is_file()


@pytest.mark.parametrize("folder", LINKED_FOLDERS)
def test_every_folder_with_modules_is_a_package(folder):
    missing = {
        module.parent.relative_to(ROOT).as_posix()
        for module in (ROOT / folder).rglob("*.py")
        if not (module.parent / "__init__.py").is_file()
    }
    assert not missing, "a folder without __init__.py breaks importlib.resources and mypy"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, unpacked as an installation would."""
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder,
         "--config-settings", f"build-dir={folder / 'build'}", ROOT],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (archive,) = folder.glob("*.whl")
    zipfile.ZipFile(archive).extractall(folder / "site")
    return folder / "site"


@pytest.mark.slow
def test_wheel_holds_every_file_of_the_package(wheel):
    names = {path.relative_to(wheel).as_posix() for path in wheel.rglob("*") if path.is_file()}
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *LINKED_FOLDERS],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    expected = {f"octavo/{name}" for name in tracked if (ROOT / name).is_file()}
    assert expected - names == set()
    assert {"octavo/py.typed", "octavo/compiler/report/templates/report.html.jinja"} <= names
    assert "octavo/runtime/include/octavo_runtime.h" in names
    assert "octavo/runtime/python/package/__init__.py" in names
    assert "octavo/runtime/swift/Sources/Octavo/OctavoModel.swift" in names
    assert any(n.startswith("octavo/runtime/src/") and n.endswith(".c") for n in names)
    folders = {name.split("/")[0] for name in names}
    assert folders == {"octavo", next(f for f in folders if f.endswith(".dist-info"))}


@pytest.mark.slow
def test_wheel_holds_the_extension_module_where_python_has_headers(wheel):
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        pytest.skip("this Python has no headers")
    (found,) = (wheel / "octavo" / "compiler").glob("native_call.*so")
    code = (
        "import importlib.util as u\n"
        f"spec = u.spec_from_file_location('native_call', {str(found)!r})\n"
        "module = u.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "print(module.ModelCall(1, print).bind((), (), None))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False)  # fmt: skip
    assert "method run of" in done.stdout, done.stderr


@pytest.mark.slow
def test_the_installed_package_finds_its_parts(wheel, tmp_path):
    # -S leaves .pth files out, with them the editable installation of this checkout.
    code = (
        "import sys\n"
        f"sys.path[:0] = [{str(wheel)!r}, {sysconfig.get_path('purelib')!r}]\n"
        "import octavo\n"
        "from octavo.compiler.artifact.toolchain import runtime_folder\n"
        "from octavo.compiler.cli import main\n"
        "from octavo.compiler.report import page\n"
        "page.page_environment().get_template('report.html.jinja')\n"
        "assert main(['targets', '--json']) == 0\n"
        "print(octavo.__file__, runtime_folder(), sep='\\n')\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    package, runtime = done.stdout.splitlines()[-2:]
    assert Path(package).parent == wheel / "octavo"
    assert Path(runtime) == wheel / "octavo" / "runtime"
