"""What a report says, and what makes a drill fail."""

import json
from datetime import UTC, datetime

import pytest

from ops.drill import report
from ops.drill.events import DnsSeen, Events, HealthSeen, Mark, Request
from ops.drill.expectation import expect
from ops.drill.ledger import Durability, Look
from ops.drill.markdown import to_markdown
from ops.drill.measure import measure
from ops.drill.outcome import Limits, Outcome, Pace, judge
from ops.drill.summary import course, verdict

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "us-west-2"


def request(at, region, status=200, kind="read"):
    return Request(kind, at, at + 0.1, status, region if status else None,
                   "127.0.0.1" if region == EAST else "127.0.0.2",
                   "" if status else "ConnectionRefusedError: no")  # fmt: skip


EVENTS = Events(
    requests=(
        *(request(at / 4, EAST, kind="write") for at in range(8)),
        *(request(2.1 + at / 4, EAST, None) for at in range(8)),
        *(request(4.2 + at / 4, WEST) for at in range(12)),
        *(request(8.0 + at / 4, EAST) for at in range(8)),
    ),
    dns=(DnsSeen(0.0, ("127.0.0.1",), EAST, 3), DnsSeen(3.5, ("127.0.0.2",), WEST, 3)),
    health=(
        HealthSeen(0.0, "us-east-1 record", True),
        HealthSeen(3.4, "us-east-1 record", False, "0 of 3 checkers healthy"),
    ),
    marks=(
        Mark(0.0, "started"), Mark(2.0, "injecting"), Mark(2.0, "injected"),
        Mark(6.0, "restoring"), Mark(6.1, "restored"), Mark(10.0, "ended"),
    ),
)  # fmt: skip


@pytest.fixture
def outcome():
    return Outcome(
        environment="local",
        primary=EAST,
        standby=WEST,
        speed=20,
        fault="refuse",
        broken="break the edge of us-east-1: refuse",
        limits=Limits(114, 0),
        started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        expectation=expect(
            interval_seconds=10, failure_threshold=3, ttl_seconds=60, probe_seconds=24
        ),
        pace=Pace.at_speed(20),
        events=EVENTS,
        measurements=measure(
            EVENTS, primary=EAST, standby=WEST, primary_check="us-east-1 record"
        ),
        durability=Durability(8, 0, Look(WEST, 8), (Look(EAST, 8), Look(WEST, 8))),
        restored=["mended the fault"],
    )  # fmt: skip


def test_within_its_limits_a_drill_passes(outcome):
    assert judge(outcome) == []
    assert outcome.passed


def test_a_longer_rto_than_allowed_fails_in_seconds_on_aws(outcome):
    outcome.limits = Limits(40, 0)

    assert judge(outcome) == ["the RTO is 44.0 s on AWS, more than the 40 s allowed"]


def test_a_lost_write_fails_and_is_named_with_the_region_that_misses_it(outcome):
    outcome.durability = Durability(
        8, 0, Look(WEST, 8), (Look(EAST, 8), Look(WEST, 8, missing=("a", "b")))
    )

    [finding] = judge(outcome)

    assert finding.startswith("2 of 8 acknowledged writes are not in us-west-2: replication")
    assert "(a, b)" in finding
    outcome.limits = Limits(114, 2)
    assert judge(outcome) == []


def test_a_region_that_could_not_be_looked_at_fails(outcome):
    outcome.durability = Durability(8, 0, None, (Look(WEST, 8, error="503"),))

    assert judge(outcome) == ["the writes in us-west-2 could not be counted: 503"]


def test_json_holds_every_figure_twice_and_all_events(outcome):
    found = json.loads(json.dumps(report.to_json(outcome)))

    assert found["passed"] is True
    assert found["measurements"]["rto"] == {"aws_seconds": 44.0, "here_seconds": 2.2}
    assert found["measurements"]["detection"]["aws_seconds"] == 28.0
    assert found["expectation"]["seconds"] == 114
    assert found["requests"]["read"] == {"sent": 28, "failed": 8}
    assert found["writes"]["lost"] == []
    assert len(found["events"]["requests"]) == 36
    assert "events" not in report.to_json(outcome, with_events=False)


def test_what_never_came_is_null(outcome):
    outcome.measurements = measure(
        Events(marks=EVENTS.marks), primary=EAST, standby=WEST, primary_check="x"
    )

    assert report.to_json(outcome)["measurements"]["rto"] is None
    assert "| never | never |" in to_markdown(outcome)


def test_markdown_tells_people(outcome):
    outcome.findings = ["something is wrong"]

    text = to_markdown(outcome)

    assert text.startswith("# Failover drill: refuse, failed\n")
    assert "- **something is wrong**" in text
    assert "(timeline.png)" in text
    assert "successes from the standby | 44.0 | 2.20 |" in text
    assert "- 8 times ConnectionRefusedError, no Region named" in text
    assert (
        "| +28.0 s | health check us-east-1 record: unhealthy (0 of 3 checkers healthy) |" in text
    )
    assert "| +30.0 s | DNS leads to us-west-2 |" in text


def test_the_course_is_in_order(outcome):
    times = [at for at, _ in course(outcome)]

    assert times == sorted(times)
    assert (0.0, "drill: injecting") in course(outcome)


def test_an_interrupted_drill_has_not_passed(outcome):
    outcome.interrupted = True

    assert not outcome.passed
    assert verdict(outcome) == "interrupted"


def test_a_report_is_three_files_in_a_folder_of_its_own(outcome, tmp_path):
    place = report.write(tmp_path, outcome)

    assert place == tmp_path / "local-20260102T030405Z"
    assert sorted(path.name for path in place.iterdir()) == [
        "report.json", "report.md", "timeline.png",
    ]  # fmt: skip
    assert (place / "timeline.png").read_bytes().startswith(b"\x89PNG")


def test_a_drill_in_which_nothing_happened_is_reported_too(outcome, tmp_path):
    outcome.events, outcome.measurements = Events(), None

    assert (report.write(tmp_path, outcome) / "timeline.png").exists()
