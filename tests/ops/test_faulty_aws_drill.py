"""A whole drill whose AWS fails: nothing is left without a word, and no false "passed"."""

import random

import pytest
from fake_environment import EAST
from faulty_aws import KINDS, Schedule, more_seeds
from faulty_drill import DEFECTS, driller
from faulty_operator import ENGAGED

from ops.errors import ExitCode
from ops.lock import read
from ops.name_servers import SYSTEM

pytestmark = pytest.mark.model

FAULTS = ("switch", "health-concurrency")
RESTORE = ("drill", "--restore", "--execute", "--yes")


def drill(fault):
    return "drill", "--fault", fault, "--execute", "--yes"


def left_by(ada, reserved=None):
    """What a drill has changed and not restored."""
    found = ["the switch"] if (ada.switch or "").startswith("drill-") else []
    found += ["the concurrency"] if ada.aws.reserved.get(EAST) != reserved else []
    for region, locations in ada.aws.network.stored.items():
        found += [f"observations in {region}" for held in locations.values() if held]
    return found


@pytest.mark.parametrize("fault", FAULTS)
def test_a_drill_without_faults_passes_and_leaves_nothing(fault):
    with driller(Schedule(), patience_seconds=30.0) as ada:
        code, document = ada.run(*drill(fault))

        assert code == ExitCode.PASSED, document
        assert document["writes"]["acknowledged"] > 5
        assert document["measurements"]["cut_over"]["state"] == "measured"
        assert not left_by(ada)
        assert not ada.environment.journal_file.exists()
        assert {each["rate_per_second"] for each in document["spending"]["regions"]} == {1.0}


def test_a_drill_behind_a_caching_resolver_says_so():
    with driller(Schedule(), source=SYSTEM, patience_seconds=30.0) as ada:
        code, document = ada.run(*drill("switch"))

        assert code == ExitCode.PASSED, document
        assert document["dns_source"] == SYSTEM
        assert document["measurements"]["cut_over"]["aws_error_seconds"] > 60
        assert f"DNS: as {SYSTEM} answers" in ada.printed


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_drill_without_faults_finds_each_defect(defect):
    with driller(Schedule(), defect=defect) as ada:
        assert ada.run(*drill("switch"))[0] == ExitCode.CHECK_FAILED


def case(seed):
    """A schedule, a fault, a defect, a former concurrency and whether the switch is engaged.

    An undisturbed drill makes some 22 requests, of which the 12th or so injects the fault.
    """
    chance = random.Random(seed)
    schedule = Schedule(
        seed,
        share=chance.choice([0.0, 0.05, 0.2, 0.6, 1.0]),
        kinds=tuple(chance.sample(KINDS, chance.randint(1, len(KINDS)))),
        begins_after=chance.choice([0, chance.randint(8, 22)]),
        expires_after=chance.choice([None, chance.randint(0, 22), chance.randint(12, 22)]),
    )
    defect = chance.choice(["", "", *DEFECTS])
    return schedule, chance.choice(FAULTS), defect, chance.choice([None, 7]), seed % 6 == 5


def holds_for_a_drill(seed):
    schedule, fault, defect, reserved, engaged = case(seed)
    with driller(schedule, *([ENGAGED] if engaged else []), defect=defect) as ada:
        if reserved:
            ada.aws.reserved[EAST] = reserved
        code, document = ada.run(*drill(fault))

        # Whatever is left is said first, with the command that finishes it, and by the exit code.
        left, note = left_by(ada, reserved), ada.aws.table.items.get("control/operations-lock", {})
        if left:
            assert code == ExitCode.CHECK_FAILED
            assert document["left"]
            assert "--restore --execute" in document["finish"][0]
            before = ada.printed.partition("Drill: ")[0].rpartition("NOT RESTORED")[2]
            assert "Finish with: python -m ops drill" in before
            assert ada.environment.journal_file.exists()
        else:
            assert code != ExitCode.PASSED or not note.get("note")
        if code == ExitCode.PASSED:
            assert not defect
            assert not engaged
            assert document["passed"]
            assert document["measurements"]["cut_over"]["state"] == "measured"
            assert not ada.environment.journal_file.exists()
        if engaged:
            assert ada.switch == "somebody"
        # And a restore, once AWS responds again, finishes it.
        schedule.is_over = True
        assert ada.run(*RESTORE)[0] == ExitCode.PASSED
        assert not left_by(ada, reserved)
        assert not read(ada.environment).note
        assert (ada.switch == "somebody") == engaged


@pytest.mark.parametrize("seed", range(10))
def test_a_drill_names_what_it_leaves_and_never_passes_falsely(seed):
    holds_for_a_drill(seed)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", more_seeds(10))
def test_many_drills_name_what_they_leave_and_never_pass_falsely(seed):
    holds_for_a_drill(seed)
