"""Exit codes, one line per mistake, and nothing heavy imported for a quick answer."""

import subprocess
import sys

import click
import pytest

from octavo import errors
from octavo.compiler.cli import main as entry_point
from octavo.compiler.cli.targets import targets_command

HEAVY = ("tvm", "onnxruntime", "scipy", "sklearn")


def fail_with(monkeypatch, error):
    def fail(**_):
        raise error

    monkeypatch.setattr(targets_command, "callback", fail)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ModelError("bad model"), 2),
        (errors.DataError("bad data"), 2),
        (errors.RecipeError("bad recipe"), 2),
        (errors.TargetError("bad target"), 2),
        (errors.ArtifactError("bad artifact"), 2),
        (errors.LoweringError("bad lowering"), 2),
        (errors.ToolchainError("bad linker"), 1),
        (errors.GateError("too slow"), 3),
        (errors.DeviceError("no answer"), 4),
        (PermissionError(13, "Permission denied", "/x"), 2),
        (click.UsageError("bad usage"), 2),
    ],
)
def test_each_kind_of_error_has_its_exit_code(octavo, monkeypatch, error, code):
    fail_with(monkeypatch, error)
    outcome = octavo("targets")
    assert outcome.code == code
    assert outcome.out == ""
    assert outcome.error_line


def test_an_unexpected_exception_is_one_line_and_its_traceback_needs_v(octavo, monkeypatch):
    monkeypatch.delenv("OCTAVO_DEBUG", raising=False)
    fail_with(monkeypatch, KeyError("lost"))
    outcome = octavo("targets")
    assert outcome.code == 1
    assert outcome.error_line.startswith("octavo: internal error: KeyError: 'lost'")
    assert "Traceback" in octavo("targets", "-v").err
    monkeypatch.setenv("OCTAVO_DEBUG", "1")
    assert "Traceback" in octavo("targets").err


def test_an_interrupt_ends_with_130(octavo, monkeypatch):
    fail_with(monkeypatch, KeyboardInterrupt())
    outcome = octavo("targets")
    assert (outcome.code, outcome.err.split()) == (130, ["octavo:", "interrupted"])


def test_messages_cannot_steer_the_terminal(octavo, monkeypatch):
    fail_with(monkeypatch, errors.ModelError("node 'a\x1b[2J\nb' is bad"))
    assert octavo("targets").error_line == r"octavo: node 'a\x1b[2J\nb' is bad"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["compil"], ["'compil'", "did you mean 'compile'", "quantize"]),
        (["nonsense"], ["'nonsense'", "inspect"]),
        (["targets", "--josn"], ["--josn", "--json", "octavo targets --help"]),
        (["inspect"], ["MODEL", "octavo inspect --help"]),
        (["inspect", "no-such-file.onnx"], ["no-such-file.onnx", "not exist"]),
        (["inspect", "."], ["is a directory"]),
        (["quantize", "x.onnx"], ["x.onnx"]),
    ],
)
def test_usage_errors_are_one_line_and_2(octavo, arguments, words):
    outcome = octavo(*arguments)
    assert outcome.code == 2
    for word in words:
        assert word in outcome.error_line


def test_no_argument_shows_the_verbs_and_fails(octavo):
    outcome = octavo()
    assert outcome.code == 2
    assert outcome.out == ""
    assert "quantize" in outcome.err


def test_help_lists_the_verbs_in_the_order_of_use(octavo):
    outcome = octavo("--help")
    assert outcome.code == 0
    verbs = ["inspect", "quantize", "compile", "run", "profile", "targets", "devices",
             "doctor"]
    listed = [
        line.split()[0] for line in outcome.out.split("Commands:")[1].splitlines() if line
    ]
    assert [word for word in listed if word in verbs] == verbs


@pytest.mark.parametrize(
    "verb",
    ["inspect", "quantize", "compile", "run", "profile", "targets", "devices", "doctor"],
)
def test_every_verb_takes_json_quiet_and_verbose(octavo, verb):
    text = octavo(verb, "--help").out
    assert "--json" in text
    assert "-q, --quiet" in text
    assert "-v, --verbose" in text


def test_version(octavo):
    outcome = octavo("--version")
    assert (outcome.code, outcome.out.split()[0]) == (0, "octavo,")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["compile", "--help"], ["targets"], ["inspect"]]
)
def test_quick_verbs_import_nothing_heavy(arguments, model):
    """Time would depend on the machine; what takes the time is the import of these."""
    if arguments == ["inspect"]:
        arguments = ["inspect", str(model)]
    code = (
        "import sys\n"
        "from octavo.compiler.cli import main\n"
        f"code = main({arguments!r})\n"
        f"print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "[]"


def test_a_reader_that_goes_away_is_no_internal_error(model):
    done = subprocess.run(
        f"{sys.executable} -m octavo.compiler.cli inspect -v {model} | true",
        shell=True,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "internal error" not in done.stderr
    assert "Traceback" not in done.stderr


def test_the_script_is_the_same_function():
    assert entry_point([]) == 2
