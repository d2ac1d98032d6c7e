"""The table of releases is generated, current, and has every release of the tests."""

import pytest
from releases import BAD, GOOD, found_by
from repository_files import REPOSITORY

from scripts import releases as table
from scripts.releases import Result

pytestmark = pytest.mark.unit


def test_the_page_is_current():
    assert table.main(["--check"]) == 0, f"run `{table.COMMAND}`"


def test_the_table_has_every_release():
    """Of one that is new, or has other words: run the tests with FAILOVER_WRITE_DOCS=1."""
    found = {each.release: each.fault for each in table.read().releases}

    assert found == {GOOD: ""} | {name: bad.fault for name, bad in BAD.items()}


def test_no_request_fails_and_no_fault_reaches_the_primary():
    for each in table.read().releases:
        bad = BAD.get(each.release)
        failed = each.failed_reads + each.failed_writes
        assert failed == 0
        assert min(each.reads, each.writes) > 20
        assert bool(each.found_by) == bool(bad)
        assert len(each.reached) == (1 if bad else 2)


@pytest.mark.parametrize("release", BAD)
def test_a_bad_release_changes_one_place_of_a_program_that_still_compiles(release):
    bad = BAD[release]
    text = (REPOSITORY / bad.file).read_text()

    assert text.count(bad.old) == 1
    compile(text.replace(bad.old, bad.new), bad.file, "exec")


def test_a_row_names_failed_requests_and_how_long_they_failed():
    result = Result(
        release="bad", fault="it fails", found_by="a check", found_after_seconds=1.26,
        rolled_back_after_seconds=30, reads=50, writes=51, failed_reads=3, failed_writes=2,
        failed_seconds=4.0, reached=["us-west-2"],
    )  # fmt: skip

    page = table.page(table.Results(bake_seconds=6, share=0.1, releases=[result]))

    assert "--bake-seconds 6 --share 10`" in page
    assert (
        "| **bad**: it fails | a check | 1.3 s | - | 30.0 s | 50 + 51 | 3 + 2, within 4.0 s, while "
        "the secondary served all customers | not touched |"
    ) in page


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (
            "while 10% of the requests go to new versions of 9 functions: 3 of 4 transactions "
            "failed, the last one: x",
            "transactions, with 10 % of the requests",
        ),
        (
            "while it served all customers: us-west-2 is slow: the median",
            "the median of the transactions, with all customers",
        ),
        ("region.url of us-west-2: health", "a check of `verify`, with all requests"),
    ],
)
def test_who_found_a_fault_is_read_from_the_reason(reason, words):
    assert found_by(reason) == words
