"""The table of RPOs is generated, current, and has nothing but what drills measured."""

import json
from types import SimpleNamespace

import pytest
from repository_files import REPOSITORY

from ops.drill.faults import FAULTS as DRILL_FAULTS
from scripts import rpo as table
from scripts.rpo import COUNTS, FAULTS, LAGS, Result, result_of

pytestmark = pytest.mark.unit

ROW = Result(
    fault="region-loss for good", lag_seconds=5.0, regions=2, judged_by="rto",
    expected_seconds=96.0, seconds=87.6, error_seconds=1.9, acknowledged=120, missing_writes=4,
    window_seconds=3.25, oldest_seconds=91.2, after_cut_over=0, conflicts=1, overwritten=2, lost=4,
    speed=10.0,
)  # fmt: skip


def test_the_page_is_current():
    assert table.main(["--check"]) == 0, f"run `{table.COMMAND}`"


def test_every_row_is_of_a_fault_a_lag_and_regions_that_are_measured():
    keys = [each.key for each in table.read()]

    assert len({*keys}) == len(keys)
    assert {*keys} <= {(count, fault, lag) for count in COUNTS for fault in FAULTS for lag in LAGS}


def test_what_was_measured_fits_together():
    for each in table.read():
        isolates = DRILL_FAULTS[FAULTS[each.fault][1]].isolates
        assert each.acknowledged > 10
        assert each.seconds > 0
        # Nothing but the loss of a Region for good loses a write.
        assert each.lost == 0 or each.fault == "region-loss for good"
        if each.lag_seconds == 0 and each.fault.startswith("region-loss"):
            assert each.missing_writes == 0
        if not isolates:
            assert (each.after_cut_over, each.conflicts) == (0, 0)
        assert (each.missing_writes > 0) == (each.oldest_seconds > 0)
        assert each.window_seconds <= each.oldest_seconds


def test_every_fault_is_one_of_a_drill():
    assert {options[1] for options in FAULTS.values()} <= {*DRILL_FAULTS}


def test_a_row_says_what_is_missing_at_the_cut_over_and_lost_at_the_end():
    page = table.page([ROW])

    assert "## Two Regions" in page
    assert "ran 10.0 times" in page
    assert (
        "| region-loss for good | 5 s | RTO 88 ± 2 s (96 s) | 4 of 120 | 3.2 s | 91 s | 0 | 1; 2 "
        "| 4 |"
    ) in page


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


def test_a_result_replaces_an_earlier_one_and_what_is_there_is_not_measured_again(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(table, "RESULTS", tmp_path / "rpo.json")
    monkeypatch.setattr(table, "PAGE", tmp_path / "rpo.md")
    other = Result(**{**ROW.__dict__, "lag_seconds": 0.5, "lost": 0})

    table.write([ROW])
    table.write([other])
    table.write([Result(**{**ROW.__dict__, "lost": 3})])

    assert [(each.lag_seconds, each.lost) for each in table.read()] == [(0.5, 0), (5.0, 3)]
    drilled = []

    @table.contextmanager
    def sandbox(count, lag):
        yield count, lag

    def drill(place, fault, _lag):
        drilled.append((*place, fault))
        return True

    monkeypatch.setattr(table, "_sandbox", sandbox)
    monkeypatch.setattr(table, "_drilled", drill)
    arguments = ["--run", "--regions", "2", "--fault", "region-loss for good"]

    assert table.main(arguments) == 0
    assert drilled == [(2, 0.0, "region-loss for good")]
    table.main([*arguments, "--again", "--lag", "5"])
    assert drilled[1:] == [(2, 5.0, "region-loss for good")]


def test_a_drill_that_did_not_pass_is_run_again_and_stores_nothing(tmp_path, monkeypatch):
    commands = []

    def run(command, **_):
        commands.append(command)
        return SimpleNamespace(returncode=1, stdout="{}")

    monkeypatch.setattr(table, "write", lambda _: pytest.fail("it was stored"))
    monkeypatch.setattr(table.subprocess, "run", run)

    assert not table._drilled(tmp_path / "local.json", "region-loss for good", 5.0)
    assert len(commands) == table.ATTEMPTS
    assert "--discard" in commands[0]


def test_the_how_to_links_to_the_page():
    how_to = REPOSITORY / "docs" / "how-to" / "run-a-failover-drill.md"

    assert "../reference/rpo.md" in how_to.read_text()
