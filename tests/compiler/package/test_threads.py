"""Many threads, two models, one runtime: with sanitizers, and with the shipped libraries."""

import os
import shutil
from pathlib import Path

import pytest

from octavo.compiler.artifact.toolchain import runtime_folder

SOURCE = Path(__file__).with_name("eight_threads.c")
SANITIZERS = {
    "thread": ("-O1", "-fsanitize=thread"),
    "address": ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"),
}


def _gcc():
    return shutil.which("gcc") or pytest.skip("needs gcc")


def _run(run_command, sdk, program):
    weights = [sdk / "models/host" / name / "weights.bin" for name in ("tiny", "other")]
    environment = dict(os.environ, TSAN_OPTIONS="halt_on_error=1")
    assert run_command([program, *weights], env=environment) == b"right\n"


@pytest.mark.parametrize("sanitizer", SANITIZERS)
def test_threads_are_independent_of_each_other(
    run_command, artifacts, sdk, sanitizer, tmp_path
):
    """Runtime and models are built with the sanitizer; kernels are as they are."""
    flags = ["-std=c11", "-g", "-Wall", "-Wextra", "-Werror", *SANITIZERS[sanitizer]]
    objects = []
    for folder in artifacts:
        objects += [tmp_path / f"{folder.name}.o", folder / "kernels.o"]
        run_command([_gcc(), *flags, "-c", folder / "model.c", "-o", objects[-2]])
    runtime = runtime_folder()
    sources = [SOURCE, *sorted((runtime / "src").glob("*.c"))]
    folders = [f"-I{sdk / 'include'}", f"-I{runtime / 'include'}"]
    program = tmp_path / "program"
    command = [_gcc(), *flags, *folders, *sources, *objects, "-pthread", "-ldl", "-lm"]
    run_command([*command, "-o", program])
    _run(run_command, sdk, program)


def test_the_libraries_of_the_package_serve_many_threads(run_command, sdk, tmp_path):
    program = tmp_path / "program"
    archive = sdk / "lib/host/liboctavo_models.a"
    command = [_gcc(), "-std=c11", "-O2", f"-I{sdk / 'include'}", SOURCE, archive]
    run_command([*command, "-pthread", "-ldl", "-lm", "-o", program])
    _run(run_command, sdk, program)
