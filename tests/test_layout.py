"""The committed symlinks are real, and a wheel built from them holds the whole package."""

import os
import subprocess
import sys
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


@pytest.mark.slow
def test_wheel_holds_every_tracked_file_of_the_package(tmp_path):
    if not (ROOT / "runtime" / "CMakeLists.txt").is_file():
        pytest.fail("runtime/CMakeLists.txt is missing: the project cannot be built")
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path,
         "--config-settings", f"build-dir={tmp_path / 'build'}", ROOT],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())

    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *LINKED_FOLDERS],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    expected = {f"octavo/{name}" for name in tracked if (ROOT / name).is_file()}
    assert expected - names == set()
    assert "octavo/py.typed" in names
    assert "octavo/compiler/report/report.html.jinja" in names
    assert any(n.endswith("runtime/include/octavo_runtime.h") for n in names)
    assert any(n.startswith("octavo/runtime/") and n.endswith(".c") for n in names)
    assert not any(n.split("/")[0] in ("tests", "benchmarks", "examples") for n in names)
