"""The drill's location: what it looks for and clears away, and what is in its way."""

import json
import threading
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from fake_environment import EAST, environment

from ops.drill import probe_location, region_api
from ops.drill.history import Seen
from ops.drill.probe_location import LOCATION_KEY, ProbeLocation, key_of
from ops.errors import OpsError
from ops.http_client import Network, Response

pytestmark = pytest.mark.unit

LIMITED = Response(429, headers={"retry-after": "2"})
REFUSALS = [LIMITED, Response(503), Response(None, error="TimeoutError: too late")]


@dataclass(frozen=True)
class Limited(Network):
    """A Region that refuses each request so many times before it serves it."""

    refusals: int = 1
    observations: set[str] = field(default_factory=set)
    refused: dict[str, int] = field(default_factory=dict)
    refusal: Response = LIMITED

    def request(self, method, url, **_):
        if self.refused.setdefault(f"{method} {url}", 0) < self.refusals:
            self.refused[f"{method} {url}"] += 1
            return self.refusal
        if method == "DELETE":
            self.observations.discard(url.rpartition("/")[2])
            return Response(204)
        listed = [{"observed_at": key, "temperature_celsius": 1.5}
                  for key in sorted(self.observations)]  # fmt: skip
        places = [{"location": "drill-1", "latitude_degrees": 0.07}]
        page = {"observations": listed, "locations": places, "next_cursor": None}
        return Response(200, body=json.dumps(page))


@dataclass(frozen=True)
class Undeletable(Limited):
    """A Region that lists and refuses to delete; each refusal takes a moment."""

    deletes: list[str] = field(default_factory=list)

    def request(self, method, url, **options):
        if method != "DELETE":
            return super().request(method, url, **options)
        self.deletes.append(url)
        threading.Event().wait(0.01)
        return Response(403)


@pytest.fixture
def clock(monkeypatch):
    """Time that passes by sleeping only."""
    now = [0.0]
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    # In these modules alone: other threads' event loops would wait for hours.
    time = SimpleNamespace(sleep=sleep, monotonic=lambda: now[0])
    monkeypatch.setattr(probe_location, "time", time)
    monkeypatch.setattr(region_api, "time", time)
    return slept


def location(network):
    return ProbeLocation(environment(network=network), "drill-1")


@pytest.mark.parametrize("refusal", REFUSALS, ids=["limit", "busy", "timeout"])
def test_a_refusal_that_passes_does_not_keep_a_drill_from_deleting_what_it_wrote(clock, refusal):
    observations = {key_of(0), key_of(1)}
    network = Limited((), "example.com", observations=observations, refusal=refusal)

    assert location(network).empty(EAST) == 2
    assert network.observations == set()
    assert set(clock) == {2.0 if refusal is LIMITED else 1.0}


def test_a_limit_that_lasts_is_reported(clock):
    network = Limited((), "example.com", observations={key_of(0)}, refusals=1000)

    with pytest.raises(OpsError, match="429"):
        location(network).empty(EAST)
    # Once for the listing, which is not served either.
    assert sum(clock) == region_api.RETRY_SECONDS


def test_after_a_delete_that_failed_no_others_are_sent(clock):
    keys = {key_of(n) for n in range(500)}
    network = Undeletable((), "example.com", observations=keys, refusals=0)

    with pytest.raises(OpsError, match="403"):
        location(network).empty(EAST)

    assert len(network.deletes) < 500


def readings(network, keys, seconds=3):
    clock = probe_location.time.monotonic
    return list(location(network).readings(EAST, keys, seconds, clock))


def test_a_region_that_cannot_be_read_gives_readings_that_say_why(clock):
    network = Limited((), "example.com", refusals=1000)

    found = readings(network, {key_of(0)})

    assert [reading.at for reading in found] == [0, 1, 2, 3]
    assert all("429" in reading.error and not reading.values for reading in found)


def test_a_region_is_read_until_time_is_up(clock):
    network = Limited((), "example.com", observations={key_of(0)}, refusals=0)

    found = readings(network, {key_of(0), key_of(1)})

    assert found[-1] == Seen(EAST, 3.0, 3.0, {key_of(0): (1.5,), LOCATION_KEY: (0.07,)})
    assert len(found) == 4


def test_a_region_that_holds_everything_is_read_once(clock):
    network = Limited((), "example.com", observations={key_of(0), key_of(1)}, refusals=0)

    found = readings(network, {key_of(0)})

    assert [sorted(each.values) for each in found] == [[key_of(0), key_of(1), LOCATION_KEY]]


@dataclass(frozen=True)
class Pages(Network):
    """A Region with these pages, one after the other."""

    pages: list[str] = field(default_factory=list)

    def request(self, *_, **__):
        return Response(200, body=self.pages.pop(0) if len(self.pages) > 1 else self.pages[0])


def test_all_values_of_a_time_are_read_from_all_pages():
    def page(cursor, *values):
        listed = [{"observed_at": "a", "temperature_celsius": value} for value in values]
        return json.dumps({"observations": listed, "next_cursor": cursor})

    network = Pages((), "example.com", pages=[page("x", 1.5, 9.9), page(None, 1.5)])

    assert location(network).observations(EAST) == {"a": (1.5, 9.9, 1.5)}


@pytest.mark.parametrize(
    "page",
    ["<html>", "[]", "{}", '{"observations": [1], "next_cursor": null}',
     '{"observations": [{}], "next_cursor": null}', '{"observations": [], "next_cursor": "x"}'],
)  # fmt: skip
def test_a_listing_of_another_form_is_a_region_that_cannot_be_read(page):
    with pytest.raises(OpsError, match="does not list"):
        location(Pages((), "example.com", pages=[page])).observations(EAST)


@pytest.mark.parametrize(
    "page",
    ["<html>", "[]", "{}", '{"locations": ["drill-00000001"], "next_cursor": null}',
     '{"locations": {"a": 1}, "next_cursor": null}'],
)  # fmt: skip
def test_locations_are_listed_by_the_next_region_if_a_listing_has_another_form(page):
    listed = [{"location": "drill-00000002", "name": "Failover drill"}]
    good = json.dumps({"locations": listed, "next_cursor": None})
    found = environment(network=Pages((), "example.com", pages=[page, good]))

    assert [each.location_id for each in probe_location.probe_locations(found)] == [
        "drill-00000002"
    ]
