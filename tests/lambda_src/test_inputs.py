"""Rules of what each operation takes."""

import calendar
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from weather import inputs, model
from weather.errors import Fault, InvalidRequest

pytestmark = pytest.mark.unit


def faults_of(call) -> list[str]:
    """The fields named by the refusal of a call."""
    with pytest.raises(InvalidRequest) as caught:
        call()
    return [fault.field for fault in caught.value.faults]


@given(st.datetimes())
def test_every_second_of_the_calendar_is_a_time(moment: datetime) -> None:
    # GIVEN a real time
    text = moment.replace(microsecond=0).isoformat() + "Z"
    # WHEN it is read
    # THEN it is kept as it is
    assert inputs.parse_time("from", text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "2026-01-31", "2026-01-31T06:00:00", "2026-01-31T06:00:00+00:00"),
        *("2026-01-31t06:00:00z", "2026-01-31 06:00:00Z", "2026-01-31T06:00Z"),
        *("2026-01-31T06:00:00.0Z", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z"),
        *("2026-01-31T24:00:00Z", "2026-12-31T23:59:60Z", "0000-01-01T00:00:00Z"),
        *(" 2026-01-31T06:00:00Z", "2026-01-31T06:00:00Z\n", "\uff12026-01-31T06:00:00Z"),
    ],
)
def test_everything_else_is_no_time(text: str) -> None:
    # GIVEN a text in another form, or of no real time
    # WHEN it is read
    # THEN it is refused by field and the error names the form
    with pytest.raises(InvalidRequest) as caught:
        inputs.parse_time("to", text)
    (fault,) = caught.value.faults
    assert fault.field == "to"
    assert "YYYY-MM-DDTHH:MM:SSZ" in fault.detail


@pytest.mark.parametrize("text", ["a", "0", "new-york", "a-1-b", "x" * 64])
def test_location_ids_are_slugs(text: str) -> None:
    # GIVEN a slug
    # WHEN it is read
    # THEN it is kept as it is
    assert inputs.parse_location_id(text) == text


@pytest.mark.parametrize(
    "text", ["", "-", "a-", "-a", "a--b", "A", "ä", "a b", "a#b", "a/b", "a%2d", "a\n", "x" * 65]
)
def test_everything_else_is_no_location_id(text: str) -> None:
    # GIVEN another text
    # WHEN it is read
    # THEN it is refused by name
    assert faults_of(lambda: inputs.parse_location_id(text)) == ["location"]


@pytest.mark.parametrize("text", ["0", "101", "-1", "1.0", "", " 1", "01", "1e1", "٣", "9" * 5000])
def test_limits_are_whole_numbers_from_1_to_100(text: str) -> None:
    # GIVEN another limit
    # WHEN it is read
    # THEN it is refused by name
    assert faults_of(lambda: inputs.parse_limit(text)) == ["limit"]
    assert [inputs.parse_limit(given) for given in ("1", "100", None)] == [1, 100, 25]


def accepts(parse, *arguments) -> bool:
    """Whether a reader takes its arguments."""
    try:
        parse(*arguments)
    except InvalidRequest:
        return False
    return True


def is_in_the_calendar(text: str) -> bool:
    """What no pattern says of a time: months, their days, leap years, the year 0, the clock."""
    year, month, day, hour, minute, second = map(int, re.findall("[0-9]+", text))
    return (
        year > 0
        and 1 <= month <= 12
        and 1 <= day <= calendar.monthrange(year, month)[1]
        and (hour < 24 and minute < 60 and second < 60)
    )


@given(st.from_regex(model.LOCATION_SORT_KEY) | st.text("ab0-A\n", max_size=70) | st.text())
@example("x" * 64)
@example("x" * 65)
@example("a\n")
def test_location_ids_are_what_the_openapi_document_says(fits_parameter, text: str) -> None:
    # GIVEN any text
    # WHEN it is read as a location id
    # THEN it is taken exactly if the document allows it
    assert accepts(inputs.parse_location_id, text) == fits_parameter(text, "location")


NUMBER = st.integers(0, 99).map("{:02}".format)
NEARLY_TIMES = st.builds(
    "{}{}-{}-{}T{}:{}:{}{}".format, *[NUMBER] * 7, st.sampled_from(["Z", "", "z", "Z\n"])
)


@pytest.mark.parametrize("name", ["observed_at", "from", "to"])
@given(st.datetimes().map("{:%Y-%m-%dT%H:%M:%SZ}".format) | NEARLY_TIMES | st.text())
@example("2026-02-30T00:00:00Z")
@example("2026-01-31T24:00:00Z")
@example("0000-01-01T00:00:00Z")
@example("2026-01-31T06:00:00Z\n")
def test_times_are_what_the_openapi_document_says_and_real(
    fits_parameter, name: str, text: str
) -> None:
    # GIVEN any text
    # WHEN it is read as a time
    # THEN it is taken exactly if the document allows it and the calendar has it
    expected = fits_parameter(text, name) and is_in_the_calendar(text)
    assert accepts(inputs.parse_time, name, text) == expected


@given(st.integers(-9, 120).map(str) | st.integers().map(str) | st.text("01-+.e ", max_size=4))
def test_limits_are_what_the_openapi_document_says(fits_parameter, text: str) -> None:
    # GIVEN any text
    # WHEN it is read as a limit
    # THEN it is taken exactly if it writes a number that the document allows
    number = int(text) if re.fullmatch(r"0|-?[1-9][0-9]*", text) else None
    assert accepts(inputs.parse_limit, text) == fits_parameter(number, "limit")


@given(st.from_regex(model.LOCATION_SORT_KEY, fullmatch=True) | st.just("x" * 64))
def test_cursors_are_what_the_openapi_document_says(fits_parameter, sort_key: str) -> None:
    # GIVEN a cursor
    cursor = model.encode_cursor(sort_key)
    # WHEN it comes back
    # THEN it is taken exactly if the document allows it
    taken = accepts(inputs.parse_location_listing, {"cursor": [cursor]})
    assert taken == fits_parameter(cursor, "cursor")


def test_all_errors_of_a_listing_are_reported_at_once() -> None:
    # GIVEN a request wrong in every part
    query = {"from": ["x"], "to": ["y"], "limit": ["0"], "cursor": ["?"], "page": ["2"]}
    # WHEN it is read
    # THEN every part is named
    reported = faults_of(lambda: inputs.parse_observation_listing({"location": "A"}, query))
    assert sorted(reported) == ["cursor", "from", "limit", "location", "page", "to"]


def test_all_errors_of_a_put_are_reported_at_once() -> None:
    # GIVEN a request wrong in every part
    path = {"location": "A", "observed_at": "now"}
    # WHEN it is read
    # THEN every part is named
    reported = faults_of(lambda: observation_of(path, {"force": ["1"]}, b'{"colour": 1}'))
    assert reported == ["location", "force", "observed_at", "temperature_celsius", "colour"]


NOW = datetime(2026, 1, 31, 23, 59, 30, 999999, UTC)


def observation_of(path, query, body):
    """An observation that is put at `NOW`, by an API that tolerates a minute."""
    return inputs.parse_observation(path, query, body, now=NOW, tolerance=timedelta(minutes=1))


@pytest.mark.parametrize(
    ("observed_at", "refused"),
    [
        ("0001-01-01T00:00:00Z", False),
        ("2026-01-31T23:59:30Z", False),
        ("2026-02-01T00:00:30Z", False),
        ("2026-02-01T00:00:31Z", True),
        ("2026-02-02T00:00:30Z", True),
        ("9999-12-31T23:59:59Z", True),
    ],
)
def test_a_time_in_the_future_is_refused_beyond_the_tolerance(observed_at: str, refused) -> None:
    # GIVEN an observation / WHEN it is read half a minute before midnight
    path = {"location": "paris", "observed_at": observed_at}

    # THEN it may be at most a minute in the future
    if refused:
        with pytest.raises(InvalidRequest) as raised:
            observation_of(path, {}, b'{"temperature_celsius": 1}')
        assert raised.value.faults == (
            Fault(
                "observed_at",
                "must not be more than 60 seconds in the future; it is 2026-01-31T23:59:30Z here",
            ),
        )
    else:
        assert observation_of(path, {}, b'{"temperature_celsius": 1}').observed_at == observed_at


def test_a_time_that_is_none_is_not_said_to_be_in_the_future() -> None:
    # GIVEN a time that does not exist, in the year 9999
    path = {"location": "paris", "observed_at": "9999-02-30T00:00:00Z"}
    # WHEN it is read
    # THEN it is named once
    assert faults_of(lambda: observation_of(path, {}, b'{"temperature_celsius": 1}')) == [
        "observed_at"
    ]


def test_repeated_query_parameters_are_rejected() -> None:
    # GIVEN a parameter with two values, even equal ones
    # WHEN it is read
    # THEN it is refused by name, once
    assert faults_of(lambda: inputs.parse_location_listing({"limit": ["5", "5"]})) == ["limit"]


@pytest.mark.parametrize("end", ["2026-01-01T00:00:00Z", "2025-01-01T00:00:00Z"])
def test_a_range_must_have_room(end: str) -> None:
    # GIVEN a range that ends where or before it begins
    query = {"from": ["2026-01-01T00:00:00Z"], "to": [end]}
    # WHEN it is read
    # THEN its end is named
    path = {"location": "x"}
    assert faults_of(lambda: inputs.parse_observation_listing(path, query)) == ["to"]


def test_a_cursor_never_widens_the_range() -> None:
    # GIVEN a range, and cursors before, in and after it
    query = {"from": ["2026-01-02T00:00:00Z"], "to": ["2026-01-04T00:00:00Z"]}
    plain = inputs.parse_observation_listing({"location": "x"}, query)
    keys = [f"observation#2026-01-0{day}T00:00:00Z#{'0' * 32}" for day in (1, 3, 5)]
    # WHEN they are read together
    before, within, after = (
        inputs.parse_observation_listing(
            {"location": "x"}, {**query, "cursor": [model.encode_cursor(key)]}
        )
        for key in keys
    )
    # THEN the listing goes on inside the range, or is at its end
    assert before == plain
    assert within.sort_keys == (model.just_after(keys[1]), plain.sort_keys.highest)
    assert after.sort_keys.lowest > after.sort_keys.highest
