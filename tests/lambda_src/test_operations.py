"""Rules of the operations: every status of each, on a table that moto keeps."""

import base64
import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

import delete_observation
import get_health
import get_weather
import list_locations
import list_observations
import put_location
import put_observation
from weather import replica, repository
from weather.errors import Unavailable

pytestmark = pytest.mark.unit

PARIS = {"name": "Paris", "latitude_degrees": 48.8566, "longitude_degrees": 2.3522}
AT = "2026-01-31T06:00:00Z"
HERE = {"location": "paris", "observed_at": AT}
NOWHERE = {"location": "rome", "observed_at": AT}
WARM = {"temperature_celsius": 20.5, "humidity_percent": 40}
COLD = {"temperature_celsius": -3}

OPERATIONS = {
    module.__name__: module
    for module in (
        *(delete_observation, get_weather, list_locations, list_observations),
        *(put_location, put_observation),
    )
}
BODIES = {"put_location": PARIS, "put_observation": WARM}


@pytest.fixture
def paris(table, call) -> None:
    """The one registered location."""
    assert call(put_location, path={"location": "paris"}, body=PARIS).status == 201


def in_seconds(seconds: int) -> str:
    """A time relative to now, as the API writes it."""
    return f"{datetime.now(UTC) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def test_an_observation_may_be_minutes_in_the_future_and_not_a_day(paris, call) -> None:
    # GIVEN publishers whose clocks are a minute and a day fast, and one that sends nonsense
    answers = [
        call(put_observation, path={**HERE, "observed_at": time}, body=WARM)
        for time in (in_seconds(60), in_seconds(86_400), "9999-12-31T23:59:59Z")
    ]
    # THEN the first is served, the others learn why not
    assert [answer.status for answer in answers] == [201, 400, 400]
    assert [fields_of(answer) for answer in answers[1:]] == [["observed_at"]] * 2
    assert "more than 300 seconds in the future" in answers[1].document["errors"][0]["detail"]
    # AND what was stored before can be deleted
    path = {**HERE, "observed_at": "9999-12-31T23:59:59Z"}
    assert call(delete_observation, path=path).status == 204


def fields_of(answer) -> list[str]:
    """The fields that a 400 names."""
    assert answer.status == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    return [error["field"] for error in answer.document["errors"]]


def test_put_location_creates_then_replaces(table, call) -> None:
    # GIVEN no location
    path = {"location": "paris"}
    # WHEN it is put, put again, and put without its elevation
    first = call(put_location, path=path, body={**PARIS, "elevation_meters": 35})
    again = call(put_location, path=path, body={**PARIS, "elevation_meters": 35})
    other = call(put_location, path=path, body=PARIS)
    # THEN it is created once, and replaced whole
    assert [first.status, again.status, other.status] == [201, 200, 200]
    assert [a.document["created"] for a in (first, again, other)] == [True, False, False]
    (listed,) = call(list_locations).document["locations"]
    assert listed == {
        "location": "paris",
        "name": "Paris",
        "latitude_degrees": Decimal("48.8566"),
        "longitude_degrees": Decimal("2.3522"),
    }


def test_list_locations_goes_on_page_by_page(table, call) -> None:
    # GIVEN three locations
    for name in ("rome", "paris", "paris-2"):
        call(put_location, path={"location": name}, body=PARIS)
    # WHEN they are listed two at a time
    first = call(list_locations, query={"limit": "2"})
    cursor = first.document["next_cursor"]
    second = call(list_locations, query={"limit": "2", "cursor": cursor})
    # THEN all come in order, and the last page says so
    pages = [[each["location"] for each in page.document["locations"]] for page in (first, second)]
    assert pages == [["paris", "paris-2"], ["rome"]]
    assert second.document["next_cursor"] is None


def test_list_locations_may_be_empty(table, call) -> None:
    # GIVEN no location
    # WHEN they are listed
    # THEN the list is empty
    assert call(list_locations).document == {"locations": [], "next_cursor": None}


def test_put_observation_says_whether_it_was_new(paris, call) -> None:
    # GIVEN a location
    # WHEN an observation is put, and put again in other words
    first = call(put_observation, path=HERE, body=WARM)
    words = '{"humidity_percent": 40.0, "temperature_celsius": 2050e-2}'
    again = call(put_observation, path=HERE, body=words)
    # THEN it is created once, and the id is the same
    assert (first.status, again.status) == (201, 200)
    assert first.document == {
        "location": "paris",
        "observed_at": AT,
        "observation_id": first.document["observation_id"],
        "temperature_celsius": Decimal("20.5"),
        "humidity_percent": 40,
        "created": True,
    }
    assert again.document == {**first.document, "created": False}
    assert len(call(list_observations, path=HERE).document["observations"]) == 1


def test_put_observation_refuses_another_body_for_the_same_time(paris, call) -> None:
    # GIVEN an observation
    call(put_observation, path=HERE, body=WARM)
    # WHEN another one is put for its time
    answer = call(put_observation, path=HERE, body=COLD)
    # THEN it is a conflict, and the first one is kept
    assert answer.status == 409
    (standing,) = call(list_observations, path=HERE).document["observations"]
    assert standing["temperature_celsius"] == Decimal("20.5")


def test_put_observation_may_replace_after_delete(paris, call) -> None:
    # GIVEN an observation that was deleted
    call(put_observation, path=HERE, body=WARM)
    call(delete_observation, path=HERE)
    # WHEN another one is put for its time
    # THEN it is created
    assert call(put_observation, path=HERE, body=COLD).status == 201


def test_put_observation_takes_encoded_paths_and_bodies(paris, call) -> None:
    # GIVEN a path and a body encoded as proxies may do
    event = {"body": base64.b64encode(b'{"temperature_celsius":1}').decode()}
    # WHEN it is put
    answer = call(
        put_observation,
        path={"location": "p%61ris", "observed_at": AT.replace(":", "%3A")},
        event={**event, "isBase64Encoded": True},
    )
    # THEN it is the same as if it were not
    assert answer.status == 201
    assert (answer.document["location"], answer.document["observed_at"]) == ("paris", AT)


@pytest.mark.parametrize(
    "name", ["get_weather", "list_observations", "put_observation", "delete_observation"]
)
def test_unknown_locations_are_404(paris, call, name: str) -> None:
    # GIVEN a location that is not registered
    # WHEN an operation is called for it
    answer = call(OPERATIONS[name], path=NOWHERE, body=BODIES.get(name))
    # THEN it is not found
    assert answer.status == 404
    assert answer.document["detail"] == "Location rome is not registered."


def test_get_weather_is_the_latest_observation(paris, call) -> None:
    # GIVEN observations, the latest not put last
    for hour, body in (("07", WARM), ("08", COLD), ("06", WARM)):
        path = {"location": "paris", "observed_at": f"2026-01-31T{hour}:00:00Z"}
        call(put_observation, path=path, body=body)
    # WHEN the weather is asked for
    answer = call(get_weather, path={"location": "paris"})
    # THEN it is the one of the latest time
    assert answer.status == 200
    assert answer.document["observed_at"] == "2026-01-31T08:00:00Z"
    assert answer.document["temperature_celsius"] == -3
    assert set(answer.document) == {
        *("location", "observed_at", "observation_id", "temperature_celsius")
    }


def test_get_weather_without_observation_is_404_with_its_own_detail(paris, call) -> None:
    # GIVEN a location without observation
    # WHEN the weather is asked for
    answer = call(get_weather, path={"location": "paris"})
    # THEN it is not found, but the location is not to blame
    assert answer.status == 404
    assert answer.document["detail"] == "Location paris has no observation yet."


def test_list_observations_keeps_to_its_range(paris, call) -> None:
    # GIVEN five observations
    times = [f"2026-01-0{day}T00:00:00Z" for day in range(1, 6)]
    for time in reversed(times):
        call(put_observation, path={"location": "paris", "observed_at": time}, body=WARM)
    # WHEN a range is listed page by page
    query = {"from": times[1], "to": times[4], "limit": "2"}
    first = call(list_observations, path=HERE, query=query)
    cursor = first.document["next_cursor"]
    second = call(list_observations, path=HERE, query={**query, "cursor": cursor})
    # THEN its start is in, its end is out, oldest first
    pages = [[o["observed_at"] for o in a.document["observations"]] for a in (first, second)]
    assert pages == [times[1:3], times[3:4]]
    assert second.document["next_cursor"] is None
    # AND a cursor beyond the range is its end
    done = call(list_observations, path=HERE, query={"to": times[1], "cursor": cursor})
    assert done.document == {"observations": [], "next_cursor": None}


def test_list_observations_lists_25_by_default(paris, call) -> None:
    # GIVEN 26 observations
    for minute in range(26):
        path = {"location": "paris", "observed_at": f"2026-01-01T00:{minute:02}:00Z"}
        call(put_observation, path=path, body=WARM)
    # WHEN they are listed
    document = call(list_observations, path=HERE).document
    # THEN one is left for the next page
    assert len(document["observations"]) == 25
    assert document["next_cursor"]


def test_list_observations_may_be_empty(paris, call) -> None:
    # GIVEN a location without observation
    # WHEN they are listed
    answer = call(list_observations, path=HERE)
    # THEN the list is empty
    assert (answer.status, answer.document["observations"]) == (200, [])


def test_delete_may_be_repeated(paris, call) -> None:
    # GIVEN an observation
    call(put_observation, path=HERE, body=WARM)
    # WHEN it is deleted twice
    answers = [call(delete_observation, path=HERE) for _ in range(2)]
    # THEN both answers are the same, and it is gone
    assert [(a.status, a.document) for a in answers] == [(204, None)] * 2
    assert call(list_observations, path=HERE).document["observations"] == []


@pytest.mark.parametrize("module", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_names_unknown_and_repeated_parameters(table, call, module) -> None:
    # GIVEN a request with a parameter that no operation knows, given twice
    body = BODIES.get(module.__name__)
    # WHEN it is sent
    answer = call(module, path=HERE, body=body, query={"page": ["1", "2"]})
    # THEN it is named
    assert fields_of(answer) == ["page"]


@pytest.mark.parametrize("module", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_names_its_faults(table, call, module) -> None:
    # GIVEN a request wrong in every part the operation looks at
    expected = {
        "delete_observation": ["location", "observed_at"],
        "get_weather": ["location"],
        "list_locations": ["limit", "cursor"],
        "list_observations": ["location", "from", "limit", "cursor"],
        "put_location": ["location", "latitude_degrees", "longitude_degrees", "name"],
        "put_observation": ["location", "observed_at", "temperature_celsius"],
    }[module.__name__]
    wrong = {"limit": "0", "cursor": "?"} if "limit" in expected else {}
    query: dict[str, Any] = {**wrong, **({"from": "now"} if "from" in expected else {})}
    # WHEN it is sent
    path = {"location": "No Where", "observed_at": "now"}
    answer = call(
        module, path=path, query=query, body='{"name": ""}' if "name" in expected else "{}"
    )
    # THEN all parts are named
    assert fields_of(answer) == expected


@pytest.mark.parametrize("name", BODIES)
def test_puts_take_json_only(table, call, name: str) -> None:
    # GIVEN a body announced as a form
    headers = {"content-type": "application/x-www-form-urlencoded"}
    # WHEN it is put
    # THEN it is refused
    answer = call(OPERATIONS[name], path=HERE, body=BODIES[name], headers=headers)
    assert answer.status == 415


class Broken:
    """A client of which every call fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Any:
        raise self.error


@pytest.mark.parametrize("module", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_is_503_when_the_replica_is_out_of_reach(module, call, monkeypatch) -> None:
    # GIVEN a replica out of reach
    monkeypatch.setattr(repository, "client", Broken(Unavailable("x")))
    # WHEN an operation is called
    answer = call(module, path=HERE, body=BODIES.get(module.__name__))
    # THEN it says when to come back, and where it failed
    assert answer.status == 503
    assert answer.headers["Retry-After"] == "2"
    assert answer.headers["X-Served-By-Region"] == "eu-central-1"


@pytest.mark.parametrize("module", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_is_500_on_a_bug(module, call, monkeypatch) -> None:
    # GIVEN a bug
    monkeypatch.setattr(repository, "client", Broken(ZeroDivisionError("secret")))
    # WHEN an operation is called
    answer = call(module, path=HERE, body=BODIES.get(module.__name__))
    # THEN it says nothing about it
    assert answer.status == 500
    assert "secret" not in str(answer)


@pytest.mark.parametrize("module", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_answers_the_statuses_that_it_documents_and_no_other(
    paris, call, monkeypatch, module
) -> None:
    # GIVEN an observation, and a request of every kind
    call(put_observation, path={**HERE, "observed_at": "2026-01-31T05:00:00Z"}, body=WARM)
    body = BODIES.get(module.__name__)
    form = {"content-type": "application/x-www-form-urlencoded"}
    kinds: list[dict[str, Any]] = [
        {"path": HERE, "body": body},
        {"path": HERE, "body": body},
        {"path": HERE, "body": COLD if body is WARM else body},
        {"path": NOWHERE, "body": body},
        {"path": HERE, "body": body, "query": {"page": "1"}},
        {"path": HERE, "body": body, "headers": form},
    ]
    # WHEN it is sent, and once more while the replica is out of reach, and where there is a bug
    statuses = {call(module, **kind).status for kind in kinds}
    for error in (Unavailable("x"), ZeroDivisionError()):
        monkeypatch.setattr(repository, "client", Broken(error))
        statuses.add(call(module, path=HERE, body=body).status)
    # THEN the docstring, of which the OpenAPI document is made, names just those statuses
    (documented,) = re.findall(r"^Statuses: (.+)\.$", module.__doc__, re.MULTILINE)
    assert statuses == set(map(int, documented.split(", ")))


class Recorder:
    """Passes calls on and notes which actions they need."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.actions: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.actions.add("dynamodb:" + "".join(part.title() for part in name.split("_")))
        return getattr(self.client, name)


@pytest.mark.parametrize("module", OPERATIONS.values(), ids=OPERATIONS)
def test_every_operation_needs_the_actions_it_declares_and_no_other(
    paris, call, monkeypatch, module
) -> None:
    # GIVEN a role that is noted down
    recorder = Recorder(repository.client)
    monkeypatch.setattr(repository, "client", recorder)
    # WHEN the operation goes every way it has: something there, nothing there, no such location
    for path in (HERE, HERE, NOWHERE):
        call(module, path=path, body=BODIES.get(module.__name__))
    monkeypatch.setattr(repository, "client", recorder.client)
    call(put_observation, path=HERE, body=WARM)
    monkeypatch.setattr(repository, "client", recorder)
    call(module, path=HERE, body=BODIES.get(module.__name__))
    # THEN it used just the actions it declares
    assert recorder.actions == set(module.ACTIONS)


def test_health_needs_the_action_it_declares_and_no_other(table) -> None:
    # GIVEN a role that is noted down
    recorder = Recorder(repository.client)
    # WHEN health reads
    replica.read_nothing(recorder)
    # THEN it used just the action it declares
    assert recorder.actions == set(get_health.ACTIONS)
