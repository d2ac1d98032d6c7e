"""The state that the page shows, and its headline."""

import json
from dataclasses import asdict

import pytest

from ops.evacuation_item import Evacuation
from ops.fault_injection import CONTROL_KINDS, KINDS, REPLICATION_KINDS, Fault, InjectedFault
from ops.fence import FenceState
from ops.http_client import DnsAnswer
from sandbox.page.state import Check, FaultState, Phase, down, in_words, state
from sandbox.page.traffic import Interruption, Request, Traffic

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "us-west-2"
NOW = 1000.5
REFUSES = InjectedFault("f1", "", Fault(EAST, "refuse"))


def check(healthy, reason="3 of 3 checkers healthy"):
    return {"healthy": healthy, "reason": reason}


ASKED = ("asked-east", "asked-west")
HEALTHY = {
    "speed": 40.0,
    "health_checks": [
        {"id": id, **check(True)}
        for id in ("east-record", "west-record", "east-endpoint", "west-endpoint", *ASKED, "other")
    ],
}
EVACUATED = HEALTHY | {
    "health_checks": [
        {**each, "healthy": each["id"] != "asked-east"} for each in HEALTHY["health_checks"]
    ]
}


def seen(api, *, serving=EAST, error="", dns="127.0.1.1", faults=(), own=(), **options):
    traffic = Traffic()
    if serving or error:
        traffic.add(Request(NOW - 1, NOW - 0.9, not error, serving, error))
    figures = traffic.figures([EAST, WEST], NOW)
    if "interruption" in options:
        figures = type(figures)(**{**vars(figures), "interruption": options.pop("interruption")})
    return state(
        api,
        now=NOW,
        dns=DnsAnswer((dns,), 3) if dns else DnsAnswer(error="SERVFAIL, no A record"),
        report=options.pop("report", HEALTHY),
        faults=faults,
        own=own,
        figures=figures,
        **options,
    )


def test_the_regions_are_those_of_the_deployed_stack(api):
    east, west = seen(api).regions

    assert (east.name, east.role, east.address) == (EAST, "primary", "127.0.1.1")
    assert (west.name, west.role, west.address) == (WEST, "secondary", "127.0.1.2")


def test_where_dns_does_not_order_regions_none_is_primary(make_api):
    shown = seen(make_api(routing_policy="latency"), serving=WEST)

    assert {region.role for region in shown.regions} == {""}
    assert (shown.phase, shown.headline) == (Phase.HEALTHY, f"{WEST} serves all customers.")


def test_by_weight_no_region_serves_all_customers(make_api):
    weights = {EAST: 90, WEST: 10}
    shown = seen(make_api(routing_policy="weighted", weights=weights), serving=WEST)

    assert {region.role for region in shown.regions} == {""}
    assert (shown.phase, shown.headline) == (Phase.HEALTHY, f"{WEST} served the newest request.")


def test_a_region_shows_each_of_its_checks_once(api):
    east, west = seen(api).regions

    assert [check.name for check in east.checks] == ["endpoint", "record", "evacuation"]
    assert [check.name for check in west.checks] == ["endpoint", "record", "evacuation"]


def test_an_evacuation_that_one_observer_reports_is_shown(make_api):
    by_observer = {WEST: "asked-east", "eu-west-1": "asked-west"}
    asked = {"health_check_ids": {EAST: by_observer, WEST: by_observer}}
    api = make_api(evacuation=make_api().outputs.to_json()["evacuation"] | asked)

    def shown(**states):
        report = [
            {"id": f"asked-{name}", **check(healthy, name)} for name, healthy in states.items()
        ]
        return seen(api, report={"health_checks": report}).regions[0].checks[-1]

    assert shown(east=True, west=True).healthy is True
    assert shown(east=True, west=False) == Check("evacuation", False, "west")
    assert shown(east=False) == Check("evacuation", False, "east")
    assert shown(west=True) == Check("evacuation", None, "not known")


PAST, FUTURE = "2000-01-01T00:00:00+00:00", "2100-01-01T00:00:00+00:00"


@pytest.mark.parametrize(
    ("fence_after", "evacuated", "healthy", "reason"),
    [
        (PAST, True, False, f"writes are refused in {EAST} since {PAST}"),
        (FUTURE, True, True, f"writes will be refused in {EAST} from {FUTURE} on"),
        ("", True, True, ""),
        ("", False, True, ""),
    ],
)
def test_a_region_that_is_fenced_or_will_be_says_so(api, fence_after, evacuated, healthy, reason):
    item = Evacuation(EAST, evacuated=evacuated, fence_after=fence_after)

    east, west = seen(api, fences={EAST: FenceState(EAST, item)}).regions

    assert east.checks[-1] == Check("fence", healthy, reason)
    assert [each.name for each in west.checks] == ["endpoint", "record", "evacuation"]


def test_a_fence_that_cannot_be_read_is_not_known(api):
    east, _ = seen(api, fences={EAST: FenceState(EAST, None, "the table fails")}).regions

    assert east.checks[-1] == Check("fence", None, "not known")


def test_a_check_that_is_not_reported_is_not_known(api):
    east, _ = seen(
        api, report={"health_checks": [{"id": "east-endpoint", **check(False, "0 of 3")}]}
    ).regions

    assert east.checks[0] == Check("endpoint", False, "0 of 3")
    assert east.checks[1] == Check("record", None, "not known")


def test_a_stack_without_a_switch_shows_none(make_api):
    east, _ = seen(make_api(evacuation=None)).regions

    assert [check.name for check in east.checks] == ["endpoint"]


def test_an_answer_of_dns_is_shown_with_its_region(api):
    shown = seen(api, dns="127.0.1.2").dns

    assert (shown.name, shown.region, shown.address) == ("weather.example.com", WEST, "127.0.1.2")
    assert shown.ttl_seconds == 3


def test_no_answer_and_a_strange_one_have_no_region(api):
    nothing, strange = seen(api, dns="").dns, seen(api, dns="192.0.2.1").dns

    assert (nothing.region, nothing.error) == (None, "SERVFAIL, no A record")
    assert (strange.region, strange.address) == (None, "192.0.2.1")


def test_a_fault_is_shown_with_its_origin(api):
    errors = InjectedFault("f2", "", Fault(EAST, "error", status=500))
    east, west = seen(api, faults=(REFUSES, errors), own=["f1"]).regions

    assert east.faults == (
        FaultState("refuses connections", True), FaultState("responds with status 500", False),
    )  # fmt: skip
    assert west.faults == ()


@pytest.mark.parametrize(
    ("found", "phase", "headline"),
    [
        ({"serving": None}, Phase.STARTING, "Sending the first requests."),
        ({}, Phase.HEALTHY, "us-east-1 serves all customers."),
        (
            {"faults": [REFUSES]},
            Phase.FAILING,
            "us-east-1 refuses connections: customers are about to get errors.",
        ),
        (
            {"faults": [REFUSES], "error": "Connection refused"},
            Phase.FAILING,
            "Customers get errors until DNS fails over from us-east-1.",
        ),
        ({"error": "timed out"}, Phase.FAILING, "Customers get errors: timed out"),
        (
            {
                "faults": [REFUSES],
                "serving": WEST,
                "interruption": Interruption(990.0, 8, 992.34),
            },
            Phase.FAILED_OVER,
            "Failed over: us-west-2 serves, 2.3 s after the first error.",
        ),
        (
            {"faults": [REFUSES], "serving": WEST},
            Phase.FAILED_OVER,
            "Failed over: us-west-2 serves.",
        ),
        (
            {"serving": WEST},
            Phase.FAILED_OVER,
            "us-west-2 serves. DNS fails back to us-east-1 once it is healthy.",
        ),
        (
            {"serving": WEST, "report": EVACUATED},
            Phase.FAILED_OVER,
            "us-west-2 serves. us-east-1 is evacuated until it is restored: python -m ops switch "
            "restore us-east-1.",
        ),
        (
            {"faults": [InjectedFault("f", "", Fault(WEST, "black_hole"))]},
            Phase.HEALTHY,
            "us-east-1 serves all customers; us-west-2 cannot take over.",
        ),
        (
            {
                "faults": [REFUSES, InjectedFault("f", "", Fault(WEST, "error", status=503))],
                "error": "HTTP status 503",
            },
            Phase.FAILING,
            "Customers get errors: every Region has a fault.",
        ),
    ],
)
def test_the_headline_describes_the_failover(api, found, phase, headline):
    shown = seen(api, **found)

    assert (shown.phase, shown.headline) == (phase, headline)


def test_a_sandbox_that_is_down_is_shown_with_the_reason(api):
    shown = down(NOW, "it does not run")

    assert (shown.phase, shown.problem, shown.regions) == (Phase.DOWN, "it does not run", ())


def test_every_state_is_json(api):
    for shown in (seen(api, faults=[REFUSES]), down(NOW, "")):
        assert json.loads(json.dumps(asdict(shown)))["phase"] == shown.phase


def test_the_speed_is_the_one_that_health_checks_have_now(api):
    assert seen(api).speed == 40.0
    assert seen(api, report={}).speed == 20.0


@pytest.mark.parametrize("kind", [*KINDS, *REPLICATION_KINDS, *CONTROL_KINDS])
def test_every_kind_of_fault_has_words(kind):
    assert in_words(Fault(EAST, kind))
