"""Regions run the same release, and differ on purpose only while one is under way."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from fake_environment import EAST, WEST, Canned, environment

from ops.deploy.record import History, Outcome, Record, Step
from ops.deploy.shelf import FolderShelf
from ops.drill.journal import this_program
from ops.processes import Program
from ops.verify import releases, verify
from ops.verify.finding import Outcome as Found
from ops.verify.finding import check, failed

pytestmark = pytest.mark.unit

RECORD = Record(
    run="deploy-2", kind="deploy", release="new", targets={f"production-{WEST}": "new"},
    before={f"production-{WEST}": "old"}, begun="then", user="somebody", host="elsewhere",
    revision="abc123", bake_seconds=1.0, program=Program(2**31 - 1, 0.0),
    outcome=Outcome.DEPLOYED,
)  # fmt: skip
BOTH = {f"production-{EAST}": "new", f"production-{WEST}": "new"}
DIFFERENT = {f"production-{EAST}": "old", f"production-{WEST}": "new"}
UNFINISHED = replace(
    RECORD, outcome=Outcome.UNFINISHED, steps={f"production-{WEST}": Step.APPLYING}
)


@check("parity.sea")
def differs(_):
    """Check the sea."""
    yield failed(WEST, "deeper", "dredge it")


CHECKS = [releases.regions, releases.unfinished, differs]


def lock_item(kind="deploy", seconds=60):
    expiry = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()
    texts = {"run": "deploy-3", "kind": kind, "expires_at": expiry}
    return {"Item": {name: {"S": text} for name, text in texts.items()}}


@pytest.fixture
def found(tmp_path, monkeypatch):
    monkeypatch.setenv("FAILOVER_ENVIRONMENTS", str(tmp_path))

    def found(deployed, *records, lock=None):
        if records:
            history = History.read(FolderShelf.of(tmp_path, "production"))
            history.deployed, history.records = deployed, list(records)
            history.write()
        table = Canned(get_item=lock or {})
        where = environment({("dynamodb", WEST): table}, folder=tmp_path)
        return [
            (each.check, each.subject, each.outcome, each.found)
            for each in verify(where, CHECKS).findings
        ]

    return found


def outcomes(findings):
    return [(check, outcome) for check, _, outcome, _ in findings]


def test_each_region_says_which_release_it_runs(found):
    east, west, *others = found(BOTH, RECORD)

    assert east[1:] == (EAST, Found.PASSED, "runs the release new, git revision abc123")
    assert west[1:] == (WEST, Found.PASSED, "runs the release new, git revision abc123")
    assert outcomes(others) == [
        ("release.unfinished", Found.PASSED),
        ("parity.sea", Found.FAILED),
    ]


def test_with_one_stack_every_region_runs_its_release(found):
    findings = found({"production": "new"}, RECORD)

    assert [subject for _, subject, _, _ in findings[:2]] == [EAST, WEST]


def test_different_releases_are_a_finding_if_none_is_under_way(found):
    differing = found(DIFFERENT, RECORD)[2]

    assert differing[:3] == ("release.regions", f"{EAST} and {WEST}", Found.FAILED)
    assert "us-east-1 runs old, us-west-2 runs new, and no release is under way" in differing[3]


def test_while_a_release_is_under_way_regions_differ_on_purpose(found):
    findings = found(DIFFERENT, UNFINISHED, lock=lock_item())

    assert [outcome for _, outcome in outcomes(findings)] == [
        Found.PASSED, Found.PASSED, Found.UNKNOWN, Found.UNKNOWN,
    ]  # fmt: skip
    assert findings[1][3].endswith("its release new is in the state applying")
    assert findings[2][3] == "deploy by somebody on elsewhere is under way"
    assert findings[3][3] == "a release is under way, so Regions may differ: deeper"


def test_a_release_of_this_machine_that_runs_without_the_lock_is_under_way(found):
    findings = found(DIFFERENT, replace(UNFINISHED, program=this_program()))

    assert outcomes(findings)[-1] == ("parity.sea", Found.UNKNOWN)


def test_a_release_that_waits_for_its_other_region_is_under_way(found):
    waits = replace(RECORD, rest=[f"production-{EAST}"])

    findings = found(DIFFERENT, waits)

    assert [outcome for _, outcome in outcomes(findings)] == [
        Found.PASSED, Found.PASSED, Found.UNKNOWN, Found.UNKNOWN,
    ]  # fmt: skip
    assert findings[2][3] == f"its release is still to be deployed to production-{EAST}"
    rolled_back = replace(waits, outcome=Outcome.ROLLED_BACK)
    assert outcomes(found(DIFFERENT, rolled_back))[2] == ("release.regions", Found.FAILED)


@pytest.mark.parametrize("lock", [None, lock_item("drill"), lock_item(seconds=-120)])
def test_a_release_that_was_interrupted_is_a_finding_and_excuses_nothing(found, lock):
    findings = found(DIFFERENT, UNFINISHED, lock=lock)

    assert outcomes(findings)[-2:] == [
        ("release.unfinished", Found.FAILED),
        ("parity.sea", Found.FAILED),
    ]
    assert "was interrupted" in findings[-2][3]


def test_nothing_deployed_by_this_tool_is_no_failure(found):
    assert outcomes(found({}))[:2] == [
        ("release.regions", Found.PASSED),
        ("release.unfinished", Found.PASSED),
    ]


def test_releases_that_cannot_be_read_are_unknown_and_fail_nothing(found, tmp_path):
    FolderShelf.of(tmp_path, "production").write("history.json", b"[]", None)

    findings = found({})

    assert outcomes(findings) == [
        ("release.regions", Found.UNKNOWN),
        ("parity.sea", Found.FAILED),
    ]
    assert "history.json in " in findings[0][3]
