"""db, and what profile leaves in the database."""

import json

import pytest

from octavo.compiler.measurements.database import FILE_NAME


@pytest.fixture
def artifact(octavo, model, samples, tmp_path, cache):
    done = octavo("compile", model, "--target", "host", "--data", samples,
                  "-o", tmp_path / "out")
    assert done.code == 0, done.err
    return tmp_path / "out"


def profile(octavo, artifact, *options):
    done = octavo("profile", artifact, "--runs", "3", "--no-roofline", *options)
    assert done.code == 0, done.err
    return done


def test_a_profile_is_kept_and_travels_through_a_file(octavo, artifact, cache, tmp_path):
    profile(octavo, artifact)
    profile(octavo, artifact)
    profile(octavo, artifact, "--no-save")
    (group,) = octavo("db", "stats", "--json").json["groups"]
    steps = json.loads((artifact / "manifest.json").read_text())["steps"]
    of_library = [step for step in steps if step["operation"] is not None]
    assert group["num_measurements"] == 2 * len(of_library) > 0
    lines = tmp_path / "lines.jsonl"
    done = octavo("db", "export", lines)
    assert done.code == 0
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    assert len(records) == group["num_measurements"]
    assert {r["kernel"] for r in records} == {step["variant"] for step in of_library}
    assert octavo("db", "export", lines).code == 2  # it exists
    assert octavo("db", "import", lines, "--json").json == {"added": 0}
    (cache / FILE_NAME).rename(tmp_path / "old.sqlite")
    assert octavo("db", "import", lines, "--json").json == {"added": len(records)}
    assert octavo("db", "merge", tmp_path / "old.sqlite", "--json").json == {"added": 0}
    assert f"{len(records)} measurements in" in octavo("db", "stats").out


def test_a_mistake_in_a_file_adds_nothing(octavo, artifact, cache, tmp_path):
    profile(octavo, artifact)
    lines = tmp_path / "lines.jsonl"
    octavo("db", "export", lines)
    (cache / FILE_NAME).unlink()
    lines.write_text(lines.read_text() + "{}\n")
    done = octavo("db", "import", lines)
    assert done.code == 2
    assert "is no measurement" in done.error_line
    assert octavo("db", "stats", "--json").json["groups"] == []


def test_a_damaged_database_is_named_and_set_aside(octavo, artifact, cache):
    (cache / FILE_NAME).write_bytes(b"x" * 5000)
    done = profile(octavo, artifact)
    assert f"{FILE_NAME}.damaged-1" in done.err
    assert (cache / f"{FILE_NAME}.damaged-1").read_bytes() == b"x" * 5000
    assert octavo("db", "stats", "--json").json["groups"][0]["num_measurements"] > 0
