"""The table of recovery times is generated, current, and has every profile."""

import pytest
from repository_files import REPOSITORY

from ops.drill.expectation import expect
from scripts import recovery_times as table
from scripts.recovery_times import PROFILES, Result

pytestmark = pytest.mark.unit

PROBE_SECONDS = 6


def test_the_page_is_current():
    assert table.main(["--check"]) == 0, f"run `{table.COMMAND}`"


def test_every_profile_was_measured_and_took_at_most_what_is_expected():
    """Of one that is new: run tests/e2e/test_recovery_time.py with FAILOVER_WRITE_DOCS=1."""
    results = table.read()

    assert [each.profile for each in results] == [profile.name for profile in PROFILES]
    for profile, result in zip(PROFILES, results, strict=True):
        expected = expect(
            interval_seconds=profile.interval_seconds,
            failure_threshold=profile.failure_threshold,
            ttl_seconds=profile.ttl_seconds,
            probe_seconds=PROBE_SECONDS,
        )
        assert result.expected_seconds == expected.seconds
        assert 0 < result.detection_seconds < result.rto_seconds <= result.expected_seconds
        assert 0 < result.failed_requests < result.requests
        assert result.retrying_seconds < result.rto_seconds


def test_the_example_and_the_page_of_profiles_have_the_same_ones():
    example = (REPOSITORY / "environments" / "example.toml").read_text()
    page = (REPOSITORY / "docs" / "how-to" / "recovery-time.md").read_text()
    for each in PROFILES:
        numbers = (each.interval_seconds, each.failure_threshold, each.ttl_seconds)
        outage = each.interval_seconds * each.failure_threshold + each.ttl_seconds
        rows = [line.lstrip("# ").split() for line in example.splitlines()]
        (row,) = [row for row in rows if row[:1] == [each.name] and row[1:2] and row[1].isdigit()]
        assert [*map(int, row[1:5])] == [*numbers, outage]
        assert f"| {each.name} | {' | '.join(map(str, numbers))} | {outage} s |" in page


def test_a_row_has_what_was_expected_and_what_was_measured():
    result = Result(
        profile="fastest", speed=2, expected_seconds=26, detection_seconds=11.2, rto_seconds=19.1,
        error_seconds=1.0, worst_rto_seconds=21.3, failed_requests=38, requests=212,
        retrying_seconds=1.14,
    )  # fmt: skip

    assert (
        "| **fastest** | 10 s | 1 | 10 s | 26 s | 11 s | **19 ± 1 s** | 21 s | 38 of 212 | 1.1 s "
        "| 2 |"
    ) in table.page([result])
