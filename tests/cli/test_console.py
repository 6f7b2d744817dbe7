import dataclasses
import json
from pathlib import Path

import numpy as np

from octavo.compiler.cli.console import Console, to_json_value


@dataclasses.dataclass(frozen=True)
class Record:
    path: Path
    value: float


def test_json_values_have_jsons_own_types():
    value = to_json_value(
        {
            "record": Record(Path("a/b"), float("inf")),
            "array": np.array([[1.5, np.nan]], np.float32),
            "scalar": np.int64(3),
            "tuple": (1, None, True),
            "names": {"x": "y"}.values(),
        }
    )
    assert value == {
        "record": {"path": "a/b", "value": None},
        "array": [[1.5, None]],
        "scalar": 3,
        "tuple": [1, None, True],
        "names": ["y"],
    }
    json.dumps(value, allow_nan=False)


def test_json_goes_to_stdout_alone(capsys):
    console = Console(json=True)
    console.note("working")
    console.warn("careful")
    console.result({"a": 1}, "for people")
    out, err = capsys.readouterr()
    assert json.loads(out) == {"a": 1}
    assert err == "working\nwarning: careful\n"


def test_quiet_leaves_warnings(capsys):
    console = Console(verbosity=-1)
    console.note("working")
    console.warn("careful")
    console.result({"a": 1}, "for people")
    assert capsys.readouterr() == ("", "warning: careful\n")


def test_markup_in_names_is_text(capsys):
    Console().result({}, "[bold]x[/bold] :smile: https://a")
    assert capsys.readouterr().out == "[bold]x[/bold] :smile: https://a\n"
