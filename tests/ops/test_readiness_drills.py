"""What `python -m ops readiness` finds after drills, and while AWS fails."""

import pytest
from drill_records import PROOF, ready
from fake_environment import EAST
from faulty_aws import HARMLESS, Schedule
from faulty_drill import driller
from faulty_operator import operator, schedules
from hypothesis import given
from hypothesis import strategies as st

from ops.deploy.shelf import FolderShelf
from ops.errors import ExitCode
from ops.readiness import deployed
from ops.readiness.chain import name_of

pytestmark = pytest.mark.model


def switch_drill(ada):
    return ada.run("drill", "--fault", "switch", "--execute", "--yes")


def test_a_drill_leaves_the_record_that_readiness_asks_for():
    with driller(Schedule(), patience_seconds=30.0) as ada:
        code, before = ada.run(*PROOF)
        assert code == ExitCode.CHECK_FAILED
        assert before["proofs"] == [
            {"fault": "switch", "lost": [EAST], "age_days": None, "digest": None, "record": None}
        ]

        code, drilled = switch_drill(ada)
        assert code == ExitCode.PASSED, drilled
        code, after = ada.run(*PROOF)

        assert code == ExitCode.PASSED, after
        assert after["head"] == drilled["record"]["digest"]
        assert f"Digest of the last record: {after['head']}\n" in ada.printed
        (proof,) = after["proofs"]
        assert proof["age_days"] < 1
        kept = proof["record"]
        assert kept["verdict"] == "passed"
        assert set(kept["checks"].values()) == {"passed"}
        assert kept["deployed"][EAST]["functions"]
        assert not kept["deployed"][EAST]["functions"].startswith(deployed.UNKNOWN)
        assert kept["caller"]
        # AND it is found if it is changed
        path = FolderShelf.of(ada.folder, "production").folder / name_of(1)
        path.write_text(path.read_text().replace('"passed"', '"PASSED"', 1))
        assert ada.run(*PROOF)[0] == ExitCode.CHECK_FAILED


def test_a_drill_that_fails_leaves_a_record_that_takes_the_proof_away():
    with driller(Schedule(), patience_seconds=30.0) as ada:
        assert switch_drill(ada)[0] == ExitCode.PASSED
        assert ada.run(*PROOF)[0] == ExitCode.PASSED
        object.__setattr__(ada.aws.network, "defect", "loses")
        assert switch_drill(ada)[0] == ExitCode.CHECK_FAILED

        code, document = ada.run(*PROOF)

        assert code == ExitCode.CHECK_FAILED
        (found,) = [e["found"] for e in document["findings"] if e["check"] == "proof.passed"]
        assert found.startswith("the last drill failed, 0 hours ago: ")


def test_a_drill_whose_record_cannot_be_written_says_so():
    with driller(Schedule(), patience_seconds=30.0) as ada:
        place = FolderShelf.of(ada.folder, "production").folder
        place.mkdir(parents=True)
        (place / "drills").write_text("a file in the place of the folder")

        code, document = switch_drill(ada)

        assert code == ExitCode.PREREQUISITE
        assert document["passed"]
        assert document["record"] is None
        assert "drills" in document["record_error"]
        assert "No record was left: " in ada.printed


@given(schedules(), st.sampled_from([1, 89, 91]), st.booleans())
def test_whatever_aws_does_a_missing_or_old_proof_is_never_a_passed_one(schedule, days, is_there):
    with operator(schedule) as ada:
        if is_there:
            ready(ada, days=days)

        code, document = ada.run(*PROOF)

        if "findings" not in document:
            assert code == ExitCode.PREREQUISITE
        elif not is_there or days > 90:
            assert code == ExitCode.CHECK_FAILED
        else:
            # Records are in a folder: what AWS says concerns what changed since.
            assert code in (ExitCode.PASSED, ExitCode.PREREQUISITE)


@given(schedules(HARMLESS))
def test_what_says_nothing_of_the_environment_is_no_change(schedule):
    schedule.is_over, disturbed = True, schedule
    with operator(disturbed) as ada:
        ready(ada, days=1)
        disturbed.is_over = False

        code, document = ada.run(*PROOF)

        for finding in document.get("findings", ()):
            assert finding["outcome"] != "failed"
            assert "changed since" not in finding["found"]
        if code == ExitCode.PASSED:
            assert not any(each["unreadable"] for each in document["findings"])
