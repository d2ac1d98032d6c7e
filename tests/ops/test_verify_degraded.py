"""A degraded AWS, or a machine that cannot reach it: what is unknown is named, and no failure."""

import threading
from types import SimpleNamespace

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError
from fake_environment import EAST, WEST, Canned, environment

from ops import aws, verify
from ops.cli.verify import exit_code_of
from ops.errors import ExitCode, is_unreadable
from ops.http_client import Network, Response
from ops.name_servers import SYSTEM, DnsAnswer
from ops.verify import certificates, dns, health_states, reach, regions, table
from ops.verify.finding import Outcome, check, failed, passed, region_check

pytestmark = pytest.mark.unit

DEAD = EndpointConnectionError(endpoint_url="https://dead.example")
HEALTHY = {"HealthCheckObservations": [{"StatusReport": {"Status": "Success: 200"}}]}


def error(code, status=400):
    return ClientError(
        {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "Some",
    )


@check("slow.one")
def slow(_):
    yield passed("first", "done")
    threading.Event().wait(60)


@region_check("each.region")
def east_is_slow(_, region):
    if region == EAST:
        threading.Event().wait(60)
    yield passed(region, "done")


@check("bad.one")
def bad(_):
    yield failed("x", "bad", "fix it")


def test_what_has_not_ended_in_time_is_unknown_and_hides_nothing(monkeypatch):
    monkeypatch.setattr(verify, "TIMEOUT_SECONDS", 0.2)

    found = verify.verify(environment(), [slow, east_is_slow]).findings

    assert [(each.subject, each.outcome, each.unreadable) for each in found] == [
        ("first", Outcome.PASSED, False),
        ("production", Outcome.UNKNOWN, True),
        (EAST, Outcome.UNKNOWN, True),
        (WEST, Outcome.PASSED, False),
    ]
    assert {each.check for each in found} == {"slow.one", "each.region"}


def test_what_a_command_has_spent_already_is_part_of_its_time(monkeypatch):
    monkeypatch.setattr(verify, "TIMEOUT_SECONDS", 100.2)

    assert verify.verify(environment(), [slow], spent_seconds=100).unreadable


def test_replication_that_is_cut_short_names_what_it_may_have_left(monkeypatch):
    monkeypatch.setattr(verify, "TIMEOUT_SECONDS", 0.1)
    hanging = Canned(describe_table=lambda **_: threading.Event().wait(60))

    found = verify.verify(
        environment({("dynamodb", EAST): hanging, ("dynamodb", WEST): hanging}),
        [table.replication],
    ).findings

    assert all("an item that it wrote may be left" in each.found for each in found)


def test_the_exit_code_tells_a_failure_from_what_is_unknown():
    blind = region_check("x")(lambda environment, _: environment.client("sts", EAST).nothing())
    given = environment({("sts", EAST): DEAD})

    assert exit_code_of(verify.verify(given, [bad])) is ExitCode.CHECK_FAILED
    assert exit_code_of(verify.verify(given, [blind])) is ExitCode.PREREQUISITE
    assert exit_code_of(verify.verify(given, [blind, bad])) is ExitCode.CHECK_FAILED
    assert exit_code_of(verify.verify(given, [])) is ExitCode.PASSED


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (error("ThrottlingException"), True),
        (error("TooManyRequestsException", 429), True),
        (error("AccessDenied", 403), True),
        (error("ExpiredToken"), True),
        (error("InternalServerError", 500), True),
        (error("ResourceNotFoundException"), False),
        (error("NoSuchHealthCheck", 404), False),
        (DEAD, True),
        (KeyError("Table"), False),
    ],
    ids=lambda value: getattr(value, "response", {}).get("Error", {}).get("Code", str(value)),
)
def test_what_cannot_be_read_is_told_from_what_is_not_there(reason, expected):
    assert is_unreadable(reason) is expected


def with_health(cloudwatch):
    route53 = Canned(get_health_check_status=HEALTHY)
    return {("route53", EAST): route53, ("cloudwatch", EAST): cloudwatch}


def test_without_cloudwatch_only_its_health_checks_are_unknown():
    findings = health_states.state.run(environment(with_health(Canned(get_metric_statistics=DEAD))))

    assert {each.subject: each.outcome for each in findings} == {
        EAST: Outcome.PASSED,
        WEST: Outcome.PASSED,
        f"evacuation of {EAST} in {WEST}": Outcome.UNKNOWN,
        f"evacuation of {WEST} in {EAST}": Outcome.UNKNOWN,
        f"{EAST}'s record": Outcome.UNKNOWN,
        f"{WEST}'s record": Outcome.UNKNOWN,
    }
    assert all(each.unreadable for each in findings if each.outcome is Outcome.UNKNOWN)


class Net(Network):
    """DNS that gives one answer, and Regions that respond or cannot be reached."""

    def __init__(self, answer=None, *, reachable=()):
        super().__init__(None, "example.com", name_servers=("ns.example.org",))
        object.__setattr__(self, "answer", answer)
        object.__setattr__(self, "reachable", reachable)

    def resolve(self, name, kind="A"):
        return self.answer

    def address_of(self, host):
        return host, 443

    def request(self, method, url, *, headers=None, address=None, **_):
        for region in self.reachable:
            if region in address or address == f"192.0.2.{1 + (region == WEST)}":
                return Response(200, region)
        return Response(None, error="timed out", unreachable=True)


def answered(answer, *, reachable=(EAST, WEST), cloudwatch=None):
    points = {"Datapoints": [{"Timestamp": FIXED, "Minimum": 1.0}]}
    clients = with_health(cloudwatch or Canned(get_metric_statistics=points))
    return dns.answers.run(environment(clients, network=Net(answer, reachable=reachable)))


FIXED = SimpleNamespace(isoformat=lambda **_: "2026-01-01T00:00Z")
AT_EAST = DnsAnswer(("192.0.2.1",), 60)
AT_WEST = DnsAnswer(("192.0.2.2",), 60)


def test_where_dns_points_is_reported_even_if_it_is_unknown_where_it_should():
    ipv4, _ = answered(AT_WEST, cloudwatch=Canned(get_metric_statistics=DEAD))

    assert ipv4.outcome is Outcome.UNKNOWN
    assert f"resolves to 192.0.2.2, TTL 60 s: {WEST}; whether it should is not known" in ipv4.found


def test_an_answer_of_the_systems_resolver_is_labelled_and_fails_nothing():
    at_east, _ = answered(DnsAnswer(("192.0.2.1",), source=SYSTEM))
    at_west, _ = answered(DnsAnswer(("192.0.2.2",), source=SYSTEM))

    assert at_east.outcome is Outcome.PASSED
    assert SYSTEM in at_east.found
    assert at_west.outcome is Outcome.UNKNOWN
    assert at_west.unreadable
    assert "UDP port 53" in at_west.fix
    assert answered(AT_WEST)[0].outcome is Outcome.FAILED


def test_dns_that_nobody_can_be_asked_for_is_unknown_and_no_answer_a_failure():
    blocked, _ = answered(DnsAnswer(error="timed out", is_known=False))
    empty, _ = answered(DnsAnswer(error="NXDOMAIN, no A record"))

    assert blocked.outcome is Outcome.UNKNOWN
    assert blocked.unreadable
    assert empty.outcome is Outcome.FAILED


@pytest.mark.parametrize("checked", [regions.url, regions.domain], ids=lambda c: c.id)
@pytest.mark.parametrize(
    ("reachable", "outcome"), [((WEST,), Outcome.FAILED), ((), Outcome.UNKNOWN)]
)
def test_a_region_fails_only_where_another_one_can_be_reached(checked, reachable, outcome):
    east, west = checked.run(environment(network=Net(reachable=reachable)))

    assert east.outcome is outcome
    assert west.outcome is (Outcome.PASSED if reachable else Outcome.UNKNOWN)
    if outcome is Outcome.UNKNOWN:
        assert "no Region can be reached from this machine" in east.found
        assert east.fix == reach.FIX


@pytest.mark.parametrize(
    ("reachable", "outcome"), [((WEST,), Outcome.FAILED), ((), Outcome.UNKNOWN)]
)
def test_a_certificate_that_cannot_be_seen_is_no_bad_one(monkeypatch, reachable, outcome):
    def refused(*_):
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr("socket.create_connection", refused)

    east, _ = certificates.served.run(environment(network=Net(reachable=reachable)))

    assert east.outcome is outcome
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    east, _ = certificates.served.run(environment(network=Net(reachable=(WEST,))))
    assert east.outcome is Outcome.UNKNOWN


def test_used_up_limits_say_nothing_of_the_key(monkeypatch):
    monkeypatch.setattr(
        regions, "routes_of", lambda *_: {"GET /x": regions.Route("GET", "/x", True, None)}
    )
    network = Net()
    object.__setattr__(network, "request", lambda *_, **__: Response(429))

    east, _ = regions.api_key.run(environment(network=network))

    assert east.outcome is Outcome.UNKNOWN
    assert "--customer" in east.fix


class Table:
    """A replica that takes items, and whose delete fails as the test says."""

    def __init__(self, put=None, delete=None):
        self.put, self.delete, self.items = put, delete, []

    def describe_table(self, **_):
        schema = [
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sk", "KeyType": "RANGE"},
        ]
        return {"Table": {"KeySchema": schema}}

    def put_item(self, **request):
        if self.put:
            raise self.put
        self.items.append(request["Item"])

    def get_item(self, **request):
        return {"Item": request["Key"]}

    def delete_item(self, **request):
        if self.delete:
            raise self.delete
        self.items = [item for item in self.items if item != request["Key"]]


def replicated(east, west=None):
    clients = {("dynamodb", EAST): east, ("dynamodb", WEST): west or Table()}
    return table.replication.run(environment(clients))


def test_an_item_that_cannot_be_removed_is_a_failure_with_the_command_that_removes_it():
    east, west = replicated(Table(delete=error("InternalServerError", 500)))

    assert east.outcome is Outcome.FAILED
    assert "may be left" in east.found
    assert east.fix.startswith(f"aws dynamodb delete-item --region {EAST} --table-name arn:aws:")
    assert '"sk": {"S": "verify#us-east-1#' in east.fix
    assert west.outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("put", "outcome"),
    [
        (DEAD, Outcome.UNKNOWN),
        (ConnectTimeoutError(endpoint_url="https://dead.example"), Outcome.UNKNOWN),
        (error("AccessDenied", 403), Outcome.UNKNOWN),
        (error("InternalServerError", 500), Outcome.FAILED),
    ],
    ids=["refused", "timeout", "denied", "500"],
)
def test_only_what_may_have_been_written_can_be_left(put, outcome):
    east, _ = replicated(Table(put=put, delete=DEAD))

    assert east.outcome is outcome


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(aws, "BACKOFF_SECONDS", 0.001)


def responding(*responses):
    """A client whose requests get the responses in turn; the last one for ever."""
    session = aws.made_robust(boto3.Session("testing", "testing", region_name=EAST))
    client = aws.client_of(session, "dynamodb", EAST, None)
    asked = []

    def respond(request, **_):
        response = responses[min(len(asked), len(responses) - 1)]
        asked.append(request.url)
        if isinstance(response, Exception):
            raise response
        status, body = response
        raw = SimpleNamespace(stream=lambda: [body.encode()], read=lambda: body.encode())
        return AWSResponse(request.url, status, {}, raw)

    client.meta.events.register("before-send.dynamodb.*", respond)
    return client, asked


THROTTLED = (400, '{"__type": "ThrottlingException"}')
CONFLICT = (400, '{"__type": "ReplicatedWriteConflictException"}')
BROKEN = (500, '{"__type": "InternalServerError"}')
FINE = (200, '{"TableNames": ["weather"]}')


@pytest.mark.parametrize(
    "first",
    [[THROTTLED] * 5, [BROKEN], [DEAD], [BROKEN, DEAD], [CONFLICT]],
    ids=["5x", "500", "dead", "both", "conflict"],
)
def test_what_passes_is_retried(quick, first):
    client, asked = responding(*first, FINE)

    assert client.list_tables()["TableNames"] == ["weather"]
    assert len(asked) == len(first) + 1


@pytest.mark.parametrize(
    ("response", "attempts"),
    [
        (THROTTLED, aws.MAX_ATTEMPTS_THROTTLED),
        (BROKEN, aws.MAX_ATTEMPTS),
        (CONFLICT, aws.MAX_ATTEMPTS),
        (ConnectTimeoutError(endpoint_url="https://x"), aws.MAX_ATTEMPTS_AFTER_TIMEOUT),
        ((400, '{"__type": "AccessDeniedException"}'), 1),
        ((200, "<html>"), 1),
        ((200, ""), 1),
    ],
    ids=["throttled", "500", "conflict", "timeout", "denied", "malformed", "empty"],
)
def test_nothing_is_retried_for_ever(quick, response, attempts):
    client, asked = responding(response)

    with pytest.raises(Exception, match=r".") as caught:
        client.list_tables()
    assert len(asked) == attempts
    assert is_unreadable(caught.value)


def test_waits_grow_and_stay_short():
    throttled = ({}, {"Error": {"Code": "Throttling"}, "ResponseMetadata": {}})
    waits = [
        aws._retry_delay(attempts=n, response=throttled, caught_exception=None)
        for n in range(1, aws.MAX_ATTEMPTS_THROTTLED)
    ]

    assert waits[0] <= aws.BACKOFF_SECONDS
    assert max(waits) <= aws.MAX_BACKOFF_SECONDS
    assert sum(waits) <= 10


def test_a_thousand_keys_are_a_few_requests():
    asked = []
    keys = [
        {"id": f"k{n}", "name": f"c{n}-1", "value": f"v{n}", "enabled": True} for n in range(1000)
    ]

    class Paginator:
        def __init__(self, operation):
            self.operation = operation

        def paginate(self, **arguments):
            assert arguments["PaginationConfig"] == {"PageSize": 500}
            found = {
                "get_usage_plans": [
                    {"id": "p", "name": "p", "apiStages": [{"apiId": "east", "stage": "v1"},
                                                           {"apiId": "west", "stage": "v1"}]}
                ],
                "get_usage_plan_keys": keys,
                "get_api_keys": keys,
            }[self.operation]  # fmt: skip
            for start in range(0, len(found), 500):
                asked.append(self.operation)
                yield {"items": found[start : start + 500]}

    gateway = SimpleNamespace(get_paginator=Paginator)
    ids = {f"c{n}-1": {EAST: f"k{n}", WEST: f"k{n}"} for n in range(1000)}
    given = environment(
        {("apigateway", EAST): gateway, ("apigateway", WEST): gateway},
        outputs={"api_key_ids": ids},
    )

    findings = verify.parity.api_keys.run(given)

    assert [each.outcome for each in findings] == [Outcome.PASSED] * 2
    assert "1000 enabled keys" in findings[0].found
    assert len(asked) == 2 * (1 + 2 + 2)
