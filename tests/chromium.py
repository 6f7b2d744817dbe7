"""Opens report pages in the system's Chromium and looks at what it draws.

Chromium is driven over its DevTools protocol. Nothing is downloaded: without a Chromium on the
machine the tests that need one are skipped.
"""

import os
import shutil
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# What a chart consists of: its marks that can be seen, and the texts that stick out of it or
# lie upon each other. The legend and the tables are HTML, which breaks lines by itself.
_CHARTS = """() => [...document.querySelectorAll('figure svg')].map(svg => {
  const box = svg.getBoundingClientRect();
  const marks = [...svg.querySelectorAll('rect, circle, polyline')].filter(mark => {
    const b = mark.getBoundingClientRect();
    const canBeFlat = mark.tagName === 'polyline';
    return b.width > 0 && (b.height > 0 || canBeFlat)
      && getComputedStyle(mark).display !== 'none';
  });
  const texts = [...svg.querySelectorAll('text')].map(text =>
    ({words: text.textContent, box: text.getBoundingClientRect(),
      isScale: text.classList.contains('tick')}));
  const cut = texts.filter(({box: b}) => b.left < box.left - 1 || b.right > box.right + 1
    || b.top < box.top - 1 || b.bottom > box.bottom + 1);
  const scale = texts.filter(t => t.isScale);
  const meet = (a, b) => a.left < b.right && b.left < a.right && a.top < b.bottom
    && b.top < a.bottom;
  const clash = scale.filter((t, i) => scale.slice(i + 1).some(o => meet(t.box, o.box)));
  return {label: svg.getAttribute('aria-label'), marks: marks.length, width: box.width,
    titled: svg.querySelectorAll('title').length, texts: texts.length,
    cut: cut.map(t => t.words), clash: clash.map(t => t.words)};
})"""
_PAGE = """() => ({scroll: document.documentElement.scrollWidth,
  client: document.documentElement.clientWidth})"""


@dataclass(frozen=True)
class Look:
    """What a page looks like at one size.

    Attributes:
        charts: Facts about each chart, see ``_CHARTS``.
        image: The whole page, (rows, columns, RGB).
        complaints: Messages on the console, errors, requests beside the page itself.
        is_too_wide: The page must be scrolled sideways.
    """

    charts: list[dict[str, object]]
    image: Any
    complaints: list[str] = field(default_factory=list)
    is_too_wide: bool = False


class Browser:
    """A running Chromium."""

    def __init__(self, chromium):
        """Take over a browser that playwright has launched."""
        self._chromium = chromium

    def look(self, page_file: Path, width: int, scheme: str = "light") -> Look:
        """Open a file and take a picture, which stays beside it.

        Args:
            page_file: HTML.
            width: Of the window, pixels.
            scheme: "light" or "dark".
        """
        import numpy as np  # not before conftest has set how many threads it uses
        from PIL import Image

        complaints: list[str] = []
        address = page_file.as_uri()
        context = self._chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme)
        try:
            page = context.new_page()
            page.on("console", lambda message: complaints.append(f"console: {message.text}"))
            page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
            page.on("requestfailed", lambda found: complaints.append(f"failed: {found.url}"))
            page.on("request", lambda found: complaints.extend(
                [] if found.url == address else [f"request: {found.url}"]))
            page.goto(address)
            sizes = page.evaluate(_PAGE)
            charts = page.evaluate(_CHARTS)
            picture = page.screenshot(full_page=True)
        finally:
            context.close()
        page_file.with_suffix(f".{width}.{scheme}.png").write_bytes(picture)
        image = np.asarray(Image.open(BytesIO(picture)).convert("RGB"))
        return Look(charts, image, complaints, sizes["scroll"] > sizes["client"])


@pytest.fixture(scope="session")
def browser():
    """A Chromium for the whole session of tests."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        pytest.skip(f"no Chromium on this machine ({', '.join(NAMES)})")
    from playwright.sync_api import sync_playwright

    # Chromium refuses its sandbox to root, who runs continuous integration.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=arguments)
        yield Browser(chromium)
        chromium.close()


def assert_is_fine(look: Look, num_charts: int) -> None:
    """No complaint, every chart with marks and whole texts, and a picture of something.

    Args:
        look: From ``Browser.look``.
        num_charts: That the page must have.
    """
    assert look.complaints == []
    assert not look.is_too_wide
    assert len(look.charts) == num_charts, [chart["label"] for chart in look.charts]
    for chart in look.charts:
        assert chart["marks"] > 0, chart
        assert chart["titled"] > 0, chart
        assert chart["texts"] > 1, chart
        assert chart["cut"] == [], chart
        assert chart["clash"] == [], chart
    # A blank page has one colour; text and charts change at least one pixel in a hundred.
    paper = look.image[0, 0]
    assert (look.image != paper).any(axis=2).mean() > 0.01
