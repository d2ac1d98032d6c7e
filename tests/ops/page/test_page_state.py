"""What the page shows of what was found, and the sentence that says where a failover stands."""

import json
from dataclasses import asdict

import pytest

from ops.calls import DnsAnswer
from ops.edge.faults import Fault, InjectedFault
from ops.page.state import Broken, Check, Phase, gone, state
from ops.page.traffic import Interruption, Request, Traffic

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "us-west-2"
NOW = 1000.5
REFUSES = InjectedFault("f1", "", Fault(EAST, "refuse"))


def check(healthy, reason="3 of 3 checkers healthy"):
    return {"healthy": healthy, "reason": reason}


HEALTHY = {
    id: check(True) for id in ("east-record", "east-endpoint", "west-endpoint", "switch", "other")
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
        health=options.pop("health", HEALTHY),
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
    assert (shown.phase, shown.headline) == (Phase.WELL, f"{WEST} serves all customers.")


def test_a_region_shows_each_of_its_checks_once(api):
    east, west = seen(api).regions

    assert [check.name for check in east.checks] == ["endpoint", "record", "switch"]
    assert [check.name for check in west.checks] == ["endpoint"]


def test_a_check_that_is_not_reported_is_not_known(api):
    east, _ = seen(api, health={"east-endpoint": check(False, "0 of 3")}).regions

    assert east.checks[0] == Check("endpoint", False, "0 of 3")
    assert east.checks[1] == Check("record", None, "not known")


def test_a_stack_without_a_switch_shows_none(make_api):
    east, _ = seen(make_api(switch=None)).regions

    assert [check.name for check in east.checks] == ["endpoint", "record"]


def test_what_dns_answers_is_told_with_its_region(api):
    shown = seen(api, dns="127.0.1.2").dns

    assert (shown.name, shown.region, shown.address) == ("weather.example.com", WEST, "127.0.1.2")
    assert shown.ttl_seconds == 3


def test_no_answer_and_a_strange_one_have_no_region(api):
    nothing, strange = seen(api, dns="").dns, seen(api, dns="192.0.2.1").dns

    assert (nothing.region, nothing.error) == (None, "SERVFAIL, no A record")
    assert (strange.region, strange.address) == (None, "192.0.2.1")


def test_a_fault_is_told_with_whose_it_is(api):
    errors = InjectedFault("f2", "", Fault(EAST, "error", status=500))
    east, west = seen(api, faults=(REFUSES, errors), own=["f1"]).regions

    assert east.faults == (
        Broken("refuses connections", True), Broken("answers with status 500", False),
    )  # fmt: skip
    assert west.faults == ()


@pytest.mark.parametrize(
    ("found", "phase", "headline"),
    [
        ({"serving": None}, Phase.STARTING, "The first requests are on their way."),
        ({}, Phase.WELL, "us-east-1 serves all customers."),
        (
            {"faults": [REFUSES]},
            Phase.FAILING,
            "us-east-1 refuses connections: errors are on their way.",
        ),
        (
            {"faults": [REFUSES], "error": "Connection refused"},
            Phase.FAILING,
            "Customers get errors until DNS leads away from us-east-1.",
        ),
        ({"error": "timed out"}, Phase.FAILING, "Customers get errors: timed out"),
        (
            {
                "faults": [REFUSES],
                "serving": WEST,
                "interruption": Interruption(990.0, 8, 992.34),
            },
            Phase.OVER,
            "Failed over: us-west-2 serves, 2.3 s after the first error.",
        ),
        (
            {"faults": [REFUSES], "serving": WEST},
            Phase.OVER,
            "Failed over: us-west-2 serves.",
        ),
        (
            {"serving": WEST},
            Phase.OVER,
            "us-west-2 serves. us-east-1 gets its customers back once it counts as healthy.",
        ),
        (
            {"faults": [InjectedFault("f", "", Fault(WEST, "black_hole"))]},
            Phase.WELL,
            "us-east-1 serves all customers; us-west-2 could not take over.",
        ),
        (
            {
                "faults": [REFUSES, InjectedFault("f", "", Fault(WEST, "error"))],
                "error": "HTTP status 503",
            },
            Phase.FAILING,
            "Customers get errors: every Region is broken.",
        ),
    ],
)
def test_the_headline_says_where_a_failover_stands(api, found, phase, headline):
    shown = seen(api, **found)

    assert (shown.phase, shown.headline) == (phase, headline)


def test_a_stand_that_is_gone_says_why(api):
    shown = gone(NOW, "it does not run")

    assert (shown.phase, shown.problem, shown.regions) == (Phase.GONE, "it does not run", ())


def test_every_state_is_json(api):
    for shown in (seen(api, faults=[REFUSES]), gone(NOW, "")):
        assert json.loads(json.dumps(asdict(shown)))["phase"] == shown.phase
