"""`python -m ops readiness`: a proof is there, recent, of what is deployed and whole, or not."""

from dataclasses import replace

import pytest
from drill_records import ARN, DEPLOYED, NAME, NOW, PROOF, Signer, ready, record
from fake_environment import EAST, WEST, environment, sandbox_access
from fake_fis import TEMPLATE_IDS
from faulty_aws import Schedule
from faulty_operator import operator
from moto import mock_aws

from constructs_lib.outputs import ObjectivesOutput
from ops.aws import client_of, session_for
from ops.drill.faults import FAULTS
from ops.errors import ExitCode, UsageError
from ops.readiness import chain, deployed
from ops.readiness.chain import Link, append
from ops.readiness.place import shelf_for
from ops.readiness.proofs import Readiness, Required, required
from ops.verify.finding import Outcome

pytestmark = pytest.mark.unit

SWITCH = Required("switch", (EAST,))


def chain_of(*records, sign=None):
    links = []
    for place, each in enumerate(records, 1):
        link = Link(place, "", each, {}, str(place))
        links.append(replace(link, signature=sign(link.signed)) if sign else link)
    return chain.Chain(links)


def readiness(*records, objectives=None, sign=None, outputs=None, **changes):
    values = {
        "environment": environment(outputs=outputs or {}),
        "chain": chain_of(*records, sign=sign),
        "objectives": objectives or ObjectivesOutput(),
        "max_age_days": 90,
        "now": NOW,
        "deployed": DEPLOYED,
    }
    return Readiness(**values | changes)


def proof_of(*records, **more):
    (finding,) = readiness(*records, **more).of_proof(SWITCH)
    return finding


def test_a_recent_drill_that_passed_is_a_proof():
    finding = proof_of(record())

    assert finding.outcome is Outcome.PASSED
    assert "passed 24 hours ago: drill-1" in finding.found
    assert "RTO 92.0 ± 2.0 s of 156 s; RPO 0.0 ± 1.0 s; release abc" in finding.found


NOT_PROVED = {
    "none": ([], "none is recorded"),
    "of another fault": ([record(fault="refuse")], "none is recorded"),
    "of another Region": ([record(lost=(WEST,))], "none is recorded"),
    "of another account": ([record(account_id="999999999999")], "none is recorded"),
    "interrupted": ([record(verdict="interrupted")], "none is recorded"),
    "not measured": ([record(verdict="not measured")], "none is recorded"),
    "failed": (
        [record(verdict="failed", findings=("the RTO is 300 s",))],
        "no drill has passed: 1 failed, the last one: the RTO is 300 s",
    ),
    "failed last": (
        [record(days=3), record("drill-2", verdict="failed", left=("the switch",))],
        "the last drill failed, 24 hours ago: the switch; passed 3 days ago",
    ),
    "too old": ([record(days=90.1)], "the last proof is older than 90 days"),
    "to come": ([record(days=-1)], "which is yet to come"),
}


@pytest.mark.parametrize(("records", "reason"), NOT_PROVED.values(), ids=NOT_PROVED)
def test_what_is_no_proof_fails_with_the_drill_that_would_be_one(records, reason):
    finding = proof_of(*records)

    assert finding.outcome is Outcome.FAILED
    assert reason in finding.found
    assert finding.fix == (
        f"python -m ops drill --environment {NAME} --fault switch --region {EAST} --execute"
    )


def test_a_drill_that_passed_after_one_that_failed_is_a_proof():
    assert proof_of(record(verdict="failed"), record("drill-2")).outcome is Outcome.PASSED


@pytest.mark.parametrize("verdict", ["interrupted", "not measured"])
def test_a_drill_that_neither_passed_nor_failed_takes_no_proof_away(verdict):
    assert proof_of(record(), record(verdict=verdict)).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("objectives", "reason"),
    [
        (ObjectivesOutput(rto_seconds=91.9), "the RTO was 92 s, and the objective is now 91.9 s"),
        (ObjectivesOutput(rpo_seconds=3.9), "the RPO was 4 s, and the objective is now 3.9 s"),
        (ObjectivesOutput(rto_seconds=92.0, rpo_seconds=4.0), ""),
    ],
)
def test_a_proof_is_held_against_the_objectives_of_today(objectives, reason):
    rpo = {"writes": 2, "state": "measured", "seconds": 4.0, "error_seconds": 1.0}

    finding = proof_of(record(rpo=rpo), objectives=objectives)

    assert finding.outcome is (Outcome.FAILED if reason else Outcome.PASSED)
    assert finding.found.startswith(reason)


def test_what_a_drill_could_not_measure_is_said_and_fails_nothing():
    rpo = {"writes": None, "state": "not exercised", "seconds": None, "error_seconds": None}

    finding = proof_of(record(rpo=rpo), objectives=ObjectivesOutput(rpo_seconds=1.0))

    assert finding.outcome is Outcome.PASSED
    assert "RPO not exercised" in finding.found


def test_a_time_of_a_sandbox_is_marked():
    finding = proof_of(record(speed=10.0))

    assert "RTO 92.0 ± 2.0 s (scaled)" in finding.found


def drift_of(now):
    return [*readiness(record(), deployed=now).of_drift(SWITCH)]


def test_what_was_deployed_since_is_named_and_fails_nothing():
    (same,) = drift_of(DEPLOYED)
    now = DEPLOYED | {
        WEST: DEPLOYED[WEST] | {"release": "def", "functions": "9"},
        "routing": {"settings": "5"},
    }
    (other,) = drift_of(now)

    assert same.outcome is Outcome.PASSED
    assert other.outcome is Outcome.UNKNOWN
    assert not other.unreadable
    assert other.found == (
        f"changed since: {WEST} had the release abc, and has def, functions of {WEST}, the routing"
    )


UNREAD = DEPLOYED | {EAST: DEPLOYED[EAST] | {"functions": f"{deployed.UNKNOWN}no route"}}


def test_what_cannot_be_read_now_is_unreadable():
    (finding,) = drift_of(UNREAD)

    assert finding.unreadable
    assert finding.found == (
        f"cannot be compared with what is deployed now: functions in {EAST} (no route)"
    )


def test_what_could_not_be_read_at_the_time_of_the_drill_is_unknown_for_good():
    (finding,) = readiness(record(deployed=UNREAD)).of_drift(SWITCH)

    assert (finding.outcome, finding.unreadable) == (Outcome.UNKNOWN, False)
    assert f"not known of the time of the drill: functions in {EAST}" in finding.found


@pytest.fixture(scope="module")
def signer():
    return Signer()


def signed(*records, signer, key=None, sign=None):
    return readiness(
        *records, sign=sign or signer.sign, key=key or signer.public,
        outputs={"records_key_arn": ARN},
    )  # fmt: skip


def test_signed_records_count(signer):
    found = signed(record(), signer=signer)

    (signatures,) = found.of_signatures()
    (proof,) = found.of_proof(SWITCH)
    assert (signatures.outcome, proof.outcome) == (Outcome.PASSED, Outcome.PASSED)


def test_a_record_of_another_key_is_found_and_proves_nothing(signer):
    found = signed(record(), signer=signer, sign=Signer().sign)

    (signatures,) = found.of_signatures()
    (proof,) = found.of_proof(SWITCH)
    assert (signatures.outcome, proof.outcome) == (Outcome.FAILED, Outcome.FAILED)
    assert "record 1, drill-1, is not signed by the environment's key" in signatures.found


def test_records_of_a_key_that_was_replaced_prove_nothing_and_are_no_error(signer):
    def before(content):
        return Signer().sign(content) | {"key": "arn:aws:kms:eu-west-1:123456789012:key/before"}

    found = signed(record(days=9), record("drill-2", fault="refuse"), signer=signer)
    old, new = found.chain.links
    found.chain.links[0] = replace(old, signature=before(old.signed))

    (signatures,) = found.of_signatures()
    (proof,) = found.of_proof(Required("switch", (EAST,)))
    assert (signatures.outcome, proof.outcome) == (Outcome.PASSED, Outcome.FAILED)
    assert signatures.found == "1 of 2 are signed by the key"
    # AND after the first one of the present key, it is an error
    found.chain.links[:] = [new, replace(old, signature=before(old.signed))]
    (signatures,) = found.of_signatures()
    assert signatures.outcome is Outcome.FAILED


def test_a_record_that_was_put_in_without_a_signature_is_found(signer):
    found = signed(record(days=9), record("forged"), signer=signer)
    found.chain.links[1] = replace(found.chain.links[1], signature={})

    (signatures,) = found.of_signatures()
    (proof,) = found.of_proof(SWITCH)
    assert "record 2, forged, is not signed" in signatures.found
    assert "passed 9 days ago" in proof.found


def test_records_of_the_time_before_there_was_a_key_prove_nothing_and_are_no_error(signer):
    found = signed(record(), record("signed", fault="refuse"), signer=signer)
    found.chain.links[0] = replace(found.chain.links[0], signature={})

    (signatures,) = found.of_signatures()
    (proof,) = found.of_proof(SWITCH)
    assert signatures.outcome is Outcome.PASSED
    assert signatures.found == "1 of 2 are signed by the key"
    assert proof.outcome is Outcome.FAILED


def test_a_signature_is_of_the_place_too(signer):
    found = signed(record(days=9), record("drill-2"), signer=signer)
    first, second = found.chain.links
    found.chain.links[:] = [replace(second, sequence=1), replace(first, sequence=2)]

    assert [each.outcome for each in found.of_signatures()] == [Outcome.FAILED] * 2


def test_without_a_key_it_says_what_that_means():
    (finding,) = readiness(record()).of_signatures()

    assert finding.outcome is Outcome.UNKNOWN
    assert "whoever may write them all may invent them" in finding.found


def test_a_digest_that_was_noted_before_must_be_there():
    found = readiness(record(), record("drill-2"))

    (there,) = found.of_chain(contains="1")
    (gone,) = found.of_chain(contains="3")
    assert there.outcome is Outcome.PASSED
    assert gone.outcome is Outcome.FAILED
    assert "no record has the digest 3: records were removed" in gone.found


def test_by_default_every_fault_that_can_be_injected_is_required():
    local = environment(sandbox=sandbox_access(), fault_injection=object())
    templates = {"experiment_template_ids": TEMPLATE_IDS}

    on_aws = ["switch", "health-concurrency"]
    assert [each.fault for each in required(environment(), ())] == on_aws
    with_fis = [each.fault for each in required(environment(outputs=templates), ())]
    assert with_fis == [*on_aws, "fis-replication-paused"]
    in_sandbox = {each.fault for each in required(local, ())}
    assert {*FAULTS} - in_sandbox == {"fis-replication-paused"}
    assert {each.lost for each in required(environment(), ())} == {(EAST,)}


def test_a_proof_names_the_regions_that_are_lost():
    assert required(environment(), [f"switch:{WEST}", f"switch:{WEST}+{EAST}", "switch"]) == (
        Required("switch", (WEST,)), Required("switch", (EAST, WEST)), SWITCH,
    )  # fmt: skip


def test_where_no_region_is_the_primary_each_is_to_be_lost():
    nearest = environment(outputs={"routing_policy": "latency"})

    assert required(nearest, ["switch"]) == (SWITCH, Required("switch", (WEST,)))


@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        ("refuse", "is of a fault that no drill can inject into production"),
        ("flood", "is of a fault that no drill can inject"),
        ("switch:eu-west-1", "names eu-west-1, which is not a Region of production"),
    ],
)
def test_a_proof_that_cannot_be_given_is_wrong_usage(proof, reason):
    with pytest.raises(UsageError, match=reason):
        required(environment(), [proof])


STATE = {"bucket": "states", "key": "api/trial.tfstate", "region": "us-east-2"}


@pytest.fixture
def s3(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield client_of(session_for(None, "us-east-2"), "s3", "us-east-2", None)


def test_records_are_beside_the_state_that_the_outputs_name(s3, tmp_path, monkeypatch):
    where = {"LocationConstraint": "us-east-2"}
    s3.create_bucket(Bucket="states", CreateBucketConfiguration=where)
    # Without the environment file on this machine.
    monkeypatch.setenv("FAILOVER_ENVIRONMENTS", str(tmp_path))

    append(shelf_for(environment(outputs={"state": STATE})), record())

    keys = [each["Key"] for each in s3.list_objects_v2(Bucket="states")["Contents"]]
    assert keys == [
        "api/trial-releases/drills/00000001.json",
        "api/trial-releases/drills/head.json",
    ]


def test_records_that_cannot_be_read_are_unknown_and_prove_nothing(s3):
    with operator(Schedule()) as ada:
        ada.environment = ada.aws.environment(folder=ada.folder, outputs={"state": STATE})

        code, document = ada.run(*PROOF)

        assert code == ExitCode.PREREQUISITE
        (finding,) = document["findings"]
        assert (finding["check"], finding["unreadable"]) == ("records.chain", True)
        assert "s3://states/api/trial-releases/drills/head.json cannot be read" in finding["found"]


@pytest.mark.parametrize("days", ["0", "-1", "nan", "x"])
def test_a_wrong_age_is_wrong_usage(days, capsys):
    with operator(Schedule()) as ada:
        assert ada.run(*PROOF, f"--max-age={days}")[0] == ExitCode.USAGE


def test_the_age_can_be_asked_for():
    with operator(Schedule()) as ada:
        ready(ada, days=10)

        assert ada.run(*PROOF, "--max-age", "9")[0] == ExitCode.CHECK_FAILED
        assert ada.run(*PROOF, "--max-age", "11")[0] == ExitCode.PASSED
