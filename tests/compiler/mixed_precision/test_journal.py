"""The journal: what is written stays, what is not a journal is refused."""

import sqlite3
from pathlib import Path

import pytest

from octavo.compiler.mixed_precision.evaluator import ACCURACY, LATENCY, question
from octavo.compiler.mixed_precision.journal import FORMAT, Journal, Measured
from octavo.errors import ArtifactError, StoreError
from octavo.passes.layer_format import EIGHT_BITS, LayerFormat

FORMATS = {"conv": EIGHT_BITS, "fc": LayerFormat(4, 8)}


def test_what_was_kept_is_read_again_in_its_order(tmp_path: Path) -> None:
    path = tmp_path / "search.sqlite"
    asked = [question(ACCURACY, FORMATS), question(LATENCY, FORMATS), question(ACCURACY, {})]
    answers = [Measured({"noise": -20.5}), Measured({}, "no kernel"), Measured({"drop": 0.0})]
    with Journal(path) as journal:
        for one, answer in zip(asked, answers, strict=True):
            journal.keep(one, answer)
    with Journal(path) as journal:
        assert list(journal.measurements().items()) == list(zip(asked, answers, strict=True))
        (formats,) = next(iter(journal.measurements())).formats
    assert formats == FORMATS


def test_a_measurement_is_written_once(tmp_path: Path) -> None:
    with Journal(tmp_path / "search.sqlite") as journal:
        journal.keep(question(ACCURACY, FORMATS), Measured({"noise": 1.0}))
        with pytest.raises(StoreError):
            journal.keep(question(ACCURACY, FORMATS), Measured({"noise": 2.0}))
        assert list(journal.measurements().values()) == [Measured({"noise": 1.0})]


def test_a_search_goes_on_with_its_own_settings_only(tmp_path: Path) -> None:
    path = tmp_path / "search.sqlite"
    with Journal(path) as journal:
        journal.bind({"seed": 0, "formats": ("w8a8", "w4a8")})
    with Journal(path) as journal:
        journal.bind({"seed": 0, "formats": ("w8a8", "w4a8")})
        with pytest.raises(ArtifactError, match="had seed = 0, this one has 1"):
            journal.bind({"seed": 1, "formats": ("w8a8", "w4a8")})


def test_other_files_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no database " * 200)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as database:
        database.execute("CREATE TABLE things (name TEXT)")
    newer = tmp_path / "newer.sqlite"
    Journal(newer).close()
    with sqlite3.connect(newer) as database:
        database.execute(f"PRAGMA user_version = {FORMAT.version + 1}")
    for path, why in ((text, "not a database"), (other, "no journal"), (newer, "format")):
        with pytest.raises(StoreError, match=why):
            Journal(path)
