"""What the documents say exists."""

import re
from pathlib import Path

import click
import pytest

from octavo.compiler.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")]
)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(document):
    links = LINK.findall(document.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_every_option_is_documented(command):
    text = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")
    assert f"`{command.name}" in text
    options = [p for p in command.params if isinstance(p, click.Option)]
    missing = [o.opts for o in options if not any(f"`{name}" in text for name in o.opts)]
    assert missing == []


def test_every_documented_option_exists():
    text = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")
    known = {name for c in COMMANDS for p in c.params for name in p.opts} | {"--help"}
    assert set(re.findall(r"--[a-z][a-z-]+", text)) <= known


def test_the_readme_names_both_commands():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for goal in ("demo", "test"):
        assert f"    make {goal}" in readme
        assert re.search(rf"^{goal}:", makefile, re.MULTILINE)
