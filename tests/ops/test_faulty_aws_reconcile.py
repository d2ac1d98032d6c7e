"""Reconciliation while AWS fails: no traceback, no false "passed", and nothing half known.

A list that arrives emptied is another test's: of a stream's page nothing says how many it had.
"""

import io
import json
import tempfile
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from faulty_aws import KINDS, Faulty, Schedule
from faulty_operator import schedules
from hypothesis import given
from hypothesis import strategies as st
from replicas import REGIONS, START, Replicas

from ops import __main__ as program
from ops.cli import reconcile as cli
from ops.errors import ExitCode
from ops.reconcile.comparison import Comparison
from ops.reconcile.plan import entries_of
from ops.reconcile.reading import Pace
from ops.reconcile.values import digest, key_text

pytestmark = pytest.mark.model
EAST, WEST = REGIONS[:2]
FAULTS = schedules([kind for kind in KINDS if kind != "empty"])
SINCE = "2027-01-15T07:59:00Z"


def key(text):
    return {"pk": {"S": "p"}, "sk": {"S": text}}


def item(text, value):
    return key(text) | {"value": {"N": value}}


class Operator:
    """Somebody who reconciles a table of two replicas whose AWS fails."""

    def __init__(self, schedule, folder, *, differs=True):
        self.replicas, self.schedule, self.folder = Replicas(), schedule, folder
        for number in range(60):
            self.replicas.write(EAST, key(str(number)), item(str(number), "0"))
        self.replicas.wait(100)
        if differs:
            self.replicas.isolate(EAST)
            self.replicas.write(EAST, key("lost"), item("lost", "1"))
            self.replicas.wait(10)
            self.replicas.write(WEST, key("lost"), item("lost", "2"))
            self.replicas.wait(10)
            self.replicas.connect(EAST)
            self.replicas.wait(10)
            self.replicas.isolate(EAST)
            for number in range(5):
                self.replicas.write(EAST, key(str(number)), item(str(number), "3"))
            self.replicas.write(WEST, key("new"), item("new", "4"))
        self.replicas.wait(100)

    def run(self, *words):
        environment = self.replicas.environment(
            lambda client, service, region: Faulty(client, self.schedule, service, region),
            folder=self.folder,
        )
        out, errors = io.StringIO(), io.StringIO()
        with (
            patch.object(cli, "environment_from", lambda _: environment),
            patch.object(cli, "hold", _held),
            patch.object(cli, "Pace", partial(Pace, sleep=lambda _: None)),
            patch.object(cli, "Comparison", partial(Comparison, clock=lambda: self.replicas.now)),
            patch.object(cli, "datetime", _Clock),
            redirect_stdout(out),
            redirect_stderr(errors),
        ):
            arguments = ["--environment", "production", "--json", "--folder", str(self.folder)]
            code = program.main(["reconcile", *words, *arguments])
        assert "Traceback" not in errors.getvalue()
        document = json.loads(out.getvalue())
        assert document["exit_code"] == code
        assert "report it as a bug" not in str(document["error"]), document["error"]
        assert code in {*ExitCode}
        return code, document

    @property
    def plans(self):
        return list((self.folder / "reconcile").glob("*"))


class _Clock(cli.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(START + 1000, tz)


@contextmanager
def _held(*_, **__):
    yield SimpleNamespace(lost="")


@contextmanager
def operator(schedule, **options):
    with tempfile.TemporaryDirectory() as folder:
        yield Operator(schedule, Path(folder), **options)


FOUND = {"overwritten": 1, "different": 5, "missing": 1}


def test_without_faults_what_differs_is_found_and_replayed():
    with operator(Schedule()) as ada:
        code, document = ada.run("--since", SINCE)
        assert code == ExitCode.CHECK_FAILED
        assert {k: v for k, v in document["findings"].items() if v} == FOUND

        code, document = ada.run("--apply", document["plan"], "--yes")
        assert (code, document["outcomes"]["done"]) == (ExitCode.PASSED, 6)


@given(FAULTS)
def test_a_difference_never_passes_and_a_plan_is_whole_or_none(schedule):
    with operator(schedule) as ada:
        code, document = ada.run("--since", SINCE)

        assert code in (ExitCode.CHECK_FAILED, ExitCode.PREREQUISITE)
        if code == ExitCode.CHECK_FAILED:
            assert {k: v for k, v in document["findings"].items() if v} == FOUND
            (plan,) = ada.plans
            assert len(list(entries_of(plan))) == 7
        else:
            assert document["error"]["next_step"]
            assert ada.plans == []


@given(FAULTS)
def test_equal_replicas_never_fail_the_check(schedule):
    with operator(schedule, differs=False) as ada:
        code, _ = ada.run("--since", SINCE)

        assert code in (ExitCode.PASSED, ExitCode.PREREQUISITE)


@given(FAULTS, st.integers(1, 3))
def test_a_plan_is_carried_out_in_the_end_however_often_it_is_interrupted(schedule, times):
    with operator(Schedule()) as ada:
        _, document = ada.run("--since", SINCE)
        plan = document["plan"]
        seen = {key_text(e.key): e for _, e in entries_of(Path(plan)) if e.action != "keep"}
        ada.schedule = schedule
        for _ in range(times):
            code, document = ada.run("--apply", plan, "--yes")
            for text, entry in seen.items():
                for region, before in entry.regions.items():
                    now = digest(ada.replicas.items[region].get(text))
                    assert now in (digest(before), digest(entry.wanted))
                    if code == ExitCode.PASSED:
                        assert now == digest(entry.wanted)
            if code != ExitCode.PASSED:
                assert document["error"]["message"]
        ada.schedule = Schedule()
        assert ada.run("--apply", plan, "--yes")[0] == ExitCode.PASSED
        assert ada.replicas.writes == len(seen)
