"""Records, health checks and what they say: each thing that can be wrong is named."""

from copy import deepcopy
from datetime import UTC, datetime

import pytest
from fake_environment import EAST, NAME, OUTPUTS, WEST, Canned, environment

from ops.calls import Answer, DnsAnswer
from ops.verification.answers import answers
from ops.verification.finding import Outcome
from ops.verification.health_checks import aim
from ops.verification.health_checks import switch as switch_check
from ops.verification.health_states import (
    HealthState,
    health_states,
    regions_to_serve,
    state,
)
from ops.verification.records import records

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


def look_at_records(found):
    route53 = Canned(list_resource_record_sets={"ResourceRecordSets": found})
    return records.run(environment({("route53", EAST): route53}))


def failures(findings):
    return {f.subject: f.found for f in findings if f.outcome is not Outcome.PASSED}


def test_the_records_of_the_stack_pass():
    other = {"Name": "www.example.com.", "Type": "A", "TTL": 1}

    findings = look_at_records([*RECORDS, other])

    assert not failures(findings)
    assert len(findings) == 4


def test_a_missing_record_is_named():
    without = [r for r in RECORDS if (r["Type"], r["SetIdentifier"]) != ("A", "secondary")]

    assert failures(look_at_records(without)) == {
        f"{NAME} A secondary": "there is no such record: DNS cannot lead to us-west-2"
    }


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"Failover": "SECONDARY"}, "its role is SECONDARY, not PRIMARY"),
        ({"HealthCheckId": None}, "its health check is none, not calculated"),
        ({"HealthCheckId": "endpoint-east"}, "its health check is endpoint-east, not calculated"),
        ({"AliasTarget": None}, f"it is no alias to {OUTPUTS['domain_targets'][EAST]}"),
        (
            {"AliasTarget": {"DNSName": "elsewhere.", "EvaluateTargetHealth": True}},
            f"it leads to elsewhere., not to {OUTPUTS['domain_targets'][EAST]}",
        ),
        (
            {"AliasTarget": {"DNSName": OUTPUTS["domain_targets"][EAST].upper()}},
            "it does not evaluate the health of its target",
        ),
    ],
)
def test_a_wrong_record_is_named(change, found):
    changed = [RECORDS[0] | change, *RECORDS[1:]]

    assert failures(look_at_records(changed)) == {f"{NAME} A primary": found}


def test_a_record_that_the_stack_does_not_know_is_named():
    stranger = RECORDS[0] | {"SetIdentifier": "by hand"}

    (finding,) = failures(look_at_records([*RECORDS, stranger])).items()

    assert finding[0] == f"{NAME} A by hand"
    assert "takes part in the answers" in finding[1]


def test_latency_records_are_known_by_their_region():
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
        outputs={"routing_policy": "latency", "switch": None},
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
    "switch": endpoint(
        f"west.execute-api.{WEST}.amazonaws.com", "/v1/health/switch", Inverted=True
    ),
    "calculated": {
        "Type": "CALCULATED", "ChildHealthChecks": ["switch", "endpoint-east"],
        "HealthThreshold": 2,
    },
}  # fmt: skip


def with_configs(changes=None):
    configs = deepcopy(CONFIGS)
    for id, change in (changes or {}).items():
        configs[id] |= change

    def get_health_check(HealthCheckId):  # noqa: N803
        return {"HealthCheck": {"HealthCheckConfig": configs[HealthCheckId]}}

    return environment({("route53", EAST): Canned(get_health_check=get_health_check)})


def test_the_health_checks_of_the_stack_pass():
    assert not failures(aim.run(with_configs()))
    assert not failures(switch_check.run(with_configs()))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"FullyQualifiedDomainName": "example.org"}, "it calls the host example.org, not west."),
        (
            {"FullyQualifiedDomainName": OUTPUTS["domain_targets"][WEST]},
            "which answers 403 to every health check",
        ),
        ({"ResourcePath": "/v1"}, "it calls the path /v1, not /v1/health"),
        ({"EnableSNI": False}, "does not send the host name in TLS"),
        ({"Disabled": True}, "counts as healthy for ever"),
        ({"Inverted": True}, "a healthy Region counts as unhealthy"),
        ({"Type": "HTTP", "Port": 80}, "it is HTTP on port 80, not HTTPS"),
        ({"IPAddress": "192.0.2.1"}, "it is tied to the address 192.0.2.1"),
        ({"Regions": ["us-east-1"]}, "only 1 Regions check it"),
    ],
)
def test_a_health_check_that_aims_elsewhere_is_named(change, found):
    (failure,) = failures(aim.run(with_configs({"endpoint-west": change}))).items()

    assert failure[0] == WEST
    assert found in failure[1]


@pytest.mark.parametrize(
    ("id", "change", "found"),
    [
        ("switch", {"Inverted": False}, "a standby that does not answer would take over"),
        ("switch", {"ResourcePath": "/v1/health"}, "not /v1/health/switch"),
        ("calculated", {"HealthThreshold": 1}, "1 of 2 healthy children are enough for it"),
        ("calculated", {"ChildHealthChecks": ["endpoint-east"]}, "it does not watch switch"),
        (
            "calculated",
            {"ChildHealthChecks": ["endpoint-east", "switch", "more"]},
            "it also watches more",
        ),
        ("calculated", {"Type": "HTTPS"}, "of type HTTPS, not CALCULATED"),
    ],
)
def test_a_switch_that_would_not_work_is_named(id, change, found):
    (failure,) = failures(switch_check.run(with_configs({id: change}))).values()

    assert found in failure


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
def test_an_endpoint_is_healthy_while_more_than_18_percent_of_its_observers_say_so(
    successes, failures, healthy
):
    states = health_states(with_states(observed(successes, failures)))

    assert states["endpoint-east"].healthy is healthy
    if failures:
        assert states["endpoint-east"].found == (
            f"{successes} of {successes + failures} checkers healthy; Failure: HTTP Status Code 403"
        )


@pytest.mark.parametrize(("minimum", "healthy"), [(1.0, True), (0.0, False), (None, None)])
def test_a_check_without_observers_is_read_from_cloudwatch(minimum, healthy):
    states = health_states(with_states(observed(1, 0), minimum))

    assert states["calculated"].healthy is healthy
    assert states["switch"].healthy is healthy


def test_states_are_findings_and_one_not_known_is_no_failure():
    findings = state.run(with_states(observed(0, 16), None))

    assert [(f.subject, f.outcome) for f in findings] == [
        (EAST, Outcome.FAILED),
        (WEST, Outcome.FAILED),
        ("switch", Outcome.UNKNOWN),
        ("primary's record", Outcome.UNKNOWN),
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
def test_dns_should_lead_where_the_health_checks_say(policy, east, west, expected):
    states = {"calculated": HealthState(east, ""), "endpoint-west": HealthState(west, "")}

    found = regions_to_serve(environment(outputs={"routing_policy": policy}), states)

    assert set(found) == expected


class FakeNetwork:
    """DNS answers by type, and the Region behind each address."""

    def __init__(self, answers, regions):
        self.answers, self.regions = answers, regions

    def resolve(self, name, kind="A"):
        return self.answers.get(kind, DnsAnswer(error="NOERROR, no record"))

    def request(self, method, url, *, headers=None, address):
        region = self.regions.get(address)
        return Answer(200 if region else None, region, error="" if region else "no route")


@pytest.mark.parametrize(
    ("served", "outcome"), [(EAST, Outcome.PASSED), (WEST, Outcome.FAILED), (None, Outcome.FAILED)]
)
def test_an_answer_leads_to_the_region_that_says_its_name(served, outcome):
    network = FakeNetwork({"A": DnsAnswer(("192.0.2.1",), 60)}, {"192.0.2.1": served})
    given = environment(dict(with_states(observed(16, 0)).clients), network=network)

    ipv4, _ = answers.run(given)

    assert ipv4.outcome is outcome


def test_ipv6_that_this_machine_cannot_reach_is_not_known():
    network = FakeNetwork(
        {"A": DnsAnswer(("192.0.2.1",), 60), "AAAA": DnsAnswer(("2001:db8::1",), 60)},
        {"192.0.2.1": EAST},
    )
    given = environment(dict(with_states(observed(16, 0)).clients), network=network)

    _, ipv6 = answers.run(given)

    assert ipv6.outcome is Outcome.UNKNOWN


def test_no_answer_says_what_the_servers_said():
    given = environment(dict(with_states(observed(16, 0)).clients), network=FakeNetwork({}, {}))

    assert set(failures(answers.run(given)).values()) == {"no answer: NOERROR, no record"}
