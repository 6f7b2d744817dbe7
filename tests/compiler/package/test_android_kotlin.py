"""The Kotlin of documents and READMEs: compiled against an AAR's classes, and run."""

import re
import shutil
import subprocess
from pathlib import Path
from textwrap import indent

import numpy as np
import pytest

from octavo.compiler.package.android.readme import kotlin_snippet
from octavo.compiler.package.models import collect_models
from octavo.compiler.session import load

KOTLIN = Path(__file__).parent / "kotlin"
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "package.md"
_IMPORTS = """\
package octavo.check

import android.content.Context
import octavo.runtime.OctavoModel
import octavo.runtime.OctavoOptions
"""


def _document_snippet():
    (text,) = re.findall(r"^Kotlin:\n\n((?:    .*\n)+)", DOCUMENT.read_text(), re.MULTILINE)
    return text.replace('"mobilenet_v2"', '"digits"')


def _completed(snippet):
    """A snippet whose app knows the data: what it fills in and what it does with outputs."""
    run = re.search(r"( *)model\.run\((\w+), (\w+)\)", snippet)
    several = run[2].endswith("s")
    fill = f"{run[2]}.forEach {{ fill(it) }}" if several else f"fill({run[2]})"
    keep = f"{run[3]}.forEach {{ keep(it) }}" if several else f"keep({run[3]})"
    text = snippet.replace(run[0], f"{run[0]}\n{run[1]}{keep}")
    text, count = re.subn(r"// \.\.\. fill the inputs?", fill, text)
    assert count == 1
    return text


@pytest.fixture(scope="module")
def program(machine, artifacts, digits, tmp_path_factory):
    """An archive with the snippets, by the name of their model, and what calls them."""
    kotlinc = shutil.which("kotlinc") or pytest.skip("needs kotlinc, of kotlin")
    folder = tmp_path_factory.mktemp("kotlin")
    (of_host,) = collect_models([*artifacts, digits]).values()
    snippets = {model.name: kotlin_snippet(model) for model in of_host}
    snippets["digits in a document"] = _document_snippet()
    table = ",\n".join(
        f'"{name}" to {{ context: Context ->\n{_completed(snippet)}\n}}'
        for name, snippet in snippets.items()
    )
    text = f"{_IMPORTS}\nval SNIPPETS = mapOf<String, (Context) -> Unit>(\n{table}\n)\n"
    (folder / "Snippets.kt").write_text(text)
    classes = f"{machine / 'classes.jar'}:{machine / 'checks'}"
    command = [kotlinc, "-cp", classes, "-jvm-target", "1.8", "-include-runtime"]
    sources = [KOTLIN / "KotlinCheck.kt", folder / "Snippets.kt"]
    program = folder / "program.jar"
    result = subprocess.run(
        [*command, *sources, "-d", program],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert program.is_file(), result.stderr
    assert "error:" not in result.stderr
    return f"{program}:{classes}"


@pytest.mark.parametrize("snippet", ["tiny", "other", "digits", "digits in a document"])
def test_a_snippet_gives_the_bytes_of_a_session(
    program, machine, make_artifact, digits, tmp_path, snippet
):
    name = snippet.split(" ")[0]
    folder = digits if name == "digits" else make_artifact(name)
    with load(folder) as session:
        (port,) = session.inputs
        data = np.random.default_rng(5).normal(size=port.shape) * 20
        array = data.astype(port.dtype)
        expected = b"".join(a.tobytes() for a in session.run({port.name: array}).values())
    (tmp_path / "in").write_bytes(array.tobytes())
    command = [
        "java", "--add-opens", "java.base/java.io=ALL-UNNAMED",
        f"-Djava.library.path={machine}", "-cp", program, "octavo.check.KotlinCheckKt",
        folder / "weights.bin", tmp_path / "in", tmp_path / "out", snippet, name,
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "out").read_bytes() == expected
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"{port.name}: ")
    assert lines[0].endswith(": 1 threads, cancelled: false")
    assert lines[1] == f"model {name} is closed"
    assert lines[2].startswith("FILE_ERROR: /nowhere: ")


def test_a_readme_has_the_snippet_of_its_first_model(aar, make_artifact):
    ((model,),) = collect_models([make_artifact("other", "android-x86-64")]).values()
    text = (aar.parent / "README.md").read_text()
    assert indent(kotlin_snippet(model), "    ") in text
    assert "model.run(inputs, outputs)" in text
