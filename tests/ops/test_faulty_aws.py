"""Whatever AWS does: no traceback, nothing left without a word, and no false "passed"."""

import json
import socket
from datetime import UTC, datetime

import pytest
from fake_environment import EAST, WEST
from faulty_aws import HARMLESS, KEY, PROVISIONED, Schedule
from faulty_operator import DRILL, ENGAGED, operator, schedules
from hypothesis import given
from hypothesis import strategies as st

from ops.drill.faults import SwitchFault
from ops.drill.journal import Journal
from ops.errors import ExitCode
from ops.processes import Program

pytestmark = pytest.mark.model

NOW = datetime.now(UTC)


def failures(document):
    return [f"{f['check']}: {f['found']}" for f in document["findings"] if f["outcome"] == "failed"]


def test_without_faults_everything_passes():
    with operator(Schedule()) as ada:
        code, document = ada.run("verify")

    assert not failures(document)
    assert code == ExitCode.PASSED


@pytest.mark.parametrize(
    ("words", "items"),
    [
        (["switch", "status"], []),
        (["switch", "engage", "--yes"], []),
        (["switch", "engage", "--yes"], [ENGAGED]),
        (["switch", "release", "--yes"], [ENGAGED]),
        (["drill", "--restore", "--execute", "--yes"], [ENGAGED]),
        (["customers", "pull", "--keys-file", "keys.json"], []),
    ],
    ids=lambda value: " ".join(value[:2]) if value and isinstance(value[0], str) else len(value),
)
def test_without_faults_every_command_passes(monkeypatch, tmp_path, words, items):
    monkeypatch.chdir(tmp_path)
    with operator(Schedule(), *items) as ada:
        assert ada.run(*words)[0] == ExitCode.PASSED


@given(schedules(HARMLESS))
def test_what_says_nothing_of_the_environment_fails_no_check(schedule):
    with operator(schedule) as ada:
        code, document = ada.run("verify")

    if "findings" not in document:
        assert code == ExitCode.PREREQUISITE
        return
    # An item may have been written by a request without a response.
    other = [text for text in failures(document) if "may be left" not in text]
    assert not other
    if not failures(document):
        assert code == (ExitCode.PREREQUISITE if any_unreadable(document) else ExitCode.PASSED)


def any_unreadable(document):
    return any(finding["unreadable"] for finding in document["findings"])


def items_are_named(aws, document):
    """Every item of verify's that is still there is named."""
    left = [key for key in aws.table.items if "verify#" in key]
    found = " ".join(f["fix"] + f["found"] for f in document.get("findings", ()))
    return all(key.partition("/")[2] in found for key in left)


def _concurrency(aws):
    aws.change("lambda", WEST, get_function_concurrency={"ReservedConcurrentExecutions": 0})


def _record(aws):
    for region in (EAST, WEST):
        aws.change("route53", region, list_resource_record_sets={"ResourceRecordSets": []})


def _unhealthy(aws):
    seen = [{"StatusReport": {"Status": "Failure: 503"}}] * 16
    for region in (EAST, WEST):
        aws.change("route53", region, get_health_check_status={"HealthCheckObservations": seen})


def _key(aws):
    aws.change("apigateway", WEST, get_api_keys={"items": []})


def _route(aws):
    aws.change("apigateway", WEST, get_resources={"items": []})


def _code(aws):
    aws.change("lambda", WEST, get_function_configuration={"CodeSha256": "xyz"})


def _certificate(aws):
    aws.change("acm", WEST, describe_certificate={
        "Certificate": {"DomainName": "other.example", "Status": "ISSUED"}
    })  # fmt: skip


def _backups(aws):
    aws.change("dynamodb", WEST, describe_continuous_backups={"ContinuousBackupsDescription": {}})


def _replica(aws):
    inaccessible = {"TableStatus": "INACCESSIBLE_ENCRYPTION_CREDENTIALS", "KeySchema": []}
    aws.change("dynamodb", WEST, describe_table={"Table": inaccessible})


def _disabled(aws):
    aws.change("kms", WEST, describe_key={"KeyMetadata": {"KeyState": "Disabled"}})


def _quota(aws):
    aws.change("lambda", WEST, get_account_settings={"AccountLimit": {"ConcurrentExecutions": 10}})


def _not_provisioned(aws):
    failed = {**PROVISIONED, "Status": "FAILED", "AvailableProvisionedConcurrentExecutions": 0}
    aws.change("lambda", WEST, get_provisioned_concurrency_config=failed)


def _busy(aws):
    aws.change("cloudwatch", EAST, get_metric_data=lambda MetricDataQueries, **_: {  # noqa: N803
        "MetricDataResults": [
            {"Id": query["Id"], "Timestamps": [NOW], "Values": [2000.0]}
            for query in MetricDataQueries
        ]
    })  # fmt: skip


def _throttle(aws):
    small = {"throttleSettings": {"rateLimit": 0.5, "burstLimit": 1}}
    for region in (EAST, WEST):
        aws.change("apigateway", region, get_account=small)


def _engaged(aws):
    aws.table.put(ENGAGED)


def _silent(aws):
    aws.network.statuses[WEST] = 503


def _not_replicated(aws):
    aws.table.replicates = False


BROKEN = (
    *(_concurrency, _record, _unhealthy, _key, _route, _code, _certificate, _backups, _engaged),
    *(_silent, _not_replicated, _replica, _disabled, _quota),
    *(_not_provisioned, _busy, _throttle),
)


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.__name__)
def test_each_defect_is_a_failure_when_aws_responds(broken):
    with operator(Schedule()) as ada:
        broken(ada.aws)

        assert ada.run("verify")[0] == ExitCode.CHECK_FAILED


@given(schedules(), st.sampled_from(BROKEN))
def test_a_defect_never_passes_and_no_item_is_left_without_a_word(schedule, broken):
    with operator(schedule) as ada:
        broken(ada.aws)

        code, document = ada.run("verify")

        assert code != ExitCode.PASSED
        assert not document.get("passed")
        assert items_are_named(ada.aws, document)


@given(
    schedules(),
    st.booleans(),
    st.lists(st.sampled_from(["engage", "release", "status"]), min_size=1, max_size=5),
)
def test_the_switch_is_what_it_is_said_to_be(schedule, engaged, commands):
    with operator(schedule, *([ENGAGED] if engaged else [])) as ada:
        for command in commands:
            before = ada.switch
            words = () if command == "status" else ("--yes",)

            code, document = ada.run("switch", command, *words)

            after = ada.switch
            if code == ExitCode.PASSED:
                found = document["evacuations"] if command == "status" else {}
                state = found.get(EAST) or document.get("evacuation")
                # Of several replicas, one that does not respond is named.
                assert (state["evacuated"] is bool(after)) if state else document["unknown"][EAST]
                assert bool(after) is {"engage": True, "release": False}.get(command, bool(before))
            else:
                assert document["error"]["message"]
            if command == "status" or code == ExitCode.USAGE:
                assert after == before
            if command == "engage" and before:
                assert after == before
            if after != before and code != ExitCode.PASSED:
                assert "switch status" in document["error"]["next_step"]


@given(schedules(), st.sampled_from(["drill", "operator"]), st.integers(1, 3))
def test_a_restore_ends_with_nothing_of_the_drills_or_says_so(schedule, whose, times):
    item = ENGAGED | {"writer": {"S": DRILL}, "kind": {"S": "drill"}}
    with operator(schedule, item if whose == "drill" else ENGAGED) as ada:
        path = ada.environment.journal_file
        fault = SwitchFault(id=DRILL, region=EAST)
        dead = Program(2**22 - 3, 1.0)
        note = Journal(
            "production", "2026-01-01T00:00:00+00:00", socket.gethostname(), dead, DRILL, fault
        )
        path.parent.mkdir()
        path.write_text(note.to_text())
        for _ in range(times):
            code, document = ada.run("drill", "--restore", "--execute", "--yes")

            if whose == "operator":
                assert ada.switch == "somebody"
            elif ada.switch:
                assert code != ExitCode.PASSED
                assert path.exists()
                assert document["error"] or document["failed"]
            if code == ExitCode.PASSED:
                assert not path.exists()


@given(schedules(), st.integers(1, 3))
def test_values_of_keys_are_pulled_whole_or_not_at_all(schedule, times):
    with operator(schedule) as ada:
        path = ada.folder / "keys.json"
        for _ in range(times):
            code, _ = ada.run("customers", "pull", "--keys-file", str(path))

            if code == ExitCode.PASSED:
                assert json.loads(path.read_text()) == {
                    "api_keys": {"production": {"operator-1": KEY}}
                }
        if path.exists():
            assert json.loads(path.read_text())["api_keys"]["production"] == {"operator-1": KEY}
        assert KEY not in ada.printed


def test_a_schedule_is_repeatable():
    one, other = (Schedule(seed=7, share=0.5) for _ in range(2))

    draws = [[s.fault("x", EAST, "y") for _ in range(50)] for s in (one, other)]

    assert draws[0] == draws[1]
    assert None in draws[0]
