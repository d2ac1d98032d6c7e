"""The table of drills is generated, current, and has nothing but drills that passed."""

import pytest
from drills import DRILLS
from repository_files import REPOSITORY

from scripts import drills as table
from scripts.drills import Result

pytestmark = pytest.mark.unit


def test_the_page_is_current():
    assert table.main(["--check"]) == 0, f"run `{table.COMMAND}`"


def test_every_row_is_a_drill_of_the_suite_and_two_regions_have_all_of_them():
    """Of one that is missing: run tests/e2e/test_every_policy.py with FAILOVER_WRITE_DOCS=1."""
    rows, drills = {row.key for row in table.read()}, {*DRILLS}

    assert rows <= drills
    assert {key for key in rows if key[1] == 2} == {key for key in drills if key[1] == 2}


def test_no_acknowledged_write_was_lost_and_nobody_else_noticed():
    for each in table.read():
        assert each.lost_writes == 0
        assert each.others_failed == 0
        assert each.acknowledged > 10
        if each.fault == "switch":
            assert each.judged_by in ("cut_over", "nothing")
        if each.seconds is not None:
            assert each.seconds <= each.expected_seconds


def test_the_how_to_links_to_the_page():
    how_to = REPOSITORY / "docs" / "how-to" / "run-a-failover-drill.md"

    assert "../reference/drills.md" in how_to.read_text()


def test_a_row_names_who_served_and_how_long_it_took():
    row = Result(
        routing_policy="weighted", regions=3, fault="refuse", lost=[1, 2], judged_by="rto",
        expected_seconds=114.0, seconds=84.4, error_seconds=4.2, sent=100, failed=40,
        others_sent=0, others_failed=0, acknowledged=90, lost_writes=0, before=[1, 2, 3],
        after=[3], share=[0.75, 0.0, 0.74], speed=20.0,
    )  # fmt: skip

    page = table.page([row])

    assert "## Weighted routing, three Regions" in page
    assert (
        "| 1 + 2: refuse | 114 s | RTO 84 ± 4 s | 1 + 2 + 3, then 3; 75%, 0%, 74% | 40 of 100 | - "
        "| 0 of 90 |"
    ) in page
    assert "that ran 20 times as fast" in page
