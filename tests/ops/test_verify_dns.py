"""Records, health checks and their states: each error is named."""

from copy import deepcopy
from datetime import UTC, datetime

import pytest
from fake_environment import EAST, NAME, OUTPUTS, WEST, Canned, environment

from ops.http_client import DnsAnswer, Response
from ops.verify.dns import answers, records
from ops.verify.finding import Outcome
from ops.verify.health_checks import checkers, evacuation, target
from ops.verify.health_checks import record as record_check
from ops.verify.health_states import HealthState, health_states, regions_to_serve, state

pytestmark = pytest.mark.unit


def record(kind, role, region):
    return {
        "Name": f"{NAME}.",
        "Type": kind,
        "SetIdentifier": role,
        "Failover": role.upper(),
        "AliasTarget": {
            "HostedZoneId": "Z2",
            "DNSName": f"{OUTPUTS['domain_targets'][region]}.",
            "EvaluateTargetHealth": True,
        },
        "HealthCheckId": OUTPUTS["health_check_ids"][region],
    }


RECORDS = [
    record(kind, role, region)
    for kind in ("A", "AAAA")
    for role, region in (("primary", EAST), ("secondary", WEST))
]


def check_records(found):
    route53 = Canned(list_resource_record_sets={"ResourceRecordSets": found})
    return records.run(environment({("route53", EAST): route53}))


def failures(findings):
    return {f.subject: f.found for f in findings if f.outcome is not Outcome.PASSED}


def test_the_records_of_the_stack_pass():
    other = {"Name": "www.example.com.", "Type": "A", "TTL": 1}

    findings = check_records([*RECORDS, other])

    assert not failures(findings)
    assert len(findings) == 4


def test_a_missing_record_is_named():
    without = [r for r in RECORDS if (r["Type"], r["SetIdentifier"]) != ("A", "secondary")]

    assert failures(check_records(without)) == {
        f"{NAME} A secondary": "the record does not exist: DNS cannot route to us-west-2"
    }


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"Failover": "SECONDARY"}, "its role is SECONDARY, not PRIMARY"),
        ({"HealthCheckId": None}, "its health check is none, not calculated"),
        ({"HealthCheckId": "endpoint-east"}, "its health check is endpoint-east, not calculated"),
        ({"AliasTarget": None}, f"it is not an alias of {OUTPUTS['domain_targets'][EAST]}"),
        (
            {"AliasTarget": {"DNSName": "elsewhere.", "EvaluateTargetHealth": True}},
            f"it points to elsewhere., not to {OUTPUTS['domain_targets'][EAST]}",
        ),
        (
            {"AliasTarget": {"DNSName": OUTPUTS["domain_targets"][EAST].upper()}},
            "it does not evaluate the health of its target",
        ),
    ],
)
def test_a_wrong_record_is_named(change, found):
    changed = [RECORDS[0] | change, *RECORDS[1:]]

    assert failures(check_records(changed)) == {f"{NAME} A primary": found}


def test_a_record_that_is_not_part_of_the_stack_is_named():
    stranger = RECORDS[0] | {"SetIdentifier": "by hand"}

    (finding,) = failures(check_records([*RECORDS, stranger])).items()

    assert finding[0] == f"{NAME} A by hand"
    assert "Route 53 may answer with it" in finding[1]


def test_latency_records_are_identified_by_their_region():
    by_latency = environment(
        {
            ("route53", EAST): Canned(
                list_resource_record_sets={
                    "ResourceRecordSets": [
                        {k: v for k, v in record(kind, "x", region).items() if k != "Failover"}
                        | {"SetIdentifier": region, "Region": region}
                        for kind in ("A", "AAAA")
                        for region in (EAST, WEST)
                    ]
                }
            )
        },
        outputs={"routing_policy": "latency", "evacuation": None},
    )

    assert not failures(records.run(by_latency))


def endpoint(host, path, **more):
    return {
        "Type": "HTTPS", "Port": 443, "FullyQualifiedDomainName": host, "ResourcePath": path,
        "EnableSNI": True, **more,
    }  # fmt: skip


CONFIGS = {
    "endpoint-east": endpoint(f"east.execute-api.{EAST}.amazonaws.com", "/v1/health"),
    "endpoint-west": endpoint(f"west.execute-api.{WEST}.amazonaws.com", "/v1/health"),
    "evacuation-east": endpoint(
        f"west.execute-api.{WEST}.amazonaws.com", f"/v1/health/evacuations/{EAST}", Inverted=True
    ),
    "evacuation-west": endpoint(
        f"east.execute-api.{EAST}.amazonaws.com", f"/v1/health/evacuations/{WEST}", Inverted=True
    ),
    "calculated": {
        "Type": "CALCULATED", "ChildHealthChecks": ["evacuation-east", "endpoint-east"],
        "HealthThreshold": 2,
    },
    "calculated-west": {
        "Type": "CALCULATED", "ChildHealthChecks": ["evacuation-west", "endpoint-west"],
        "HealthThreshold": 2,
    },
}  # fmt: skip


QUESTIONS = (f"evacuation of {EAST} in {WEST}", f"evacuation of {WEST} in {EAST}")


def with_configs(changes=None):
    configs = deepcopy(CONFIGS)
    for id, change in (changes or {}).items():
        configs[id] |= change

    def get_health_check(HealthCheckId):  # noqa: N803
        return {"HealthCheck": {"HealthCheckConfig": configs[HealthCheckId]}}

    return environment({("route53", EAST): Canned(get_health_check=get_health_check)})


def test_the_health_checks_of_the_stack_pass():
    assert not failures(target.run(with_configs()))
    assert not failures(evacuation.run(with_configs()))
    assert not failures(record_check.run(with_configs()))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"FullyQualifiedDomainName": "example.org"}, "it calls the host example.org, not west."),
        (
            {"FullyQualifiedDomainName": OUTPUTS["domain_targets"][WEST]},
            "which returns 403 to every health check",
        ),
        ({"ResourcePath": "/v1"}, "it calls the path /v1, not /v1/health"),
        ({"EnableSNI": False}, "does not send the host name in TLS"),
        ({"Disabled": True}, "so always counts as healthy"),
        ({"Inverted": True}, "a healthy Region counts as unhealthy"),
        ({"Type": "HTTP", "Port": 80}, "it is HTTP on port 80, not HTTPS"),
        ({"IPAddress": "192.0.2.1"}, "it is fixed to the address 192.0.2.1"),
    ],
)
def test_a_health_check_that_calls_something_else_is_named(change, found):
    (failure,) = failures(target.run(with_configs({"endpoint-west": change}))).items()

    assert failure[0] == WEST
    assert found in failure[1]


BROKEN_QUESTIONS = (
    ({"Inverted": False}, "it is not inverted: it takes {region} out while {observer} is lost"),
    ({"ResourcePath": "/v1/health"}, "not /v1/health/evacuations/{region}"),
    ({"FullyQualifiedDomainName": "example.org"}, "it calls the host example.org, not"),
    ({"Disabled": True}, "so always counts as healthy"),
    ({"Type": "HTTP", "Port": 80}, "it is HTTP on port 80, not HTTPS"),
)


@pytest.mark.parametrize("change", range(len(BROKEN_QUESTIONS)))
@pytest.mark.parametrize(("region", "observer"), [(EAST, WEST), (WEST, EAST)])
def test_a_check_that_asks_otherwise_for_an_evacuation_is_named(region, observer, change):
    changed, found = BROKEN_QUESTIONS[change]
    id = {EAST: "evacuation-east", WEST: "evacuation-west"}[region]

    (failure,) = failures(evacuation.run(with_configs({id: changed}))).items()

    assert failure[0] == f"evacuation of {region} in {observer}"
    assert found.format(region=region, observer=observer) in failure[1]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"HealthThreshold": 1}, "1 of 2 healthy children are enough for it"),
        ({"ChildHealthChecks": ["endpoint-{side}"]}, "it does not watch evacuation-{side}"),
        ({"ChildHealthChecks": ["evacuation-{side}"]}, "it does not watch endpoint-{side}"),
        ({"ChildHealthChecks": ["endpoint-{side}", "evacuation-{side}", "more"]},
         "it also watches more"),
        ({"Type": "HTTPS"}, "of type HTTPS, not CALCULATED"),
        ({"Inverted": True}, "a healthy Region counts as unhealthy"),
        ({"Disabled": True}, "so always counts as healthy"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("id", "region", "side"), [("calculated", EAST, "east"), ("calculated-west", WEST, "west")]
)
def test_a_record_that_an_evacuation_would_not_take_out_is_named(id, region, side, change, found):
    change = {
        name: [each.format(side=side) for each in value] if isinstance(value, list) else value
        for name, value in change.items()
    }

    (failure,) = failures(record_check.run(with_configs({id: change}))).items()

    assert failure[0] == region
    assert found.format(side=side) in failure[1]


CHECKERS = {
    id: {"Regions": ["us-west-2", "us-east-1", "eu-west-1"]}
    for id in CONFIGS
    if "calculated" not in id
}


@pytest.mark.parametrize(
    ("regions", "found"),
    [
        (CHECKERS["evacuation-east"]["Regions"], {}),
        (
            ["us-east-1", "eu-west-1"],
            {WEST: "only 2 Regions check it, and Route 53 requires 3; us-west-2 checks us-east-1"},
        ),
        (
            ["us-east-1", "eu-west-1", "sa-east-1", "us-west-2"],
            dict.fromkeys((EAST, *QUESTIONS), "sa-east-1 checks us-west-2 and not this"),
        ),
        ([], {WEST: "only 0 Regions check it"}),
    ],
)
def test_health_checks_are_called_from_the_same_three_regions_or_more(regions, found):
    failed = failures(
        checkers.run(with_configs(CHECKERS | {"endpoint-west": {"Regions": regions}}))
    )

    assert failed.keys() == found.keys()
    assert all(text in failed[subject] for subject, text in found.items())


def test_the_checker_regions_of_every_health_check_are_reported():
    found = {each.subject: each.found for each in checkers.run(with_configs(CHECKERS))}

    text = "called from 3 Regions: eu-west-1, us-east-1, us-west-2"
    assert found == dict.fromkeys((EAST, WEST, *QUESTIONS), text)


def observed(successes, failures):
    reports = ["Success: HTTP Status Code 200, OK"] * successes
    reports += ["Failure: HTTP Status Code 403"] * failures
    return {"HealthCheckObservations": [{"StatusReport": {"Status": each}} for each in reports]}


def with_states(observations, minimum=1.0):
    points = [] if minimum is None else [{"Timestamp": datetime.now(UTC), "Minimum": minimum}]
    return environment(
        {
            ("route53", EAST): Canned(get_health_check_status=observations),
            ("cloudwatch", EAST): Canned(get_metric_statistics={"Datapoints": points}),
        }
    )


@pytest.mark.parametrize(
    ("successes", "failures", "healthy"),
    [(16, 0, True), (3, 13, True), (2, 14, False), (0, 16, False), (0, 0, None)],
)
def test_an_endpoint_is_healthy_while_more_than_18_percent_of_its_checkers_report_it(
    successes, failures, healthy
):
    states = health_states(with_states(observed(successes, failures)))

    assert states["endpoint-east"].healthy is healthy
    if failures:
        assert states["endpoint-east"].found == (
            f"{successes} of {successes + failures} checkers healthy; Failure: HTTP Status Code 403"
        )


@pytest.mark.parametrize(("minimum", "healthy"), [(1.0, True), (0.0, False), (None, None)])
def test_a_check_without_checkers_is_read_from_cloudwatch(minimum, healthy):
    states = health_states(with_states(observed(1, 0), minimum))

    assert states["calculated"].healthy is healthy
    assert states["evacuation-west"].healthy is healthy


def test_an_unknown_health_state_is_not_a_failure():
    findings = state.run(with_states(observed(0, 16), None))

    assert [(f.subject, f.outcome) for f in findings] == [
        (EAST, Outcome.FAILED),
        (WEST, Outcome.FAILED),
        *((each, Outcome.UNKNOWN) for each in QUESTIONS),
        (f"{EAST}'s record", Outcome.UNKNOWN),
        (f"{WEST}'s record", Outcome.UNKNOWN),
    ]


@pytest.mark.parametrize(
    ("policy", "east", "west", "expected"),
    [
        ("failover", True, True, {EAST}),
        ("failover", True, False, {EAST}),
        ("failover", False, True, {WEST}),
        ("failover", False, False, {EAST}),
        ("failover", None, True, {EAST, WEST}),
        ("latency", True, True, {EAST, WEST}),
        ("latency", False, True, {WEST}),
        ("latency", False, False, {EAST, WEST}),
    ],
)
def test_dns_should_route_by_the_health_checks(policy, east, west, expected):
    states = {"calculated": HealthState(east, ""), "calculated-west": HealthState(west, "")}

    found = regions_to_serve(environment(outputs={"routing_policy": policy}), states)

    assert set(found) == expected


class FakeNetwork:
    """DNS answers by type, and the Region behind each address."""

    ipv6 = True

    def __init__(self, answers, regions):
        self.answers, self.regions = answers, regions

    def resolve(self, name, kind="A"):
        return self.answers.get(kind, DnsAnswer(error="NOERROR, no record"))

    def request(self, method, url, *, headers=None, address):
        region = self.regions.get(address)
        return Response(200 if region else None, region, error="" if region else "no route")


@pytest.mark.parametrize(
    ("served", "outcome"), [(EAST, Outcome.PASSED), (WEST, Outcome.FAILED), (None, Outcome.FAILED)]
)
def test_an_answer_is_attributed_to_the_region_that_serves_its_address(served, outcome):
    network = FakeNetwork({"A": DnsAnswer(("192.0.2.1",), 60)}, {"192.0.2.1": served})
    given = environment(dict(with_states(observed(16, 0)).clients), network=network)

    ipv4, _ = answers.run(given)

    assert ipv4.outcome is outcome


def test_ipv6_that_this_machine_cannot_reach_is_unknown():
    network = FakeNetwork(
        {"A": DnsAnswer(("192.0.2.1",), 60), "AAAA": DnsAnswer(("2001:db8::1",), 60)},
        {"192.0.2.1": EAST},
    )
    given = environment(dict(with_states(observed(16, 0)).clients), network=network)

    _, ipv6 = answers.run(given)

    assert ipv6.outcome is Outcome.UNKNOWN


def test_a_missing_answer_is_reported_with_the_error_of_the_servers():
    given = environment(dict(with_states(observed(16, 0)).clients), network=FakeNetwork({}, {}))

    assert set(failures(answers.run(given)).values()) == {"no answer: NOERROR, no record"}
