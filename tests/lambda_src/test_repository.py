"""Rules of the way to DynamoDB."""

from decimal import Decimal
from typing import Any

import pytest
from botocore import exceptions

from weather import documents, model, replica, repository
from weather.errors import NotFound, Unavailable

pytestmark = pytest.mark.unit

AT = "2026-01-31T06:00:00Z"


def observation(observed_at: str = AT, temperature: str = "20", location: str = "paris"):
    """An observation with the id that belongs to it."""
    fields = {"temperature_celsius": Decimal(temperature)}
    return model.Observation(location, observed_at, documents.digest(fields), fields)


class Failing:
    """A client of which every call fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Any:
        def call(**arguments: Any) -> None:
            raise self.error

        return call


def refusal(code: str, status: int = 400) -> exceptions.ClientError:
    """A refusal of DynamoDB."""
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return exceptions.ClientError(answer, "Query")


CALLS = {
    "require_location": lambda: repository.require_location("paris"),
    "put_location": lambda: repository.put_location(model.Location("paris", {})),
    "find_latest_observation": lambda: repository.find_latest_observation("paris"),
    "find_observations_at": lambda: repository.find_observations_at(observation().moment),
    "put_observation": lambda: repository.put_observation(observation()),
    "delete_observation": lambda: repository.delete_observation(observation()),
    "read_nothing": lambda: replica.read_nothing(repository.client),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    "error",
    [
        *map(refusal, sorted(replica.UNAVAILABLE_CODES)),
        refusal("InternalServerError", 500),
        refusal("SomethingNew", 503),
        exceptions.ConnectTimeoutError(endpoint_url="x"),
        exceptions.ReadTimeoutError(endpoint_url="x"),
        exceptions.EndpointConnectionError(endpoint_url="x"),
        exceptions.ConnectionClosedError(endpoint_url="x"),
        exceptions.SSLError(endpoint_url="x", error="x"),
        exceptions.NoCredentialsError(),
    ],
    ids=str,
)
def test_what_aws_and_the_network_do_is_unavailable(call, error, monkeypatch) -> None:
    # GIVEN a Region in trouble
    monkeypatch.setattr(repository, "client", Failing(error))
    # WHEN it is used
    # THEN it is unavailable, with the name of the cause
    with pytest.raises(Unavailable) as caught:
        call()
    assert caught.value.cause


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    "error",
    [
        refusal("ValidationException"),
        exceptions.ParamValidationError(report="x"),
        TypeError("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_our_own_bugs_stay_bugs(call, error, monkeypatch) -> None:
    # GIVEN a call that DynamoDB rightly refuses
    monkeypatch.setattr(repository, "client", Failing(error))
    # WHEN it is made
    # THEN it fails as itself, so that it becomes a 500
    with pytest.raises(type(error)):
        call()


def test_numbers_come_back_exactly(table) -> None:
    # GIVEN an observation with a number that no float holds
    put = observation(temperature="12.345678901234567890123456789012")
    # WHEN it is written and read
    repository.put_observation(put)
    # THEN it is the same
    assert repository.find_latest_observation("paris") == put


def test_numbers_are_stored_as_numbers(table) -> None:
    # GIVEN an observation
    # WHEN it is written
    repository.put_observation(observation(temperature="20.50"))
    # THEN its item holds a number beside the two strings of its key
    (item,) = table.scan()["Items"]
    assert item.pop("temperature_celsius") == Decimal("20.5")
    assert item == observation(temperature="20.50").key._asdict()


def test_the_latest_is_the_largest_sort_key(table) -> None:
    # GIVEN observations of two times, two of them for the latest
    late = [observation("2026-01-31T07:00:00Z", temperature) for temperature in ("1", "2")]
    for each in [*late, observation()]:
        repository.put_observation(each)
    # WHEN the latest is asked for
    # THEN it is the larger id of the later time
    latest = repository.find_latest_observation("paris")
    assert latest == max(late, key=lambda each: each.observation_id)
    assert repository.find_latest_observation("rome") is None


def test_a_moment_holds_its_own_observations_only(table) -> None:
    # GIVEN observations at, before and after a moment, and elsewhere
    here = [observation(temperature="1"), observation(temperature="2")]
    others = [observation("2026-01-31T05:59:59Z"), observation("2026-01-31T06:00:01Z")]
    for each in [*here, *others, observation(location="rome")]:
        repository.put_observation(each)
    # WHEN the moment is asked for
    found = repository.find_observations_at(here[0].moment)
    # THEN just its own come
    assert {each.observation_id for each in found} == {each.observation_id for each in here}


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8])
def test_pages_hold_everything_once_and_in_order(table, limit: int) -> None:
    # GIVEN seven locations
    ids = ["a", "a-1", "a-b", "a1", "b", "b-2", "c"]
    for location_id in ids:
        repository.put_location(model.Location(location_id, {"name": location_id}))
    # WHEN they are read page by page
    pages, lowest = [], "!"
    while True:
        listing = model.Listing("locations", model.SortKeyRange(lowest, "~"), limit)
        page, cursor = repository.list_locations(listing)
        pages.append([location.location_id for location in page])
        if cursor is None:
            break
        lowest = model.just_after(model.decode_cursor(cursor, shape=model.LOCATION_SORT_KEY))
    # THEN each comes once, in order, and no page is empty or short but the last
    assert [each for page in pages for each in page] == sorted(ids)
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert pages[-1]


def test_answers_in_pieces_are_put_together(monkeypatch) -> None:
    # GIVEN a DynamoDB that answers one item at a time
    class Pieces:
        def __init__(self) -> None:
            self.limits: list[int | None] = []

        def query(self, **arguments: Any) -> dict[str, Any]:
            self.limits.append(arguments.get("Limit"))
            number = len(self.limits)
            assert ("ExclusiveStartKey" in arguments) == (number > 1)
            item = {"pk": {"S": "locations"}, "sk": {"S": f"l{number}"}}
            return {"Items": [item], **({"LastEvaluatedKey": item} if number < 9 else {})}

    client = Pieces()
    monkeypatch.setattr(repository, "client", client)
    # WHEN a page of two is read
    listing = model.Listing("locations", model.SortKeyRange("!", "~"), 2)
    page, cursor = repository.list_locations(listing)
    # THEN it is whole, and no more was read than that and the one that shows another page
    assert [location.location_id for location in page] == ["l1", "l2"]
    assert cursor == model.encode_cursor("l2")
    assert client.limits == [3, 2, 1]


def test_an_empty_range_is_not_even_asked_for(monkeypatch) -> None:
    # GIVEN a range that a cursor has used up, which DynamoDB would refuse
    monkeypatch.setattr(repository, "client", Failing(AssertionError()))
    # WHEN it is listed
    listing = model.Listing("location#x", model.SortKeyRange("b", "a"), 5)
    # THEN it is empty
    assert repository.list_observations(listing) == ([], None)


def test_unknown_locations_are_not_found(table) -> None:
    # GIVEN one location
    repository.put_location(model.Location("paris", {}))
    # WHEN it and another one are required
    repository.require_location("paris")
    # THEN the other one is not found
    with pytest.raises(NotFound, match="rome"):
        repository.require_location("rome")


def test_clients_give_up_soon_and_stay_in_their_region() -> None:
    # GIVEN the client of the operations
    meta = repository.client.meta
    # WHEN its settings are read
    # THEN a call ends long before API Gateway's 29 s, in the Region of the function
    config = meta.config
    assert (config.connect_timeout, config.read_timeout) == (0.5, 1.0)
    assert config.retries == {"mode": "standard", "total_max_attempts": 2}
    assert meta.region_name == "eu-central-1"


def test_a_local_emulator_needs_no_change(monkeypatch) -> None:
    # GIVEN the address of an emulator
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    # WHEN a client is made
    client = replica.connect(connect_timeout_seconds=1, read_timeout_seconds=1, attempts=1)
    # THEN it goes there
    assert client.meta.endpoint_url == "http://127.0.0.1:4566"
