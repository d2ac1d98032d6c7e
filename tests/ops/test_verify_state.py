"""Replication, protections, certificates, Regions and left-overs."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from fake_environment import EAST, NAME, WEST, Canned, environment

from ops.calls import Answer, Network
from ops.edge.faults import Fault, InjectedFault
from ops.verification import certificates, leftovers, protections, regions, replication
from ops.verification.finding import Outcome
from ops.verification.routes import Route

pytestmark = pytest.mark.unit


class Replicated:
    """A table in two Regions, whose replication takes so many readings."""

    def __init__(self, readings_until_there=0):
        self.items, self.seen, self.deleted = {}, {}, []
        self.late = readings_until_there

    def describe_table(self, **_):
        # In an order that is not the schema's.
        return {
            "Table": {
                "KeySchema": [
                    {"AttributeName": "sk", "KeyType": "RANGE"},
                    {"AttributeName": "pk", "KeyType": "HASH"},
                ]
            }
        }

    def put_item(self, *, TableName, Item):  # noqa: N803
        self.items[str(Item)] = Item

    def get_item(self, *, TableName, Key, ConsistentRead):  # noqa: N803
        assert ConsistentRead
        self.seen[str(Key)] = self.seen.get(str(Key), 0) + 1
        there = str(Key) in self.items and self.seen[str(Key)] > self.late
        return {"Item": Key} if there else {}

    def delete_item(self, *, TableName, Key):  # noqa: N803
        self.deleted.append(self.items.pop(str(Key)))


def replicated(table):
    return environment({("dynamodb", EAST): table, ("dynamodb", WEST): table})


def test_replication_is_measured_each_way_and_leaves_nothing():
    table = Replicated(readings_until_there=1)

    there, back = replication.replication.run(replicated(table))

    assert (there.subject, back.subject) == ("us-east-1 to us-west-2", "us-west-2 to us-east-1")
    assert there.outcome is back.outcome is Outcome.PASSED
    assert there.measured["samples"] == replication.SAMPLES
    assert there.measured["max_ms"] >= there.measured["median_ms"] >= 20
    assert not table.items
    assert len(table.deleted) == 2 * replication.SAMPLES


def test_verify_writes_beside_the_switch_and_never_among_customers_data():
    table = Replicated()

    replication.replication.run(replicated(table))

    assert {item["pk"]["S"] for item in table.deleted} == {"control"}
    assert all(item["sk"]["S"].startswith("verify#us-") for item in table.deleted)


def test_broken_replication_is_told_and_leaves_nothing(monkeypatch):
    monkeypatch.setattr(replication, "LIMIT_SECONDS", 0.05)
    table = Replicated(readings_until_there=10_000)

    there, back = replication.replication.run(replicated(table))

    assert there.outcome is back.outcome is Outcome.FAILED
    assert "what us-east-1 wrote was not to be read in us-west-2" in there.found
    assert not table.items


def test_a_replica_that_refuses_is_told_and_leaves_nothing():
    table = Replicated()
    refusing = Canned(
        describe_table=table.describe_table(),
        get_item=ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetItem"),
    )

    there, _ = replication.replication.run(
        environment({("dynamodb", EAST): table, ("dynamodb", WEST): refusing})
    )

    assert there.outcome is Outcome.FAILED
    assert "AccessDenied" in there.found
    assert not table.items


def dynamodb(other, *, recovery="ENABLED", **changes):
    table = {
        "TableStatus": "ACTIVE",
        "DeletionProtectionEnabled": True,
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        "Replicas": [{"RegionName": other, "ReplicaStatus": "ACTIVE"}],
    }
    return Canned(
        describe_table={"Table": table | changes},
        describe_continuous_backups={
            "ContinuousBackupsDescription": {
                "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": recovery}
            }
        },
        describe_time_to_live={"TimeToLiveDescription": {"TimeToLiveStatus": "DISABLED"}},
    )


@pytest.mark.parametrize(
    ("check", "changes", "expected"),
    [
        (protections.protection, {}, None),
        (protections.parity, {}, None),
        (protections.protection, {"recovery": "DISABLED"}, "point-in-time recovery is off"),
        (protections.protection, {"Replicas": []}, "no active replica in us-east-1, but none"),
        (protections.protection, {"TableStatus": "DELETING"}, "its status is DELETING"),
        (
            protections.parity,
            {"DeletionProtectionEnabled": False},
            "deletion protection: on in us-east-1, off in us-west-2",
        ),
        (
            protections.parity,
            {"SSEDescription": {"Status": "ENABLED", "SSEType": "KMS"}},
            "encryption: key that AWS owns in us-east-1, KMS in us-west-2",
        ),
        (protections.parity, {"StreamSpecification": {}}, "stream: NEW_AND_OLD_IMAGES in us-eas"),
    ],
)
def test_a_replica_that_is_less_protected_is_told(check, changes, expected):
    findings = check.run(
        environment(
            {("dynamodb", EAST): dynamodb(WEST), ("dynamodb", WEST): dynamodb(EAST, **changes)}
        )
    )

    failures = [f.found for f in findings if f.outcome is Outcome.FAILED]
    assert bool(failures) is bool(expected)
    assert expected is None or expected in failures[0]


def acm(**changes):
    certificate = {
        "DomainName": NAME, "Status": "ISSUED", "NotAfter": datetime.now(UTC) + timedelta(days=90),
    }  # fmt: skip
    return Canned(describe_certificate={"Certificate": certificate | changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"DomainName": "*.example.com"}, None),
        ({"DomainName": "example.com", "SubjectAlternativeNames": [NAME]}, None),
        ({"DomainName": "*.weather.example.com"}, "not for weather.example.com"),
        ({"Status": "PENDING_VALIDATION", "NotAfter": None}, "PENDING_VALIDATION, not ISSUED"),
        ({"NotAfter": datetime.now(UTC) + timedelta(days=20)}, "more than 21 are asked for"),
        ({"NotAfter": datetime.now(UTC) - timedelta(days=1)}, "more than 21 are asked for"),
    ],
)
def test_a_certificate_that_will_not_do_is_told(changes, expected):
    given = environment({("acm", EAST): acm(), ("acm", WEST): acm(**changes)})

    east, west = certificates.issued.run(given)

    assert east.outcome is Outcome.PASSED
    assert west.outcome is (Outcome.FAILED if expected else Outcome.PASSED)
    assert expected is None or expected in west.found


class Served:
    """A network in which each address is a Region."""

    def __init__(self, **answers):
        self.hosts = {}
        for region, address in ((EAST, "192.0.2.1"), (WEST, "192.0.2.2")):
            label = region.split("-")[1]
            self.hosts[f"{label}.execute-api.{region}.amazonaws.com"] = (address, 443)
            self.hosts[f"d-{label}.execute-api.{region}.amazonaws.com"] = (address, 443)
        self.answers = answers

    def request(self, method, url, *, headers=None, address):
        region = {"192.0.2.1": EAST, "192.0.2.2": WEST}[address]
        if url.endswith("/health"):
            return self.answers.get("health", Answer(200, region))
        kind = "with_key" if headers and "x-api-key" in headers else "without_key"
        return self.answers.get(kind, Answer(200 if kind == "with_key" else 403))


@pytest.mark.parametrize("check", [regions.own_url, regions.domain], ids=lambda check: check.id)
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, None),
        (Answer(503, WEST), "503"),
        (Answer(None, error="refused"), "no answer (refused)"),
        (Answer(200, EAST), "is answered by us-east-1"),
        (Answer(200), "a Region that says no name"),
    ],
)
def test_a_region_that_does_not_answer_as_itself_is_told(check, answer, expected):
    answers = {} if answer is None else {"health": answer}

    _, west = check.run(environment(network=Served(**answers)))

    assert west.outcome is (Outcome.FAILED if expected else Outcome.PASSED)
    assert expected is None or expected in west.found


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({}, None),
        ({"without_key": Answer(200)}, "GET /v1/locations without a key gets 200, not 403"),
        ({"with_key": Answer(403)}, "every customer with this key is locked out"),
        ({"with_key": Answer(500)}, "with the customer's key gets 500, not 200"),
    ],
)
def test_keys_open_every_region_and_nothing_else_does(monkeypatch, answers, expected):
    routes = {
        "GET /weather/{location}": Route("GET", "/weather/{location}", True, None),
        "GET /health": Route("GET", "/health", False, None),
        "GET /locations": Route("GET", "/locations", True, None),
    }
    monkeypatch.setattr(regions, "routes_of", lambda *_: routes)
    given = environment(network=Served(**answers))

    east, _ = regions.key.run(given)

    assert east.outcome is (Outcome.FAILED if expected else Outcome.PASSED)
    assert expected is None or expected in east.found
    assert given.api_key not in east.found + east.fix


def test_an_api_without_keys_is_not_known(monkeypatch):
    monkeypatch.setattr(regions, "routes_of", lambda *_: {})

    assert regions.key.run(environment(network=Served()))[0].outcome is Outcome.UNKNOWN


def test_an_engaged_switch_is_a_leftover_with_its_reason_and_release():
    item = {"engaged_at": {"S": "2026-01-01T00:00:00+00:00"}, "reason": {"S": "fire"}}

    (finding,) = leftovers.switch.run(
        environment({("dynamodb", WEST): Canned(get_item={"Item": item})})
    )

    assert finding.outcome is Outcome.FAILED
    assert finding.found == ("the switch is engaged since 2026-01-01T00:00:00+00:00, reason: fire")
    assert finding.fix == "python -m ops switch release --environment production"


@pytest.mark.parametrize(
    ("reserved", "outcome", "found"),
    [
        ({}, Outcome.PASSED, "get_health may run"),
        ({"ReservedConcurrentExecutions": 5}, Outcome.PASSED, "at most 5 at a time"),
        ({"ReservedConcurrentExecutions": 0}, Outcome.FAILED, "a drill left it switched off"),
    ],
)
def test_a_health_function_that_a_drill_switched_off_is_a_leftover(reserved, outcome, found):
    functions = Canned(get_function_concurrency=reserved)

    east, _ = leftovers.health_function.run(
        environment({("lambda", EAST): functions, ("lambda", WEST): functions})
    )

    assert east.outcome is outcome
    assert found in east.found
    if outcome is Outcome.FAILED:
        assert east.fix == "python -m ops drill --restore --environment production"


class FakeEdges:
    def __init__(self, *faults):
        self._faults = tuple(
            InjectedFault(str(number), "2026-01-01T00:00:00Z", fault)
            for number, fault in enumerate(faults)
        )

    def faults(self):
        return self._faults


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(EAST, "black_hole"), "the fault black hole is injected"),
        (
            Fault(EAST, "error", path="/v1/weather", share=0.5, status=503),
            "the fault error 503 at /v1/weather for 50% is injected",
        ),
        (Fault(EAST, "slow", delay_seconds=2), "the fault slow by 2 s is injected"),
    ],
)
def test_a_fault_of_an_edge_is_a_leftover(fault, words):
    (finding,) = leftovers.edge_faults.run(environment(edge=FakeEdges(fault)))

    assert finding.outcome is Outcome.FAILED
    assert finding.subject == EAST
    assert finding.found == f"since 2026-01-01T00:00:00Z: {words}"
    assert "drill --restore" in finding.fix


def test_on_aws_there_is_no_fault_to_look_for():
    assert not leftovers.edge_faults.run(environment())
    assert not leftovers.table_faults.run(environment())
    assert isinstance(environment().network, Network)
