"""The page of an artifact: a file of its own, or the artifact's."""

from pathlib import Path

from octavo.compiler.cli.output_file import write_output_file
from octavo.compiler.report.comparison import Comparison
from octavo.compiler.report.records import Report

REPORT = "report.html"  # inside an artifact


def write_page(
    facts: Report, artifact: Path, path: Path, comparison: Comparison | None = None
) -> None:
    """Write a report as HTML.

    Args:
        facts: What it shows.
        artifact: The artifact that it is about.
        path: Where it goes; the artifact's own page stays one of its listed files.
        comparison: Of its latencies with earlier ones.
    """
    from octavo.compiler.artifact.manifest import add_artifact_file
    from octavo.compiler.report.page import render_page

    page = render_page(facts, comparison).encode()
    if path.resolve() == artifact.resolve() / REPORT:
        add_artifact_file(artifact, REPORT, page)  # the manifest lists it with its checksum
    else:
        write_output_file(path, page)
