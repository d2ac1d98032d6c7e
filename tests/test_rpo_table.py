"""The table of RPOs is generated, current, and has nothing but what drills measured."""

import json
import math
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from repository_files import REPOSITORY

from ops.cli.program import INTERRUPTED
from ops.drill.faults import FAULTS as DRILL_FAULTS
from scripts import rpo as table
from scripts.rpo import COUNTS, FAULTS, LAGS, Failure, Result, findings_of, result_of

pytestmark = pytest.mark.unit

ROW = Result(
    fault="region-loss for good", lag_seconds=5.0, regions=2, judged_by="rto",
    expected_seconds=96.0, seconds=87.6, error_seconds=1.9, acknowledged=120, missing_writes=4,
    window_seconds=3.25, oldest_seconds=91.2, after_cut_over=0, conflicts=1, overwritten=2, lost=4,
    speed=10.0,
)  # fmt: skip
FAILURE = Failure(
    fault="partition", lag_seconds=0.5, regions=3, speed=2.5, findings=("the RTO is 9 s", "late")
)
KEY = (2, "region-loss for good", 5.0)


def test_the_page_is_current():
    assert table.main(["--check"]) == 0, f"run `{table.COMMAND}`"


def test_every_row_is_of_a_fault_a_lag_and_regions_that_are_measured():
    keys = [each.key for each in table.read()]

    assert len({*keys}) == len(keys)
    assert {*keys} <= {(count, fault, lag) for count in COUNTS for fault in FAULTS for lag in LAGS}


def test_what_was_measured_fits_together():
    for each in table.read():
        if isinstance(each, Failure):
            assert each.findings
            continue
        isolates = DRILL_FAULTS[FAULTS[each.fault][1]].isolates
        assert each.acknowledged > 10
        assert each.seconds > 0
        # Nothing but the loss of a Region for good loses a write.
        assert each.lost == 0 or each.fault.startswith("region-loss for good")
        if each.lag_seconds == 0 and each.fault.startswith("region-loss"):
            assert each.missing_writes == 0
        if not isolates:
            assert (each.after_cut_over, each.conflicts) == (0, 0)
        assert (each.missing_writes > 0) == (each.oldest_seconds > 0)
        assert each.window_seconds <= each.oldest_seconds
        assert (each.refused is not None) == each.fault.endswith("fenced")
        assert (each.replayed is not None) == each.fault.endswith("reconciled")
        assert not each.left


def test_every_fault_is_one_of_a_drill():
    assert {options[1] for options in FAULTS.values()} <= {*DRILL_FAULTS}


def test_a_row_says_what_is_missing_at_the_cut_over_and_lost_at_the_end():
    page = table.page([ROW])

    assert "## Two Regions" in page
    assert "ran 10.0 times" in page
    row = "| region-loss for good | 5 s | RTO 88 ± 2 s (96 s) | 4 of 120 | 3.2 s | 91 s | 0 | 1; 2 "
    assert f"{row}| 4 | - | - |" in page
    measured = replace(ROW, refused=7, replayed=4, left=0)
    assert f"{row}| 4 | 7 | 4; 0 |" in table.page([measured])
    assert "Did not pass" not in page


def test_what_did_not_pass_is_on_the_page_with_what_it_found():
    page = table.page([ROW, FAILURE])

    assert (
        "## Did not pass\n\n- **partition**, lag 0.5 s, 3 Regions, 2.5 times as fast as AWS: "
        "the RTO is 9 s; late\n"
    ) in page
    assert "## Three Regions" not in page


def test_a_row_is_what_the_drill_printed():
    report = {
        "judged_by": "rto", "regions": ["us-east-1", "us-west-2"], "speed": 10.0,
        "measurements": {"rto": {"aws_seconds": 87.61, "aws_error_seconds": 1.93}},
        "expectation": {"seconds": 96.0},
        "consistency": {
            "acknowledged": {"put": 100, "update": 15, "delete": 5}, "missing_writes": 4,
            "window_seconds": 3.25, "oldest_seconds": 91.21, "after_cut_over": 0,
            "conflicts": [{}], "overwritten": 2, "lost": 4,
        },
    }  # fmt: skip

    found = result_of(json.loads(json.dumps(report)), fault="region-loss for good", lag_seconds=5.0)

    assert found == Result(**{**ROW.__dict__, "window_seconds": 3.2})


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Files in the place of those of the repository."""
    monkeypatch.setattr(table, "RESULTS", tmp_path / "rpo.json")
    monkeypatch.setattr(table, "PAGE", tmp_path / "rpo.md")


@pytest.fixture
def drilled(stored, monkeypatch):
    """The drills that are run, each with its sandbox; all pass."""
    drills = []

    @table.contextmanager
    def sandbox(*place):
        yield place

    def drill(place, key, _ends_at):
        drills.append((place, key))
        return True

    monkeypatch.setattr(table, "_sandbox", sandbox)
    monkeypatch.setattr(table, "_drilled", drill)
    return drills


def test_a_result_replaces_an_earlier_one_whether_it_passed_or_not(stored):
    other = replace(ROW, lag_seconds=0.5, lost=0)

    table.write([ROW])
    table.write([other])
    table.write([replace(ROW, lost=3)])
    assert [(each.lag_seconds, each.lost) for each in table.read()] == [(0.5, 0), (5.0, 3)]

    failure = Failure(fault=ROW.fault, lag_seconds=5.0, regions=2, speed=None, findings=["why"])
    table.write([failure])
    assert table.read() == [other, failure]
    assert "why" in table.PAGE.read_text()
    table.write([ROW])
    assert table.read() == [other, ROW]


def test_what_is_there_is_not_measured_again_unless_it_is_asked_for(drilled):
    table.write([replace(ROW, lag_seconds=0.5), ROW])
    arguments = ["--run-missing", "--regions", "2", "--fault", ROW.fault]

    assert table.main(arguments) == 0
    assert [key for _, key in drilled] == [(2, ROW.fault, 0.0)]
    table.main([*arguments, "--again", "--lag", "5"])
    assert [key for _, key in drilled[1:]] == [KEY]


def test_what_did_not_pass_is_measured_last_and_fences_are_in_a_sandbox_that_has_them(drilled):
    table.write([FAILURE])
    names = ("partition", "partition, fenced", "sts")
    chosen = [word for name in names for word in ("--fault", name)]

    table.main(["--run", "--regions", "3", "--lag", "0.5", *chosen])

    assert drilled == [
        ((3, 0.5, True), (3, "partition, fenced", 0.5)),
        ((3, 0.5, False), (3, "sts", 0.5)),
        ((3, 0.5, False), (3, "partition", 0.5)),
    ]


def test_no_drill_is_begun_that_does_not_end_in_time(drilled):
    minutes = table.DRILL_SECONDS / 60

    table.main(["--run-missing", "--minutes", f"{minutes / 2}"])
    assert not drilled
    table.main(["--run-missing", "--minutes", f"{minutes * 1000}"])
    assert len(drilled) == len(COUNTS) * len(FAULTS) * len(LAGS)


def test_a_sandbox_that_runs_needs_its_lag_and_regions(capsys):
    with pytest.raises(SystemExit):
        table.main(["--run", "--descriptor", "local.json", "--lag", "5"])

    assert "--descriptor requires the --lag and --regions" in capsys.readouterr().err


@pytest.fixture
def descriptor(tmp_path):
    """A descriptor, as far as the speed."""
    path = tmp_path / "local.environment.json"
    path.write_text(json.dumps({"sandbox": {"speed": 20.0}}))
    return path


def test_a_drill_that_did_not_pass_is_run_at_half_the_speed_and_stored_with_its_findings(
    stored, descriptor, monkeypatch
):
    speeds = []

    def run(used, folder, fault, _ends_at):
        assert (folder, fault) == (descriptor.parent, ROW.fault)
        speeds.append(json.loads(used.read_text())["sandbox"]["speed"])
        return 1, {"speed": 5.0, "findings": [f"wrong, {len(speeds)}"]}

    monkeypatch.setattr(table, "_run", run)

    assert not table._drilled(descriptor, KEY, math.inf)
    assert speeds == [20.0, 2.5]
    (failure,) = table.read()
    assert (failure.key, failure.findings) == (KEY, ["wrong, 2"])


@pytest.mark.parametrize("code", [INTERRUPTED, 2])
def test_what_was_interrupted_or_not_accepted_is_not_stored(stored, descriptor, monkeypatch, code):
    monkeypatch.setattr(table, "_run", lambda *_: (code, {"error": {"message": "no"}}))

    assert not table._drilled(descriptor, KEY, math.inf)
    assert table.read() == []


def test_findings_are_those_of_the_drill_its_load_and_what_kept_it_from_running():
    assert findings_of({"findings": ["a"], "load": {"unmeasured": ["b"]}, "left": ["c"]}) == [
        "a", "b", "c",
    ]  # fmt: skip
    assert findings_of({"error": {"message": "d", "next_step": "e"}}) == ["d"]
    assert findings_of({"error": None, "load": None}) == []


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A program in the place of Python; it notes its arguments, and does what a test writes."""

    def write(text):
        path = tmp_path / "program"
        path.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\n{text}\n')
        path.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(path))
        return tmp_path / "arguments"

    return write


def test_a_drill_that_did_not_begin_is_tried_again_and_one_that_failed_is_not(program, descriptor):
    begun = program("""echo '{"error": null}'; exit 1""")
    assert table._run(descriptor, descriptor.parent, ROW.fault, math.inf) == (1, {"error": None})
    lines = begun.read_text().splitlines()
    assert len(lines) == table.ATTEMPTS
    assert "--fault region-loss --discard" in lines[0]

    begun.unlink()
    program("""echo '{"findings": []}'; exit 1""")
    assert table._run(descriptor, descriptor.parent, ROW.fault, math.inf) == (1, {"findings": []})
    assert len(begun.read_text().splitlines()) == 1


def test_a_drill_that_does_not_end_in_time_is_interrupted_and_waited_for(
    program, descriptor, monkeypatch
):
    ready, restored = descriptor.parent / "ready", descriptor.parent / "restored"
    program(
        f"trap 'touch {restored}; exit 130' {signal.SIGINT.value}\n"
        f"touch {ready}; while :; do sleep 0.05; done"
    )

    class Begun(subprocess.Popen):
        """A drill that has begun before its time is measured."""

        def communicate(self, input=None, timeout=None):
            while not ready.exists():
                time.sleep(0.01)
            return super().communicate(input, timeout)

    monkeypatch.setattr(table.subprocess, "Popen", Begun)

    code, report = table._run(descriptor, descriptor.parent, ROW.fault, time.monotonic())

    assert (code, report) == (INTERRUPTED, {})
    assert restored.exists()


def test_the_how_to_links_to_the_page():
    how_to = REPOSITORY / "docs" / "how-to" / "run-a-failover-drill.md"

    assert "../reference/rpo.md" in how_to.read_text()
