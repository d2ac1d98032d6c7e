"""Rules of keys and cursors."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weather import model
from weather.errors import InvalidRequest

pytestmark = pytest.mark.unit

LOCATION_IDS = st.from_regex(r"[a-z0-9]{1,9}(-[a-z0-9]{1,9}){0,4}", fullmatch=True)
MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)
DIGESTS = st.from_regex(r"[0-9a-f]{32}", fullmatch=True)


def written(moment: datetime) -> str:
    """A moment as the API writes it."""
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


OBSERVATIONS = st.builds(
    model.Observation, LOCATION_IDS, MOMENTS.map(written), DIGESTS, st.just({})
)


@given(OBSERVATIONS)
def test_observations_survive_the_way_through_their_key(observation: model.Observation) -> None:
    # GIVEN an observation
    # WHEN it is read back from its key
    # THEN it is the same, and its sort key has the shape that cursors are checked for
    assert model.Observation.from_key(observation.key, {}) == observation
    assert model.OBSERVATION_SORT_KEY.fullmatch(observation.key.sk)


@given(LOCATION_IDS)
def test_locations_survive_the_way_through_their_key(location_id: str) -> None:
    # GIVEN a location
    location = model.Location(location_id, {})
    # WHEN it is read back from its key
    # THEN it is the same, and its sort key has the shape that cursors are checked for
    assert model.Location.from_key(location.key, {}) == location
    assert model.LOCATION_SORT_KEY.fullmatch(location.key.sk)


@given(OBSERVATIONS, OBSERVATIONS)
def test_different_observations_never_share_a_key(
    one: model.Observation, other: model.Observation
) -> None:
    # GIVEN two observations
    # WHEN their keys are compared
    # THEN they are equal if and only if location, time and body are
    assert (one.key == other.key) == (one == other)


@given(MOMENTS, MOMENTS, DIGESTS, DIGESTS)
def test_sort_keys_are_in_order_of_time(
    one: datetime, other: datetime, one_id: str, other_id: str
) -> None:
    # GIVEN two observations of one location
    keys = [
        model.Observation("x", written(moment), digest, {}).key.sk
        for moment, digest in ((one, one_id), (other, other_id))
    ]
    # WHEN their sort keys are compared
    # THEN time decides, then the id
    assert (keys[0] < keys[1]) == ((one, one_id) < (other, other_id))


@given(MOMENTS, st.none() | MOMENTS, st.none() | MOMENTS, DIGESTS)
def test_ranges_include_their_start_and_exclude_their_end(
    moment: datetime, start: datetime | None, end: datetime | None, digest: str
) -> None:
    # GIVEN a range of time with one end, both or none
    lowest, highest = model.observation_range(start and written(start), end and written(end))
    # WHEN a sort key is compared with it
    key = model.Observation("x", written(moment), digest, {}).key.sk
    # THEN it lies inside exactly if its time does
    inside = (start is None or start <= moment) and (end is None or moment < end)
    assert (lowest <= key <= highest) == inside


@given(OBSERVATIONS, MOMENTS)
def test_the_range_of_a_moment_holds_exactly_that_moment(
    observation: model.Observation, moment: datetime
) -> None:
    # GIVEN a moment
    lowest, highest = model.ObservationTime("x", written(moment)).sort_keys
    # WHEN a sort key is compared with its range
    # THEN it lies inside exactly if it is of that moment
    inside = observation.observed_at == written(moment)
    assert (lowest <= observation.key.sk <= highest) == inside
    own = observation.moment.sort_keys
    assert own.lowest <= observation.key.sk <= own.highest


@given(st.lists(LOCATION_IDS, min_size=2, max_size=2) | st.just(["paris", "paris-2"]))
def test_a_page_begins_right_after_the_cursor(ids: list[str]) -> None:
    # GIVEN two sort keys
    one, other = ids
    # WHEN the second is compared with the bound that the first one leaves
    # THEN it follows exactly if it is larger
    assert (other >= model.just_after(one)) == (other > one)


@given(OBSERVATIONS)
def test_cursors_survive_the_way_to_the_customer(observation: model.Observation) -> None:
    # GIVEN the cursor of a sort key
    cursor = model.encode_cursor(observation.key.sk)
    # WHEN it comes back
    # THEN it means the same, and it needed no escapes in a URL
    assert model.decode_cursor(cursor, shape=model.OBSERVATION_SORT_KEY) == observation.key.sk
    assert all(letter.isalnum() or letter in "-_" for letter in cursor)


def forged(document: object) -> str:
    """A cursor with arbitrary content."""
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


@given(
    st.text(max_size=300)
    | st.text("ABCXYZabcxyz0189-_=", max_size=300)
    | st.recursive(st.none() | st.text(max_size=9) | st.integers(), st.lists).map(forged)
    | st.dictionaries(st.just("after"), st.text(max_size=20) | st.integers()).map(forged)
)
def test_forged_cursors_are_rejected_by_name(text: str) -> None:
    # GIVEN a text that is not a cursor
    # WHEN it is read
    # THEN it is refused, and never another way
    with pytest.raises(InvalidRequest) as caught:
        model.decode_cursor(text, shape=model.OBSERVATION_SORT_KEY)
    assert [fault.field for fault in caught.value.faults] == ["cursor"]


def test_a_cursor_has_one_spelling() -> None:
    # GIVEN a cursor with padding, spaces, other alphabet, or of another listing
    cursor = model.encode_cursor("paris")
    spellings = [cursor + "=", cursor + "==", f" {cursor}", forged({"after": "paris"})]
    other = model.encode_cursor("observation#2026-01-01T00:00:00Z#" + "0" * 32)
    # WHEN it is read
    # THEN it is refused
    for text in [*spellings, other]:
        with pytest.raises(InvalidRequest):
            model.decode_cursor(text, shape=model.LOCATION_SORT_KEY)
