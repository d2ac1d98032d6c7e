"""The fence: which requests an evacuated Region refuses, when, and what it does not depend on.

A model says it in a few lines. Random histories are played on both, and on fences with planted
bugs, each of which the model finds.
"""

import importlib.util
import json
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest
from repository_files import REPOSITORY

import delete_observation
import get_evacuation
import get_health
import get_openapi
import get_weather
import list_locations
import list_observations
import put_location
import put_observation
from weather import fence, replica, telemetry
from weather.errors import Unavailable, WritesRefused

pytestmark = pytest.mark.unit

HERE, ELSEWHERE = "eu-central-1", "eu-west-1"
RETRY_AFTER = 60
TIME = "2026-01-31T06:00:00Z"
BERLIN = {"name": "Berlin", "latitude_degrees": 52.5, "longitude_degrees": 13.4}
WRITES = [
    (put_location, {"location": "berlin"}, BERLIN),
    (put_observation, {"location": "berlin", "observed_at": TIME}, {"temperature_celsius": 1}),
    (delete_observation, {"location": "berlin", "observed_at": TIME}, None),
]
READS = [
    (get_weather, {"location": "berlin"}),
    (list_locations, None),
    (list_observations, {"location": "berlin"}),
    (get_health, None),
    (get_openapi, None),
    (get_evacuation, {"region": ELSEWHERE}),
]


def at(seconds):
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def evacuation(region=HERE, **texts):
    return {"pk": "control", "sk": f"evacuation-{region}", "writer": "switch-1", **texts}


@pytest.fixture
def fenced(table, monkeypatch):
    """The functions of an environment that fences writes; each call reads the item."""
    client = replica.connect(connect_timeout_seconds=1, read_timeout_seconds=1, attempts=1)
    monkeypatch.setattr(fence, "_fence", fence.Fence(client, HERE, RETRY_AFTER))
    monkeypatch.setattr(fence, "LOOK_SECONDS", 0.0)
    return table


def written(call):
    return [call(operation, path=path, body=body).status for operation, path, body in WRITES]


def test_writes_are_refused_with_a_problem_document_and_where_to_go(fenced, call):
    fenced.put_item(Item=evacuation(fence_after=at(-1)))

    for operation, path, body in WRITES:
        # What the operation answers is held against the OpenAPI document.
        answer = call(operation, path=path, body=body)
        assert answer.status == 503
        assert answer.headers["Retry-After"] == str(RETRY_AFTER)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["X-Served-By-Region"] == HERE
        assert answer.document["type"] == "urn:weather:problem:writes-refused"
        assert HERE in answer.document["detail"]
    # AND nothing was written
    assert [item["sk"] for item in fenced.scan()["Items"]] == [f"evacuation-{HERE}"]


def test_reads_and_health_checks_are_never_fenced(fenced, call):
    assert written(call)[:2] == [201, 201]
    before = [call(operation, path=path).status for operation, path in READS]
    fenced.put_item(Item=evacuation(fence_after=at(-1)))
    written(call)

    assert [call(operation, path=path).status for operation, path in READS] == before


def test_what_a_read_would_need_of_the_fence_is_not_even_asked(fenced, call, monkeypatch):
    class Forbidden:
        def require_open(self):
            raise AssertionError("a read asks the fence")

    monkeypatch.setattr(fence, "_fence", Forbidden())

    assert all(call(operation, path=path).status < 500 for operation, path in READS)


@pytest.mark.parametrize(
    "item",
    [
        evacuation(),
        evacuation(fence_after=""),
        evacuation(fence_after="soon"),
        evacuation(fence_after="2020-01-01T00:00:00"),
        evacuation(fence_after=at(86400)),
        evacuation(fence_after=at(-60), expires_at=at(-1)),
        evacuation(ELSEWHERE, fence_after=at(-1)),
    ],
    ids=["none", "empty", "words", "no zone", "later", "expired", "another Region"],
)
def test_writes_are_accepted_unless_the_fence_of_this_region_is_up(fenced, call, item):
    fenced.put_item(Item=item)

    assert written(call) == [201, 201, 204]


@pytest.mark.parametrize("end", ["", "tomorrow", at(86400)], ids=["none", "words", "later"])
def test_the_fence_lasts_as_long_as_the_evacuation(fenced, call, end):
    fenced.put_item(Item=evacuation(fence_after=at(-1), expires_at=end))
    assert written(call) == [503] * 3

    fenced.delete_item(Key={"pk": "control", "sk": f"evacuation-{HERE}"})
    assert written(call) == [201, 201, 204]


def test_an_environment_without_a_fence_reads_nothing(table, call):
    assert fence._fence is None
    table.put_item(Item=evacuation(fence_after=at(-1)))

    assert written(call) == [201, 201, 204]


def test_a_function_finds_its_fence_in_its_environment():
    """In a process of its own: it is read when the module is imported."""
    program = (
        "from weather import fence; f = fence._fence;"
        "print(f and (f._key.sk, f._retry_after_seconds))"
    )

    def found(**variables):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=REPOSITORY / "lambda_src",
            env={"TABLE_NAME": "t", "AWS_REGION": HERE, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    assert found() == "None"
    assert found(FENCE_RETRY_AFTER_SECONDS="20") == f"('evacuation-{HERE}', 20)"


@pytest.mark.parametrize("error", [Unavailable("x"), KeyError("x"), TimeoutError()])
def test_a_fence_that_cannot_be_read_is_open_and_says_so(fenced, call, monkeypatch, capsys, error):
    def fails(*_):
        raise error

    monkeypatch.setattr(fence.replica, "read", fails)

    assert written(call) == [201, 201, 204]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    unknown = [line for line in lines if line["message"] == "FenceUnknown"]
    assert len(unknown) == len(WRITES)
    assert {line["error"] for line in unknown} == {type(error).__name__}
    assert {line["level"] for line in unknown} == {"WARN"}
    assert all(line["FenceUnknown"] == 1 for line in unknown)
    (directive,) = unknown[0]["_aws"]["CloudWatchMetrics"]
    assert directive["Metrics"] == [{"Name": "FenceUnknown", "Unit": "Count"}]


def test_a_refused_write_is_no_failure_of_the_table(fenced, call, capsys):
    fenced.put_item(Item=evacuation(fence_after=at(-1)))
    capsys.readouterr()
    written(call)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == len(WRITES)
    assert all(line["WritesRefused"] == 1 for line in lines)
    assert not any("TableUnavailable" in line for line in lines)
    assert {line["error"] for line in lines} == {"WritesRefused"}


# The model


class Region:
    """A replica whose items a test sets, and which fails when a test says so."""

    def __init__(self):
        self.items, self.fails, self.reads = {}, False, 0

    def get_item(self, *, Key, **_):  # noqa: N803
        self.reads += 1
        if self.fails:
            raise OSError
        item = self.items.get(Key["sk"]["S"])
        return {"Item": {name: {"S": text} for name, text in item.items()}} if item else {}


class History:
    """A random history of a Region, and what a fence makes of each write."""

    def __init__(self, seed, kind=fence.Fence):
        self.random = random.Random(seed)
        self.region, self.now, self.read_at = Region(), 1000.0, None
        self.fence = kind(self.region, HERE, RETRY_AFTER, clock=lambda: self.now)
        self.known = None
        self.looked_at = float("-inf")

    def time(self, seconds):
        return datetime.fromtimestamp(self.now + seconds, UTC).isoformat()

    def step(self):
        """Something happens; then a write comes."""
        draw = self.random
        what = draw.randrange(7)
        if what == 0:
            self.region.items[f"evacuation-{HERE}"] = {
                "fence_after": draw.choice(["", self.time(0), self.time(20), self.time(-5)]),
                "expires_at": draw.choice(["", "", self.time(15), self.time(60)]),
            }
        elif what == 1:
            self.region.items.pop(f"evacuation-{HERE}", None)
        elif what == 2:
            self.region.items[f"evacuation-{ELSEWHERE}"] = {"fence_after": self.time(-1)}
        elif what == 3:
            self.region.fails = not self.region.fails
        # The time of day is set back now and then.
        self.now = round(self.now + draw.choice([0.1, 0.4, 2.0, 7.0, 25.0, 70.0, -5.0]), 1)

    def expected(self):
        """What the rules say of a write now, in a few lines."""
        if not 0 <= self.now - self.looked_at < 1.0:
            self.looked_at = self.now
            if not self.region.fails:
                self.known = dict(self.region.items.get(f"evacuation-{HERE}", {})), self.now
            elif self.known and not 0 <= self.now - self.known[1] < 30.0:
                self.known = None
        texts = self.known[0] if self.known else {}
        after, end = texts.get("fence_after", ""), texts.get("expires_at", "")
        today = self.time(0)
        return bool(after) and after <= today and not (end and end <= today)

    def refuses(self):
        try:
            self.fence.require_open()
        except WritesRefused:
            return True
        return False

    def first_difference(self, steps, monkeypatch):
        monkeypatch.setattr(
            replica,
            "is_past",
            lambda time: bool(time) and datetime.fromisoformat(time).timestamp() <= self.now,
        )
        monkeypatch.setattr(telemetry, "warn", lambda *_: None)
        for number in range(steps):
            self.step()
            reads = self.region.reads
            expected, found = self.expected(), self.refuses()
            if expected != found or self.region.reads > reads + 1:
                return f"step {number}: expected {expected}, found {found}"
        return None


SEEDS = range(60)
STEPS = 80


@pytest.mark.parametrize("seed", SEEDS)
def test_every_history_is_as_the_model_says(seed, monkeypatch):
    history = History(seed)

    assert history.first_difference(STEPS, monkeypatch) is None


def test_a_write_a_minute_or_a_hundred_a_second_read_the_item_once_a_second_at_most(monkeypatch):
    history = History(0)
    for _ in range(1000):
        history.now += 0.01
        history.refuses()
    assert history.region.reads in (10, 11)


def test_a_function_that_lambda_had_frozen_reads_the_item_again(monkeypatch):
    # GIVEN an environment whose monotonic clock stops with it, as on AWS; here it is a mock
    today = time.time()
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    monkeypatch.setattr(time, "time", lambda: today)
    specification = importlib.util.spec_from_file_location("fence_of_aws", fence.__file__)
    frozen = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(frozen)
    region = Region()
    its_fence = frozen.Fence(region, HERE, RETRY_AFTER)
    its_fence.require_open()

    # WHEN the Region is fenced, and the next write comes minutes later
    region.items[f"evacuation-{HERE}"] = {"fence_after": at(-60)}
    today += 300

    # THEN it is refused
    with pytest.raises(WritesRefused):
        its_fence.require_open()


class CachedForEver(fence.Fence):
    def _look(self, now):
        if self._read_at == float("-inf"):
            super()._look(now)


class FailsClosed(fence.Fence):
    def _look(self, now):
        read_at = self._read_at
        super()._look(now)
        if self._read_at == read_at:
            self._item = {"fence_after": "2020-01-01T00:00:00+00:00"}


class KeptForEver(fence.Fence):
    def _look(self, now):
        known = self._item
        super()._look(now)
        if self._read_at != now:
            self._item = known


class ForgetsAtOnce(fence.Fence):
    def _look(self, now):
        self._item = {}
        super()._look(now)


class OfAnotherRegion(fence.Fence):
    def __init__(self, client, here, *arguments, **options):
        super().__init__(client, ELSEWHERE, *arguments, **options)


class IgnoresTheEnd(fence.Fence):
    def _look(self, now):
        super()._look(now)
        self._item = {**self._item, "expires_at": ""}


class UpAtOnce(fence.Fence):
    def _look(self, now):
        super()._look(now)
        if "fence_after" in self._item:
            self._item = {**self._item, "fence_after": "2020-01-01T00:00:00+00:00"}


class NeverUp(fence.Fence):
    def require_open(self):
        return


class ReadsEveryTime(fence.Fence):
    def require_open(self):
        self._looked_at = float("-inf")
        super().require_open()


class LooksOnlyAfterAMinute(fence.Fence):
    def require_open(self):
        if self._clock() < self._looked_at + 60:
            self._looked_at = self._clock()
        super().require_open()


@pytest.mark.parametrize(
    "kind",
    [
        CachedForEver, FailsClosed, KeptForEver, ForgetsAtOnce, OfAnotherRegion, IgnoresTheEnd,
        UpAtOnce, NeverUp, ReadsEveryTime, LooksOnlyAfterAMinute,
    ],
)  # fmt: skip
def test_a_planted_bug_is_found(kind, monkeypatch):
    assert any(History(seed, kind).first_difference(STEPS, monkeypatch) for seed in SEEDS)
