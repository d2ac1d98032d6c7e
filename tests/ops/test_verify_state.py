"""The table, certificates, Regions and leftovers."""

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.exceptions import ClientError
from fake_environment import EAST, NAME, WEST, Canned, environment, sandbox_access

from constructs_lib.cloudwatch.alarms import CERTIFICATE_DAYS
from ops.errors import OpsError
from ops.fault_injection import Fault, FaultInjection, InjectedFault
from ops.http_client import Network, Response
from ops.verify import certificates, leftovers, regions, replicas, table
from ops.verify.api_gateway import Route
from ops.verify.finding import Outcome

pytestmark = pytest.mark.unit

NO_LOCK = Canned(get_item={})


class Replicated:
    """A table in two Regions; an item is readable after so many reads."""

    def __init__(self, reads_until_there=0):
        self.items, self.seen, self.deleted = {}, {}, []
        self.late = reads_until_there

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


def replicated(replicas):
    return environment({("dynamodb", EAST): replicas, ("dynamodb", WEST): replicas})


def test_replication_is_measured_each_way_and_leaves_no_item():
    replicas = Replicated(reads_until_there=1)

    there, back = table.replication.run(replicated(replicas))

    assert (there.subject, back.subject) == ("us-east-1 to us-west-2", "us-west-2 to us-east-1")
    assert there.outcome is back.outcome is Outcome.PASSED
    assert there.measured["samples"] == table.SAMPLES
    assert there.measured["max_ms"] >= there.measured["median_ms"] >= 20
    assert not replicas.items
    assert len(replicas.deleted) == 2 * table.SAMPLES


def test_replication_is_measured_beside_the_switch_and_never_among_customers_data():
    replicas = Replicated()

    table.replication.run(replicated(replicas))

    assert {item["pk"]["S"] for item in replicas.deleted} == {"control"}
    assert all(item["sk"]["S"].startswith("verify#us-") for item in replicas.deleted)


def test_failed_replication_is_reported_and_leaves_no_item(monkeypatch):
    monkeypatch.setattr(table, "TIMEOUT_SECONDS", 0.05)
    replicas = Replicated(reads_until_there=10_000)

    there, back = table.replication.run(replicated(replicas))

    assert there.outcome is back.outcome is Outcome.FAILED
    assert "a write in us-east-1 was not readable in us-west-2" in there.found
    assert not replicas.items


def test_a_replica_that_denies_access_is_reported_and_leaves_no_item():
    replicas = Replicated()
    refusing = Canned(
        describe_table=replicas.describe_table(),
        get_item=ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetItem"),
    )

    there, _ = table.replication.run(
        environment({("dynamodb", EAST): replicas, ("dynamodb", WEST): refusing})
    )

    assert there.outcome is Outcome.UNKNOWN
    assert "AccessDenied" in there.found
    assert not replicas.items


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


def replica(**changes):
    return {"Replicas": [{"RegionName": EAST} | changes]}


WITNESS = {"GlobalTableWitnesses": [{"RegionName": "us-east-2", "WitnessStatus": "ACTIVE"}]}


@pytest.mark.parametrize(
    ("described", "outputs", "found"),
    [
        ({}, {}, "EVENTUAL"),
        ({"MultiRegionConsistency": "EVENTUAL"}, {}, "EVENTUAL"),
        ({"MultiRegionConsistency": "STRONG"}, {"consistency": "strong"}, "STRONG"),
        (
            {"MultiRegionConsistency": "STRONG"} | WITNESS,
            {"consistency": "strong", "witness_region": "us-east-2"},
            "STRONG, witness in us-east-2: ACTIVE",
        ),
    ],
)
def test_the_tables_consistency_is_reported(described, outputs, found):
    given = environment(
        {("dynamodb", region): dynamodb(region, **described) for region in (EAST, WEST)},
        outputs=outputs,
    )

    findings = replicas.consistency.run(given)

    assert [(f.subject, f.outcome, f.found) for f in findings] == [
        (region, Outcome.PASSED, found) for region in (EAST, WEST)
    ]


@pytest.mark.parametrize(
    ("described", "outputs", "found"),
    [
        ({}, {"consistency": "strong"}, "its consistency is EVENTUAL, not STRONG"),
        (
            {"MultiRegionConsistency": "STRONG"} | WITNESS,
            {},
            "its consistency is STRONG, not EVENTUAL; it has a witness in us-east-2",
        ),
        (
            {"MultiRegionConsistency": "STRONG"},
            {"consistency": "strong", "witness_region": "us-east-2"},
            "its witness in us-east-2 is not active: none",
        ),
        (
            {
                "MultiRegionConsistency": "STRONG",
                "GlobalTableWitnesses": [{"RegionName": "us-east-2", "WitnessStatus": "CREATING"}],
            },
            {"consistency": "strong", "witness_region": "us-east-2"},
            "its witness in us-east-2 is not active: CREATING",
        ),
    ],
)
def test_a_table_of_another_consistency_or_without_its_witness_is_reported(
    described, outputs, found
):
    given = environment(
        {("dynamodb", region): dynamodb(region, **described) for region in (EAST, WEST)},
        outputs=outputs,
    )

    for finding in replicas.consistency.run(given):
        assert (finding.outcome, finding.found) == (Outcome.FAILED, found)
        assert "deploy another environment beside this one" in finding.fix


@pytest.mark.parametrize(("consistency", "limit"), [(None, "20 hours"), ("strong", "seven days")])
def test_how_long_a_replica_may_be_inaccessible_depends_on_its_consistency(consistency, limit):
    given = environment(
        {("dynamodb", region): dynamodb(region, Replicas=[]) for region in (EAST, WEST)},
        outputs={"consistency": consistency},
    )

    for finding in replicas.status.run(given):
        assert f"has been inaccessible for {limit} leaves the global table" in finding.fix


@pytest.mark.parametrize("consistency", [None, "strong"])
def test_failed_replication_points_to_a_metric_only_where_there_is_one(monkeypatch, consistency):
    monkeypatch.setattr(table, "TIMEOUT_SECONDS", 0.05)
    never = Replicated(reads_until_there=10_000)
    given = environment(
        {("dynamodb", EAST): never, ("dynamodb", WEST): never}, outputs={"consistency": consistency}
    )

    for finding in table.replication.run(given):
        assert ("ReplicationLatency" in finding.fix) is (consistency is None)


@pytest.mark.parametrize(
    ("check", "changes", "expected"),
    [
        (table.protection, {}, None),
        (table.parity, {}, None),
        (table.protection, {"recovery": "DISABLED"}, "point-in-time recovery is off"),
        (replicas.status, {}, None),
        (replicas.status, {"TableStatus": "UPDATING"}, None),
        (replicas.status, {"Replicas": []}, "its replica in us-east-1 is not active: none"),
        (replicas.status, {"TableStatus": "DELETING"}, "its status is DELETING"),
        (
            replicas.status,
            {"TableStatus": "INACCESSIBLE_ENCRYPTION_CREDENTIALS"},
            "its status is INACCESSIBLE_ENCRYPTION_CREDENTIALS (its KMS key cannot be used)",
        ),
        (
            replicas.status,
            replica(ReplicaStatus="REGION_DISABLED", ReplicaInaccessibleDateTime="2026-01-01"),
            "us-east-1 is not active: REGION_DISABLED (the Region is disabled in this account), "
            "since 2026-01-01",
        ),
        (replicas.status, replica(ReplicaStatus="CREATING"), "is not active: CREATING"),
        (
            table.parity,
            {"DeletionProtectionEnabled": False},
            "deletion protection: on in us-east-1, off in us-west-2",
        ),
        (
            table.parity,
            {"SSEDescription": {"Status": "ENABLED", "SSEType": "KMS"}},
            "encryption: AWS owned key in us-east-1, KMS in us-west-2",
        ),
        (table.parity, {"StreamSpecification": {}}, "stream: NEW_AND_OLD_IMAGES in us-eas"),
    ],
)
def test_a_less_protected_replica_is_reported(check, changes, expected):
    findings = check.run(
        environment(
            {("dynamodb", EAST): dynamodb(WEST), ("dynamodb", WEST): dynamodb(EAST, **changes)}
        )
    )

    failures = [f.found for f in findings if f.outcome is Outcome.FAILED]
    assert bool(failures) is bool(expected)
    assert expected is None or expected in failures[0]


KEY = f"arn:aws:kms:{WEST}:123456789012:key/mrk-1"


def with_key(encryption=None, **metadata):
    """A table in the west that is encrypted with a key of its own."""
    key = {
        "KeyState": "Enabled", "MultiRegionConfiguration": {"MultiRegionKeyType": "REPLICA"},
    }  # fmt: skip
    own = {"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": KEY}
    off = {"Status": "DISABLED", "KMSMasterKeyArn": "arn:aws:kms:us-east-1:1:alias/aws/dynamodb"}
    return environment(
        {
            ("dynamodb", EAST): dynamodb(WEST, SSEDescription=off),
            ("dynamodb", WEST): dynamodb(EAST, SSEDescription=own | (encryption or {})),
            ("kms", WEST): Canned(describe_key={"KeyMetadata": key | metadata}),
        }
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"KeyState": "Updating"}, None),
        ({"KeyState": "Disabled"}, f"the state of its key {KEY} is Disabled"),
        (
            {"KeyState": "PendingDeletion", "DeletionDate": "2026-02-01"},
            "is PendingDeletion, to be deleted at 2026-02-01",
        ),
        ({"KeyState": "PendingReplicaDeletion"}, "is PendingReplicaDeletion"),
        (
            {"encryption": {"InaccessibleEncryptionDateTime": "2026-01-01"}},
            f"DynamoDB has not been able to use {KEY} since 2026-01-01",
        ),
    ],
)
def test_a_key_that_cannot_be_used_is_reported_with_its_region(changes, expected):
    east, west = replicas.key_state.run(with_key(**changes))

    assert (east.outcome, east.found) == (
        Outcome.PASSED,
        "encrypted with a key that AWS owns, which nobody can disable",
    )
    if expected is None:
        assert west.outcome is Outcome.PASSED
        assert west.found == f"{KEY}: {changes.get('KeyState', 'Enabled')}, multi-Region, replica"
    else:
        assert west.outcome is Outcome.FAILED
        assert expected in west.found
        assert f"--region {WEST} --key-id {KEY}" in west.fix


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
        ({"NotAfter": datetime.now(UTC) + timedelta(days=31)}, None),
        ({"NotAfter": datetime.now(UTC) + timedelta(days=29)}, "more than 30 are required"),
        ({"NotAfter": datetime.now(UTC) - timedelta(days=1)}, "more than 30 are required"),
        ({"RenewalSummary": {"RenewalStatus": "SUCCESS"}}, None),
        (
            {
                "RenewalSummary": {
                    "RenewalStatus": "FAILED", "RenewalStatusReason": "CAA_ERROR",
                }
            },
            "its renewal is FAILED: CAA_ERROR",
        ),
        ({"RenewalSummary": {"RenewalStatus": "PENDING_VALIDATION"}}, "its renewal is PENDING_VAL"),
    ],
)  # fmt: skip
def test_an_unsuitable_certificate_is_reported(changes, expected):
    given = environment({("acm", EAST): acm(), ("acm", WEST): acm(**changes)})

    east, west = certificates.issued.run(given)

    assert east.outcome is Outcome.PASSED
    assert west.outcome is (Outcome.FAILED if expected else Outcome.PASSED)
    assert expected is None or expected in west.found


def test_verify_and_the_alarm_have_one_threshold_for_certificates():
    assert certificates.MIN_REMAINING.days == CERTIFICATE_DAYS


class Served:
    """A network in which each address is a Region."""

    def __init__(self, **responses):
        self.hosts = {}
        for region, address in ((EAST, "192.0.2.1"), (WEST, "192.0.2.2")):
            label = region.split("-")[1]
            self.hosts[f"{label}.execute-api.{region}.amazonaws.com"] = (address, 443)
            self.hosts[f"d-{label}.execute-api.{region}.amazonaws.com"] = (address, 443)
        self.responses = responses

    def address_of(self, host):
        return self.hosts[host]

    def request(self, method, url, *, headers=None, address):
        region = {"192.0.2.1": EAST, "192.0.2.2": WEST}[address]
        if url.endswith("/health"):
            return self.responses.get("health", Response(200, region))
        kind = "with_key" if headers and "x-api-key" in headers else "without_key"
        return self.responses.get(kind, Response(200 if kind == "with_key" else 403))


@pytest.mark.parametrize("check", [regions.url, regions.domain], ids=lambda check: check.id)
@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (None, None),
        (Response(503, WEST), "503"),
        (Response(None, error="refused"), "no response (refused)"),
        (Response(200, EAST), "is served by us-east-1"),
        (Response(200), "an unnamed Region"),
    ],
)
def test_a_region_that_does_not_serve_its_own_names_is_reported(check, response, expected):
    responses = {} if response is None else {"health": response}

    _, west = check.run(environment(network=Served(**responses)))

    assert west.outcome is (Outcome.FAILED if expected else Outcome.PASSED)
    assert expected is None or expected in west.found


@pytest.mark.parametrize(
    ("responses", "expected"),
    [
        ({}, None),
        (
            {"without_key": Response(200)},
            "without an API key returns 200, not 403",
        ),
        ({"with_key": Response(403)}, "locks out every customer with this key"),
        ({"with_key": Response(500)}, "with the customer's key returns 500, not 200"),
    ],
)
def test_every_region_requires_and_accepts_api_keys(monkeypatch, responses, expected):
    routes = {
        "GET /weather/{location}": Route("GET", "/weather/{location}", True, None),
        "GET /health": Route("GET", "/health", False, None),
        "GET /locations": Route("GET", "/locations", True, None),
    }
    monkeypatch.setattr(regions, "routes_of", lambda *_: routes)
    given = environment(network=Served(**responses))

    east, _ = regions.api_key.run(given)

    assert east.outcome is (Outcome.FAILED if expected else Outcome.PASSED)
    assert expected is None or expected in east.found
    assert given.api_key not in east.found + east.fix


def test_an_api_without_keys_is_unknown(monkeypatch):
    monkeypatch.setattr(regions, "routes_of", lambda *_: {})

    assert regions.api_key.run(environment(network=Served()))[0].outcome is Outcome.UNKNOWN


def test_an_evacuated_region_is_a_leftover_with_who_when_and_why():
    item = {
        "evacuated_at": {"S": "2026-01-01T00:00:00+00:00"},
        "evacuated_by": {"S": "ada on laptop"},
        "reason": {"S": "fire"},
    }
    found = environment(
        {
            ("dynamodb", WEST): Canned(get_item={"Item": item}),
            ("dynamodb", EAST): Canned(get_item={}),
        }
    )

    east, west = leftovers.evacuation.run(found)

    assert (east.subject, east.outcome) == (EAST, Outcome.FAILED)
    assert east.found == (
        "evacuated since 2026-01-01T00:00:00+00:00 by ada on laptop, reason: fire"
    )
    assert east.fix == "python -m ops switch restore us-east-1 --environment production"
    assert (west.subject, west.outcome, west.found) == (WEST, Outcome.PASSED, "not evacuated")


@pytest.mark.parametrize(
    ("reserved", "outcome", "found"),
    [
        ({}, Outcome.PASSED, "get_health may run"),
        ({"ReservedConcurrentExecutions": 5}, Outcome.PASSED, "at most 5 at a time"),
        ({"ReservedConcurrentExecutions": 0}, Outcome.FAILED, "it is disabled"),
    ],
)
def test_a_health_function_that_a_drill_disabled_is_a_leftover(reserved, outcome, found):
    functions = Canned(get_function_concurrency=reserved)

    east, _ = leftovers.health_function.run(
        environment(
            {("lambda", EAST): functions, ("lambda", WEST): functions, ("dynamodb", WEST): NO_LOCK}
        )
    )

    assert east.outcome is outcome
    assert found in east.found
    if outcome is Outcome.FAILED:
        assert "aws lambda delete-function-concurrency --region us-east-1" in east.fix


class FakeFaultInjection:
    url = "http://127.0.0.1:1"

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
            "the fault error 503 at /v1/weather for 50% of the requests is injected",
        ),
        (Fault(EAST, "slow", delay_seconds=2), "the fault slow by 2 s is injected"),
    ],
)
def test_an_injected_fault_is_a_leftover(fault, words):
    (finding,) = leftovers.faults.run(
        environment({("dynamodb", WEST): NO_LOCK}, fault_injection=FakeFaultInjection(fault))
    )

    assert finding.outcome is Outcome.FAILED
    assert finding.subject == EAST
    assert finding.found == f"since 2026-01-01T00:00:00Z: {words}"
    assert finding.fix == "curl -X DELETE http://127.0.0.1:1/faults/0"


def test_on_aws_faults_are_not_checked():
    assert not leftovers.faults.run(environment())
    assert isinstance(environment().network, Network)


@pytest.fixture
def server():
    """A server of a sandbox's that responds with what it is given."""

    class Handler(BaseHTTPRequestHandler):
        body = b""

        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(Handler.body)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", Handler
        server.shutdown()


@pytest.mark.parametrize("body", ["<html>", "", "[]", "null", '"x"', '{"faults": [1]}', "{}"])
def test_a_200_that_is_something_else_is_an_error_with_a_next_step(server, body):
    url, handler = server
    handler.body = body.encode()
    access = replace(sandbox_access(), health_status_url=url, fault_injection_url=url)

    with pytest.raises(OpsError, match="fault-injection API"):
        FaultInjection(url).faults()
    if not body.startswith("{"):
        with pytest.raises(OpsError, match="does not respond") as caught:
            environment(sandbox=access).sandbox_status()
        assert "sandbox up" in caught.value.next_step
