"""Swift sources of a package for Apple's systems, against the C header that they import.

No Swift compiler is at hand: the sources are parsed, and each C function, constant, type and
field that they name is looked up.
"""

import re
import textwrap
from pathlib import Path

import pytest
from tests.compiler.package.swift_calls import c_calls, c_names, members, nodes, parse

from octavo.compiler.artifact.toolchain import runtime_folder
from octavo.compiler.package.ios import readme
from octavo.compiler.package.ios.resources import models_source
from octavo.compiler.package.ios.slices import Platform, Slice

SOURCES = sorted((runtime_folder() / "swift").rglob("*.swift"))
HEADER = (runtime_folder() / "include" / "octavo_runtime.h").read_text()
CODE = re.sub(r"/\*.*?\*/", "", HEADER, flags=re.DOTALL)
DEVICE, SIMULATOR = Platform("ios"), Platform("ios", "simulator")


def _parameters():
    """Number of parameters by name of a function."""
    found = re.findall(r"OCTAVO_API [\w *]+?(\w+)\(([^)]*)\);", CODE)
    return {name: 0 if text == "void" else text.count(",") + 1 for name, text in found}


def _structs():
    """Fields by name of a struct."""
    found = re.findall(r"typedef struct (\w+) \{(.*?)\} \w+;", CODE, re.DOTALL)
    return {name: set(re.findall(r"(\w+)[;,]", body)) for name, body in found}


def _enum(name):
    """Numbers by name of a constant."""
    (body,) = re.findall(rf"typedef enum {name} \{{(.*?)\}}", CODE, re.DOTALL)
    return {key: int(number) for key, number in re.findall(r"OCTAVO_(\w+) = (\d+)", body)}


def _swift_cases(file, name):
    """Numbers by name of a case of an enum."""
    (source,) = (path for path in SOURCES if path.name == file)
    body = source.read_text().split(f"enum {name}:")[1].split("\n    }\n")[0]
    return {key: int(number) for key, number in re.findall(r"case (\w+) = (-?\d+)", body)}


def test_the_header_is_read():
    parameters = _parameters()
    assert parameters["octavo_load"] == 3
    assert parameters["octavo_load_descriptor"] == 5
    assert len(parameters) == CODE.count("OCTAVO_API") - 1  # less the macro's definition
    assert {"num_bytes", "zero_point", "name"} <= _structs()["octavo_tensor"]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_source_is_swift(path):
    root = parse(path.read_bytes())
    assert not root.has_error
    assert max(map(len, path.read_text().splitlines())) <= 100


def test_a_broken_source_is_found():
    broken = SOURCES[0].read_bytes().replace(b"{", b"", 1)
    assert parse(broken).has_error


def test_swift_in_texts_for_users_is_swift():
    """Indented lines, from the import of a module to the next other line."""
    pages = [Path(readme.__file__), runtime_folder().parent / "docs" / "package.md"]
    for page in pages:
        text = page.read_text().replace("{{", "{").replace("}}", "}")
        blocks = re.findall(r"^    import Octavo.*\n(?:(?:    .*)?\n)*", text, re.MULTILINE)
        assert blocks, page.name
        for block in blocks:
            assert not parse(textwrap.dedent(block).encode()).has_error, block


def test_calls_have_as_many_arguments_as_the_functions_of_c():
    parameters, structs = _parameters(), _structs()
    calls = {call for path in SOURCES for call in c_calls(parse(path.read_bytes()))}
    for call in calls:
        # An initializer of a struct without arguments zeroes it.
        wanted = 0 if call.name in structs else parameters[call.name]
        assert call.num_arguments == wanted, call
    called = {call.name for call in calls}
    assert {"octavo_load", "octavo_prepare", "octavo_run", "octavo_destroy"} <= called
    # No function is named without being called.
    names = {name for path in SOURCES for name in c_names(parse(path.read_bytes()))}
    assert names & set(parameters) == called & set(parameters)


def test_names_of_c_exist():
    types = set(re.findall(r"\} (\w+);", CODE)) | {"octavo_model"}
    constants = set(re.findall(r"\b(OCTAVO_\w+)\b", CODE))
    known = types | constants | set(_parameters())
    for path in SOURCES:
        assert set(c_names(parse(path.read_bytes()))) <= known, path.name


def test_fields_of_c_exist():
    """Names with an underscore are C's: Swift's own have capital letters instead."""
    fields = set().union(*_structs().values())
    named = {
        name
        for path in SOURCES
        for name in members(parse(path.read_bytes()))
        if "_" in name and name.islower()
    }
    assert {"num_inputs", "last_run_ns", "is_quantized"} <= named
    assert named <= fields


def test_types_and_failures_have_the_numbers_of_c():
    types = {key.lower(): number for key, number in _enum("octavo_dtype").items()}
    assert _swift_cases("OctavoDataType.swift", "OctavoDataType") == types
    statuses = {
        key.replace("_", "").lower(): number
        for key, number in _enum("octavo_status").items()
        if key != "OK"
    }
    cases = _swift_cases("OctavoError.swift", "Status")
    own = {key.lower(): number for key, number in cases.items() if number > 0}
    assert own == statuses


def test_the_table_of_models_names_the_weights_of_each_slice():
    tables = {
        Slice(DEVICE, "arm64"): {"net": "net-a", "other": "other-a"},
        Slice(SIMULATOR, "arm64"): {"net": "net-a", "other": "other-a"},
    }
    same = models_source(tables)
    assert "#if" not in same
    tables[Slice(SIMULATOR, "x86_64")] = {"net": "net-b", "other": "other-a"}
    tables[Slice(Platform("macos"), "arm64")] = {"net": "net-a", "other": "other-a"}
    several = models_source(tables)
    assert re.findall(r"^#\w+ (os.*)$", several, re.MULTILINE) == [
        "os(iOS) && !targetEnvironment(simulator) && arch(arm64)",
        "os(iOS) && targetEnvironment(simulator) && arch(arm64)",
        "os(iOS) && targetEnvironment(simulator) && arch(x86_64)",
        "os(macOS) && !targetEnvironment(simulator) && arch(arm64)",
    ]
    for source, count in ((same, 1), (several, 4)):
        root = parse(source.encode())
        assert not root.has_error
        calls = [call.name for call in c_calls(root)]
        assert calls == ["octavo_net_program", "octavo_other_program"] * count
        strings = [n.text.decode() for n in nodes(root) if n.type == "line_str_text"]
        assert strings.count("net-b") == (1 if count > 1 else 0)
