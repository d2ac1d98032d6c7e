"""Each benchmark writes its own section of the report, and keeps those of the others."""

import pytest

from benchmarks.document import write_section

pytestmark = pytest.mark.unit


def test_a_section_replaces_the_one_with_its_heading_and_keeps_the_others(tmp_path):
    report = tmp_path / "benchmarks.md"
    write_section("# Synthesis\n\n## Programs\n\n| a |\n", report)
    write_section("# Functions\n\ntext\n", report)

    write_section("# Synthesis\n\nnew", report)

    assert report.read_text() == "# Synthesis\n\nnew\n\n# Functions\n\ntext\n"
