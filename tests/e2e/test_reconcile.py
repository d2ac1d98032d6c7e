"""Writes on both sides of an isolated Region, and what `ops reconcile` makes of the replicas."""

import itertools
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from local_api import REGIONS, run_ops

from ops.errors import ExitCode
from ops.fault_injection import PARTITION, REPLICATION_PAUSED, Fault
from ops.reconcile.judgement import ON_ITS_WAY_SECONDS

pytestmark = pytest.mark.e2e
EAST, WEST = REGIONS
ARRIVAL_SECONDS = 60.0
APART_SECONDS = 2.5
"""Streams show whole seconds: so far apart, two times are certainly different."""


class Locations:
    """Locations that publishers register, and what was acknowledged last."""

    def __init__(self, api):
        self._api, self.ledger = api, {}

    def register(self, region, id, name):
        body = {"name": name, "latitude_degrees": 0, "longitude_degrees": 0}
        response = self._api.signed("PUT", region, f"/locations/{id}", body)
        assert response.status in (200, 201), response.text
        self.ledger[id] = name

    def shown(self, region):
        response = self._api.get(region, "/locations?limit=100")
        assert response.status == 200, response.text
        return {
            each["location"]: each["name"]
            for each in json.loads(response.text)["locations"]
            if each["location"] in self.ledger
        }


@pytest.fixture
def locations(api):
    return Locations(api)


@pytest.fixture
def reconcile(api, tmp_path):
    """Run the command; exit code and JSON document."""
    numbers = itertools.count()

    def run(*words):
        if "--since" in words:
            words += ("--output", str(tmp_path / f"plan-{next(numbers)}.jsonl"))
        done = run_ops("reconcile", *words, "--folder", str(api.workspace.folder), "--json")
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout)

    return run


def now():
    time.sleep(1.1)
    return datetime.now(UTC).isoformat(timespec="seconds")


def found(document):
    return {state: count for state, count in document["findings"].items() if count}


def entries(document):
    """The lines of the plan, without the first one."""
    return [json.loads(line) for line in Path(document["plan"]).read_text().splitlines()[1:]]


def decide(document, **changes):
    """Edit the plan's only entry as a person would."""
    first, second = Path(document["plan"]).read_text().splitlines()
    lines = [first, json.dumps(json.loads(second) | changes)]
    Path(document["plan"]).write_text("\n".join(lines))


def test_a_write_that_lost_is_found_and_comes_back_if_a_person_says_so(
    environment, locations, reconcile
):
    # GIVEN acknowledged writes to the same and to different items, in both halves of a partition
    locations.register(EAST, "reconcile-before", "before")
    assert environment.fault_injection.await_replication(ARRIVAL_SECONDS)
    since = now()
    with environment.fault_injection.injected(Fault(EAST, PARTITION)):
        locations.register(EAST, "reconcile-both", "isolated")
        locations.register(EAST, "reconcile-east", "east")
        time.sleep(APART_SECONDS)
        locations.register(WEST, "reconcile-both", "winner")
        locations.register(WEST, "reconcile-west", "west")
        time.sleep(APART_SECONDS)
    assert environment.fault_injection.await_replication(ARRIVAL_SECONDS)

    # WHEN the replicas are compared
    code, document = reconcile("--since", since)

    # THEN they are equal, and the write that lost is in the plan, with both values
    assert locations.shown(EAST) == locations.shown(WEST) == locations.ledger
    assert (code, found(document)) == (ExitCode.CHECK_FAILED, {"overwritten": 1})
    (entry,) = entries(document)
    assert entry["overwritten"]["region"] == EAST
    assert entry["overwritten"]["value"]["name"] == {"S": "isolated"}
    assert {item["name"]["S"] for item in entry["regions"].values()} == {"winner"}
    assert (entry["action"], entry["wins"]) == ("keep", WEST)
    # AND carrying it out as it is changes nothing
    assert reconcile("--apply", document["plan"])[0] == ExitCode.PASSED
    assert reconcile("--since", since, "--reviewed", document["plan"])[0] == ExitCode.PASSED

    # WHEN a person wants it, and somebody has changed the item since
    decide(document, action="replay")
    locations.register(WEST, "reconcile-both", "newer")
    assert environment.fault_injection.await_replication(ARRIVAL_SECONDS)
    code, left = reconcile("--apply", document["plan"])

    # THEN it is left as it is
    assert (code, left["outcomes"]["done"]) == (ExitCode.CHECK_FAILED, 0)
    assert locations.shown(EAST) == locations.shown(WEST) == locations.ledger

    # WHEN it is the one that the plan saw
    locations.register(WEST, "reconcile-both", "winner")
    assert environment.fault_injection.await_replication(ARRIVAL_SECONDS)
    code, applied = reconcile("--apply", document["plan"])

    # THEN it is written, in every Region, and nothing is left to find
    assert (code, applied["outcomes"]["done"]) == (ExitCode.PASSED, 1)
    assert environment.fault_injection.await_replication(ARRIVAL_SECONDS)
    locations.ledger["reconcile-both"] = "isolated"
    assert locations.shown(EAST) == locations.shown(WEST) == locations.ledger
    assert reconcile("--since", since)[0] == ExitCode.PASSED


def test_what_replication_holds_back_is_replayed_and_nothing_is_left_to_find(
    environment, locations, reconcile
):
    # GIVEN items that do not leave their Region, one of them new
    locations.register(EAST, "reconcile-old", "old")
    assert environment.fault_injection.await_replication(ARRIVAL_SECONDS)
    since = now()
    with environment.fault_injection.injected(Fault(EAST, REPLICATION_PAUSED)):
        locations.register(EAST, "reconcile-new", "new")
        locations.register(EAST, "reconcile-old", "changed")
        time.sleep(ON_ITS_WAY_SECONDS / environment.speed + APART_SECONDS)

        # WHEN the plan is carried out as it was proposed
        code, document = reconcile("--since", since)
        assert (code, found(document)) == (ExitCode.CHECK_FAILED, {"missing": 1, "different": 1})
        assert {(e["action"], e["from"], *e["in"]) for e in entries(document)} == {
            ("replay", EAST, WEST)
        }
        code, applied = reconcile("--apply", document["plan"])
        assert (code, applied["outcomes"]["done"]) == (ExitCode.PASSED, 2)

        # THEN the other Region has them, although nothing arrives
        assert locations.shown(WEST) == locations.ledger
        assert reconcile("--since", since)[0] == ExitCode.PASSED

    # AND what arrives afterwards changes nothing
    assert environment.fault_injection.await_replication(ARRIVAL_SECONDS)
    assert locations.shown(EAST) == locations.shown(WEST) == locations.ledger
    code, document = reconcile("--since", since)
    assert (code, found(document)) == (ExitCode.PASSED, {})
