"""The drill's location: what it looks for and clears away, and what stands in its way."""

import json
import time
from dataclasses import dataclass, field

import pytest
from fake_environment import EAST, environment

from ops.calls import Answer, Network
from ops.drill import station as stations
from ops.drill.station import Station, key_of
from ops.errors import OpsError

pytestmark = pytest.mark.unit

LIMITED = Answer(429, headers={"retry-after": "2"})


@dataclass(frozen=True)
class Limited(Network):
    """A Region that refuses each request so many times before it serves it."""

    refusals: int = 1
    observations: set[str] = field(default_factory=set)
    refused: dict[str, int] = field(default_factory=dict)

    def request(self, method, url, **_):
        if self.refused.setdefault(f"{method} {url}", 0) < self.refusals:
            self.refused[f"{method} {url}"] += 1
            return LIMITED
        if method == "DELETE":
            self.observations.discard(url.rpartition("/")[2])
            return Answer(204)
        listed = [{"observed_at": key} for key in sorted(self.observations)]
        return Answer(200, body=json.dumps({"observations": listed, "next_cursor": None}))


@pytest.fixture
def clock(monkeypatch):
    """Time that passes by sleeping only."""
    now = [0.0]
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return slept


def station(network):
    return Station(environment(network=network), "drill-1")


def test_a_limit_does_not_keep_a_drill_from_clearing_away_what_it_wrote(clock):
    network = Limited((), "example.com", observations={key_of(0), key_of(1)})

    assert station(network).clear(EAST) == 2
    assert network.observations == set()
    assert set(clock) == {2.0}


def test_a_limit_that_lasts_is_told_at_last(clock):
    network = Limited((), "example.com", observations={key_of(0)}, refusals=1000)

    with pytest.raises(OpsError, match="429"):
        station(network).clear(EAST)
    # Once for the listing, which is not served either.
    assert sum(clock) == stations.LIMITED_SECONDS
