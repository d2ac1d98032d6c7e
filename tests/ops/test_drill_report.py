"""What a report says, and what makes a drill fail."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from fake_environment import environment

from ops.cli import drill as cli
from ops.cli import drill_screen
from ops.drill import history as histories
from ops.drill import report
from ops.drill.consistency import check
from ops.drill.durability import Durability, Finding
from ops.drill.events import DnsSeen, Events, HealthSeen, Mark, Request
from ops.drill.expectation import Pace, expect
from ops.drill.fencing import Fenced
from ops.drill.figures import course
from ops.drill.history import History, Operation, Seen
from ops.drill.measure import measure
from ops.drill.outcome import Limits, Outcome, basis, judge, not_exercised
from ops.drill.reconciliation import Reconciliation
from ops.drill.report import to_markdown
from ops.drill.scenario import scenario_of
from ops.drill.spending import KeyLimits, Spending
from ops.errors import ExitCode
from ops.verify import Verification

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "us-west-2"
LOSS = scenario_of("failover", (EAST, WEST), [EAST])


def request(at, region, status=200, kind="read"):
    return Request(kind, at, at + 0.1, status, region if status else None,
                   "127.0.0.1" if region == EAST else "127.0.0.2",
                   "" if status else "ConnectionRefusedError: no",
                   latency_seconds=0.1)  # fmt: skip


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


def measured(events, **more):
    return measure(
        events, LOSS, interval_seconds=0.25, **more,
    )  # fmt: skip


@pytest.fixture
def outcome():
    return Outcome(
        environment="local",
        scenario=LOSS,
        speed=20,
        fault="refuse",
        description="let us-east-1 refuse connections",
        limits=Limits(114, 0),
        started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        expectation=expect(
            interval_seconds=10, failure_threshold=3, ttl_seconds=60, probe_seconds=24
        ),
        pace=Pace.at_speed(20),
        events=EVENTS,
        measurements=measured(EVENTS),
        durability=Durability(acknowledged=8),
        customer="operator",
        selector="--environment local",
        finish="python -m ops drill --environment local --restore",
        restored=["cleared the fault"],
    )  # fmt: skip


def test_a_caching_resolver_is_named_on_the_screen_and_in_the_report(outcome, capsys):
    outcome.speed = 1
    answers = tuple(replace(seen, source="this machine's resolver") for seen in EVENTS.dns)
    outcome.events = replace(EVENTS, dns=answers)
    outcome.measurements = measured(outcome.events, ttl_seconds=60.0)
    # Between two lines of the terminal.
    expected = "DNS: as this machine's resolver answers: port 53 of the zone's name servers is"

    drill_screen.print_outcome(outcome, "Report: here")

    assert expected in capsys.readouterr().out
    assert expected in to_markdown(outcome)
    written = report.to_json(outcome)
    assert written["dns_source"] == "this machine's resolver"
    assert any(expected in line and "60 s" in line for line in written["basis"])
    assert written["measurements"]["cut_over"]["aws_error_seconds"] > 60
    # AND a limit within that error is called chance
    outcome.limits = Limits(50.0)
    assert any("either verdict may be chance" in line for line in basis(outcome))


def test_the_zones_own_answers_need_no_word(outcome):
    assert report.to_json(outcome)["dns_source"] is None
    assert not any(line.startswith("DNS") for line in basis(outcome))


def test_the_share_of_the_customers_limits_is_in_the_report(outcome):
    outcome.spending = Spending(
        "operator", 300,
        (KeyLimits(EAST, 50.0, 1000, "DAY", 900), KeyLimits(WEST, None, None, "", None)),
    )  # fmt: skip

    east, west = report.to_json(outcome)["spending"]["regions"]

    # 8 reads, 4 a second, after the restore; what failed may have been counted by either Region.
    assert (east["reads"], east["peak_per_second"]) == (16, 4)
    assert east["rate_share"] == 4 / 50
    assert east["quota_share"] == 16 / 1000
    assert (west["reads"], west["rate_share"], west["quota_share"]) == (20, None, None)
    text = to_markdown(outcome)
    assert "at most 300 requests in each Region" in text
    assert (
        "- us-east-1: at most 16 reads, and 4 in a second: 8 % of the 50 a second that its plan "
        "allows, 1.6 % of the quota of 1000 a day"
    ) in text
    assert "- us-west-2: at most 20 reads, and 4 in a second: no limit, no quota" in text


def test_limits_that_cannot_be_read_are_unknown_in_the_report(outcome):
    outcome.spending = Spending("operator", 300, (), "AccessDenied")

    assert report.to_json(outcome)["spending"]["unknown"] == "AccessDenied"
    assert "The customer's limits are unknown: AccessDenied" in to_markdown(outcome)


LATENCY = scenario_of("latency", (EAST, WEST), [EAST])


def of_two_places(outcome, *west):
    """The same drill with latency routing, beside customers next to the other Region."""
    near_east = {"near": EAST}
    requests = (
        *(replace(each, **near_east) for each in EVENTS.requests),
        *(request(at / 2, WEST) for at in range(20)),
        *west,
    )
    requests = tuple(r if r.near else replace(r, near=WEST) for r in requests)
    dns = tuple(replace(seen, **near_east) for seen in EVENTS.dns)
    outcome.scenario = LATENCY
    outcome.events = replace(
        EVENTS, requests=tuple(sorted(requests, key=lambda r: r.sent_at)), dns=dns
    )
    outcome.measurements = measure(outcome.events, LATENCY, interval_seconds=0.25)
    return outcome


def test_customers_of_each_place_are_reported_and_those_who_notice_fail_the_drill(outcome):
    assert judge(of_two_places(outcome)) == []
    found = report.to_json(outcome)
    assert found["lost"] == [EAST]
    assert [(each["near"], each["moves"]) for each in found["customers"]] == [
        (EAST, True), (WEST, False)
    ]  # fmt: skip
    text = to_markdown(outcome)
    assert f"| customers next to {EAST} | {EAST} 8 | {WEST} 8 | {EAST} 8 | 8 of 16 |" in text
    assert f"| customers next to {WEST} | {WEST} 4 | {WEST} 8 | {WEST} 8 | 0 of 8 |" in text

    elsewhere = request(5.1, EAST)
    failed = request(5.2, WEST, 503)

    assert judge(of_two_places(outcome, elsewhere, failed)) == [
        f"1 requests of customers next to {WEST} were served by another Region than {WEST}: the "
        f"loss of {EAST} must not move them",
        f"1 requests failed of customers whom no lost Region served: the loss of {EAST} must not "
        "reach them",
    ]


def test_dns_that_answers_nothing_fails_the_drill(outcome):
    outcome.events = replace(
        EVENTS, dns=(*EVENTS.dns, DnsSeen(5.0, (), None, error="NOERROR, no A record"))
    )
    outcome.measurements = measured(outcome.events)

    assert judge(outcome) == ["DNS answered 1 times without an address"]


def test_if_no_region_was_left_that_is_said_and_the_time_to_serve_again_is_judged(outcome):
    outcome.scenario = scenario_of("failover", (EAST, WEST), [EAST, WEST])
    outcome.measurements = measure(EVENTS, outcome.scenario, interval_seconds=0.25)

    assert report.to_json(outcome)["judged_by"] == "served_again"
    lines = basis(outcome)
    assert lines[0].startswith(
        "Time: from the restore until a Region served again, as none was left: "
    )
    assert any(line.startswith("No Region was left: requests failed until") for line in lines)
    outcome.limits = Limits(0.1)
    assert judge(outcome)[0].startswith("a Region served again only after ")


def test_if_nobody_was_to_move_no_time_is_judged_and_that_is_said(outcome):
    outcome.scenario = scenario_of("failover", (EAST, WEST), [WEST])
    served = tuple(request(at / 4, EAST) for at in range(40))
    outcome.events = replace(EVENTS, requests=served)
    outcome.measurements = measure(outcome.events, outcome.scenario, interval_seconds=0.25)

    assert judge(outcome) == []
    assert report.to_json(outcome)["judged_by"] == "nothing"
    lines = basis(outcome)
    assert lines[0] == f"Time: none: {WEST} served no customers, and nobody was to notice."
    assert any("RTO" in line and f"{WEST} served no customers." in line for line in lines)


def test_within_its_limits_a_drill_passes(outcome):
    assert judge(outcome) == []
    assert outcome.passed


def test_a_longer_rto_than_allowed_fails_in_seconds_on_aws(outcome):
    outcome.limits = Limits(40, 0)

    assert judge(outcome) == [
        "the RTO is 42.1 ± 7.0 s (scaled), more than the 40 s allowed"
    ]  # fmt: skip


# Customers served without a failure: by the primary until 300 s after the fault, then by the
# secondary.
SILENT = Events(
    requests=tuple(request(float(at), EAST if at < 310 else WEST) for at in range(330)),
    dns=tuple(DnsSeen(float(at), ("1",), EAST if at < 240 else WEST, 60) for at in range(330)),
    marks=(Mark(0.0, "started"), Mark(10.0, "injecting"), Mark(10.0, "injected")),
)


@pytest.fixture
def silent(outcome):
    """A drill on AWS whose fault makes no request fail, and whose cut-over took 300 s."""
    outcome.speed, outcome.fault, outcome.fails_requests = 1, "switch", False
    outcome.events = SILENT
    outcome.measurements = measure(
        SILENT, LOSS, interval_seconds=1.0,
        fails_requests=False,
    )  # fmt: skip
    return outcome


def test_a_fault_that_makes_no_request_fail_is_judged_by_the_cut_over(silent):
    silent.limits = Limits(60)

    assert judge(silent) == ["the cut-over took 300.1 ± 1.0 s, more than the 60 s allowed"]
    silent.limits = Limits(301)
    assert judge(silent) == []


def test_a_fault_that_makes_no_request_fail_shows_neither_rto_nor_lost_writes(silent):
    found = json.loads(json.dumps(report.to_json(silent)))

    assert found["judged_by"] == "cut_over"
    assert {"rto", "worst_rto", "error_window", "lost_writes", "replication_lag"} == set(
        found["not_exercised"]
    )
    assert found["measurements"]["rto"]["state"] == "not exercised"
    assert found["measurements"]["rto"]["aws_seconds"] is None
    text = to_markdown(silent)
    assert (
        "| RTO: first failed request to the first of several successes from a Region that is left "
        "| not exercised |  |" in text
    )
    assert "8 acknowledged, loss not exercised, 0 late, 0 wrong value, 0 duplicated" in text
    assert "- Not exercised: lost writes: us-east-1 kept serving and replicating" in text
    assert "- Time: cut-over, as no request failed because of the fault: 300.1 ± 1.0 s" in text


def test_a_write_that_is_lost_counts_whatever_the_fault(silent):
    silent.limits = Limits(400)
    silent.durability = Durability(8, found=(Finding("a", WEST, "lost"),))

    assert "lost_writes" not in not_exercised(silent)
    [finding] = judge(silent)
    assert finding.startswith("1 write is lost in us-west-2")


def test_detection_by_dns_is_labelled_as_such(silent):
    assert (
        "| Time to detection: fault to DNS change, as health checks cannot be seen | 230.0 ± 1.0 s"
        in to_markdown(silent)
    )


def test_no_acknowledged_write_shows_no_loss(outcome):
    outcome.durability = Durability(unknown=8)

    assert "lost_writes" in not_exercised(outcome)


def test_a_verdict_names_its_basis_and_that_the_limit_is_within_the_error(outcome):
    outcome.limits = Limits(40, 0)

    lines = basis(outcome)

    assert lines[0] == "Time: RTO: 42.1 ± 7.0 s (scaled), 40 s allowed."
    assert lines[1].startswith("The limit is within the error of the time")
    assert lines[2] == (
        "All customers: served by us-east-1 before, us-west-2 while lost, us-east-1 after; 8 of 16 "
        "requests failed in between."
    )
    assert lines[3].startswith("Writes: 8 of 8 acknowledged ones, read in every Region")
    assert lines[4].startswith("Not exercised: replication lag")
    outcome.limits = Limits(114)
    assert not any("within the error" in line for line in basis(outcome))


@pytest.mark.parametrize("state", ["lost", "wrong value", "duplicated"])
def test_a_write_that_is_not_as_it_was_acknowledged_fails_and_is_named(outcome, state):
    outcome.durability = Durability(8, found=(Finding("a", WEST, state), Finding("b", WEST, state)))

    [finding] = judge(outcome)

    assert finding.startswith(f"2 writes are {state} in us-west-2: ")
    assert "(a, b)" in finding
    outcome.limits = Limits(114, 2)
    assert len(judge(outcome)) == (state != "lost")


def test_a_late_write_is_reported_and_does_not_fail(outcome):
    outcome.durability = Durability(8, found=(Finding("a", WEST, "late", 5.5),))

    assert judge(outcome) == []
    assert "0 lost, 1 late by at most 5.5 s" in to_markdown(outcome)
    assert report.to_json(outcome)["writes"]["late_seconds"] == 5.5


def test_a_region_that_could_not_be_read_fails_and_has_lost_nothing(outcome):
    outcome.durability = Durability(
        8, found=(Finding("a", WEST, "uncounted"),), unread={WEST: "503"}
    )

    assert judge(outcome) == [
        "1 of 8 acknowledged writes could not be counted in us-west-2 (us-west-2: 503)"
    ]
    found = report.to_json(outcome)["writes"]
    assert (found["lost"], found["uncounted"]) == ([], [{"key": "a", "regions": [WEST]}])
    assert "- us-west-2 was not read at the end: 503" in to_markdown(outcome)


def test_json_holds_every_figure_twice_and_all_events(outcome):
    found = json.loads(json.dumps(report.to_json(outcome)))

    assert found["passed"] is True
    assert found["is_scaled"] is True
    assert found["measurements"]["rto"] == {
        "state": "measured",
        "aws_seconds": 42.1,
        "aws_error_seconds": 7.0,
        "here_seconds": 2.2,
        "here_error_seconds": 0.35,
    }
    assert found["measurements"]["detection"]["aws_seconds"] == 28.0
    assert found["customer"] == "operator"
    assert found["expectation"]["seconds"] == 114
    assert found["requests"]["read"] == {"sent": 28, "failed": 8}
    assert found["writes"]["lost"] == []
    assert len(found["events"]["requests"]) == 36
    assert "events" not in report.to_json(outcome, with_events=False)


def test_what_never_came_is_never(outcome):
    failed = tuple(r for r in EVENTS.requests if not r.ok)
    outcome.measurements = measured(Events(failed, marks=EVENTS.marks))

    rto = report.to_json(outcome)["measurements"]["rto"]
    assert (rto["state"], rto["aws_seconds"]) == ("never", None)
    assert "successes from a Region that is left | never |  |" in to_markdown(outcome)
    assert basis(outcome)[0] == "Time: us-west-2 never served."


def test_markdown_tells_people(outcome):
    outcome.findings = ["something is wrong"]

    text = to_markdown(outcome)

    assert text.startswith("# Failover drill: refuse, failed\n")
    assert "- **something is wrong**" in text
    assert "(timeline.png)" in text
    assert "| Measured | On AWS (estimate, scaled 20 times) | Here |" in text
    assert "successes from a Region that is left | 42.1 ± 7.0 s | 2.20 ± 0.35 s |" in text
    assert "limits of the customer operator" in text
    assert "- 8 times ConnectionRefusedError, no Region named" in text
    assert (
        "| +28.0 s | health check us-east-1 record: unhealthy (0 of 3 checkers healthy) |" in text
    )
    assert "| +30.0 s | DNS resolves to us-west-2 |" in text


def test_the_course_is_in_order(outcome):
    times = [at for at, _ in course(outcome)]

    assert times == sorted(times)
    assert (0.0, "drill: injecting") in course(outcome)


def test_an_interrupted_drill_has_not_passed(outcome):
    outcome.interrupted = True

    assert not outcome.passed
    assert outcome.verdict == "interrupted"


def test_what_could_not_be_restored_fails_the_drill_and_names_the_command(outcome):
    outcome.left = ["us-east-1 does not delete"]

    assert not outcome.passed
    assert outcome.verdict == "failed"
    assert report.to_json(outcome)["left"] == ["us-east-1 does not delete"]
    assert "python -m ops drill --environment local --restore" in to_markdown(outcome)
    outcome.interrupted = True
    assert outcome.verdict == "failed"


def test_a_report_is_three_files_in_a_folder_of_its_own(outcome, tmp_path):
    place = report.write(tmp_path, outcome)

    assert place == tmp_path / "local-20260102T030405Z"
    assert sorted(path.name for path in place.iterdir()) == [
        "report.json", "report.md", "timeline.png",
    ]  # fmt: skip
    assert (place / "timeline.png").read_bytes().startswith(b"\x89PNG")


def test_a_third_region_that_served_has_a_row_of_its_own(outcome, tmp_path):
    served = replace(outcome.events.requests[0], region="eu-west-1")
    outcome.events = replace(outcome.events, requests=[*outcome.events.requests, served])

    with_third = report.write(tmp_path, outcome) / "timeline.png"

    assert with_third.read_bytes().startswith(b"\x89PNG")


def test_a_drill_in_which_nothing_happened_is_reported_too(outcome, tmp_path):
    outcome.events, outcome.measurements = Events(), None

    assert (report.write(tmp_path, outcome) / "timeline.png").exists()


def test_an_outcome_is_printed_though_its_report_cannot_be_written(
    outcome, monkeypatch, tmp_path, capsys
):
    class EndedDrill(SimpleNamespace):
        run = staticmethod(lambda: outcome)

    def unwritable(*_):
        raise PermissionError(13, "Permission denied")

    for name, value in {
        "_chosen": lambda *_: ((None,), SimpleNamespace(seconds=1)),
        "verify": lambda _: Verification("local", "", 0.0, ()),
        "leave_record": lambda *_, **__: (None, "the bucket refuses"),
        "require_lifetime": lambda *_: None,
        "longest_seconds": lambda *_: 0,
        "longest_restore_seconds": lambda _: 0,
        "Drill": lambda *_, **__: EndedDrill(),
    }.items():
        monkeypatch.setattr(cli, name, value)
    monkeypatch.setattr(cli.report, "write", unwritable)
    options = SimpleNamespace(
        max_rto_seconds=None, max_lost_writes=0, report_folder=tmp_path, reconcile=False
    )

    lock = SimpleNamespace(run="drill-1")
    code = cli._at_speed(environment(), options, lock, None, None, None)

    printed = " ".join(capsys.readouterr().out.split())
    assert code == ExitCode.PREREQUISITE
    assert code.members["passed"] is True
    assert "Permission denied" in code.members["report_error"]
    assert "The drill passed" in printed
    assert "No report was written: PermissionError" in printed
    assert "No record was left: the bucket refuses" in printed
    assert code.members["record_error"] == "the bucket refuses"


def test_the_history_is_written_beside_the_report_and_gets_the_same_verdict(outcome, tmp_path):
    lost = Operation("customers", "put", "a", 1.5, 1.0, 1.1, "acknowledged", EAST, 201)
    outcome.history = History(
        "local", "2026-01-02T03:04:05+00:00", "region-loss", (EAST, WEST), (EAST,), (WEST,),
        (EAST,), (EAST,), 20.0, 30.0, operations=(lost,), marks={"injecting": 1.2, "cut-over": 2.2},
        readings=(Seen(WEST, 2.3, 2.3, {}), Seen(WEST, 40.0, 40.1, {}), Seen(EAST, 41.0, 41.1, {})),
    )  # fmt: skip
    outcome.consistency = check(outcome.history)
    outcome.isolates, outcome.held_back = True, 1

    place = report.write(tmp_path, outcome)

    found, verdict = histories.read(place / "history.jsonl")
    assert (found, verdict["lost"]) == (outcome.history, 1)
    written = json.loads((place / "report.json").read_text())
    assert written["consistency"] == verdict
    assert written["held_back"] == 1
    text = (place / "report.md").read_text()
    assert "RPO: at the cut-over, us-west-2 lacked 1 acknowledged write: 0.0 s of writes" in text
    assert "the oldest acknowledged 22.0 s before the cut-over" in text
    assert "1 writes had not left the lost Regions" in text
    assert "replication_lag" not in written["not_exercised"]
    assert any("of all writes, 1 write is lost" in finding for finding in judge(outcome))


def test_a_report_says_what_was_replayed_and_what_is_left(outcome, capsys):
    history = History(
        environment="local", started="now", fault="region-loss", regions=(EAST, WEST), lost=(EAST,),
        taking_over=(WEST,), isolated=(), discarded=(), speed=1.0, lost_after_seconds=30.0,
    )  # fmt: skip
    outcome.reconciliation = Reconciliation(
        4, 2, {"missing": 4, "overwritten": 2}, 4, after=check(history)
    )

    drill_screen.print_outcome(outcome, "Report: here")

    expected = [
        "Before reconciliation: 4 lost, 2 overwritten; the replicas and their streams show 4 "
        "missing, 2 overwritten.",
        "Replayed: 4.",
        "After reconciliation: none.",
    ]
    printed, markdown = capsys.readouterr().out, to_markdown(outcome)
    for line in expected:
        assert line in printed
        assert f"- {line}" in markdown
    assert any("what was lost before it counts against the 0 allowed" in b for b in basis(outcome))
    written = json.loads(json.dumps(report.to_json(outcome)))["reconciliation"]
    assert {name: written[name] for name in ("lost", "overwritten", "replayed", "left")} == {
        "lost": 4, "overwritten": 2, "replayed": 4, "left": 0,
    }  # fmt: skip
    assert not judge(outcome)


def test_a_reconciliation_after_which_nobody_looked_has_not_passed(outcome):
    outcome.reconciliation = Reconciliation(4, 0, replayed=4)

    assert judge(outcome) == ["the Regions were not read after the reconciliation"]
    assert report.to_json(outcome)["reconciliation"]["left"] is None
    assert "After reconciliation: not known." in to_markdown(outcome)


def test_a_report_says_what_a_fenced_region_took_and_refused(outcome, capsys):
    outcome.fence = Fenced((EAST,), (f"writes are refused in {EAST} since now",), 2, 0, 7)

    drill_screen.print_outcome(outcome, "Report: here")

    printed, markdown = capsys.readouterr().out, to_markdown(outcome)
    for line in (
        "Fence: writes are refused in us-east-1 since now.",
        "After the cut-over, us-east-1 acknowledged 2 writes and refused 7.",
    ):
        assert line in printed
        assert f"- {line}" in markdown
    assert json.loads(json.dumps(report.to_json(outcome)))["fence"]["refused"] == 7
    assert not judge(outcome)
    outcome.fence = Fenced((EAST,))
    assert judge(outcome) == ["no write was refused in us-east-1, which was fenced"]
