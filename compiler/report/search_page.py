"""report.html of a search: one page that needs no network, no script and no other file."""

from collections.abc import Mapping
from typing import Any

from octavo.compiler.report.page_environment import page_environment
from octavo.compiler.report.search_document import search_record
from octavo.compiler.report.search_facts import search_facts


def render_search_page(record: Mapping[str, Any]) -> str:
    """Render what a search found as HTML.

    Args:
        record: The content of ``search.json``.

    Returns:
        A complete document. Equal records give equal text.

    Raises:
        DataError: The record is malformed.
    """
    template = page_environment().get_template("search.html.jinja")
    text: str = template.render(facts=search_facts(search_record(record)))
    return text
