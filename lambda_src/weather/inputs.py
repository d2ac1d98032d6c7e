"""What each operation takes: path, query and body read into the terms of the model.

Every function gathers all errors of a request before it raises, so that a customer can fix them in
one go.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from weather.documents import (
    LOCATION_SCHEMA,
    OBSERVATION_SCHEMA,
    PARAMETERS_SCHEMA,
    digest,
    parse_body,
)
from weather.errors import Fault, Faults, InvalidRequest
from weather.model import (
    LOCATION_SORT_KEY,
    LOCATIONS_PARTITION,
    OBSERVATION_SORT_KEY,
    Listing,
    Location,
    Observation,
    ObservationTime,
    SortKeyRange,
    decode_cursor,
    just_after,
    observation_range,
    observations_partition,
)

_RULES: Final = PARAMETERS_SCHEMA["properties"]

LIMIT_DEFAULT: Final[int] = _RULES["limit"]["default"]
LIMIT_MIN: Final[int] = _RULES["limit"]["minimum"]
LIMIT_MAX: Final[int] = _RULES["limit"]["maximum"]
LOCATION_ID_LENGTH_MAX: Final[int] = _RULES["location"]["maxLength"]

_TIME: Final = re.compile(PARAMETERS_SCHEMA["definitions"]["time"]["pattern"])

QueryParameters = Mapping[str, Sequence[str]]
"""Every value given for each query parameter, decoded."""


def parse_location_listing(query: QueryParameters) -> Listing:
    """Read the inputs of `GET /locations`.

    Args:
        query: May hold `limit` and `cursor`.

    Returns:
        The page of locations asked for.

    Raises:
        InvalidRequest: With every fault of the query.
    """
    faults = Faults()
    lowest, limit, given = "!", LIMIT_DEFAULT, _only(query, "limit", "cursor", faults=faults)
    with faults:
        limit = parse_limit(given.get("limit"))
    with faults:
        if "cursor" in given:
            lowest = just_after(decode_cursor(given["cursor"], shape=LOCATION_SORT_KEY))
    faults.raise_if_any()
    return Listing(LOCATIONS_PARTITION, SortKeyRange(lowest, "~"), limit)


def parse_observation_listing(path: Mapping[str, str], query: QueryParameters) -> Listing:
    """Read the inputs of `GET /weather/{location}/observations`.

    A cursor raises the lower end of the range and never widens it: one that lies outside `from`
    and `to` lists what is left of the range.

    Args:
        path: Holds `location`.
        query: May hold `from` (inclusive), `to` (exclusive), `limit` and `cursor`.

    Returns:
        The page of observations asked for.

    Raises:
        InvalidRequest: With every fault of path and query.
    """
    faults = Faults()
    location_id, after, limit = "", "", LIMIT_DEFAULT
    times: dict[str, str] = {}
    with faults:
        location_id = parse_location_id(path["location"])
    given = _only(query, "from", "to", "limit", "cursor", faults=faults)
    for name in ("from", "to"):
        with faults:
            if name in given:
                times[name] = parse_time(name, given[name])
    with faults:
        if len(times) == 2 and times["from"] >= times["to"]:
            raise InvalidRequest(Fault("to", "must be later than from"))
    with faults:
        limit = parse_limit(given.get("limit"))
    with faults:
        if "cursor" in given:
            after = just_after(decode_cursor(given["cursor"], shape=OBSERVATION_SORT_KEY))
    faults.raise_if_any()
    lowest, highest = observation_range(times.get("from"), times.get("to"))
    return Listing(
        observations_partition(location_id), SortKeyRange(max(lowest, after), highest), limit
    )


def parse_location_path(path: Mapping[str, str], query: QueryParameters) -> str:
    """Read the inputs of an operation on one location that takes nothing else.

    Args:
        path: Holds `location`.
        query: Must be empty.

    Returns:
        The location id.

    Raises:
        InvalidRequest: With every fault of path and query.
    """
    faults = Faults()
    location_id = ""
    with faults:
        location_id = parse_location_id(path["location"])
    _only(query, faults=faults)
    faults.raise_if_any()
    return location_id


def parse_observation_path(path: Mapping[str, str], query: QueryParameters) -> ObservationTime:
    """Read the inputs of an operation on one moment at a location that takes nothing else.

    Args:
        path: Holds `location` and `observed_at`.
        query: Must be empty.

    Returns:
        The moment at the location.

    Raises:
        InvalidRequest: With every fault of path and query.
    """
    faults = Faults()
    location_id, observed_at = "", ""
    with faults:
        location_id = parse_location_path(path, query)
    with faults:
        observed_at = parse_time("observed_at", path["observed_at"])
    faults.raise_if_any()
    return ObservationTime(location_id, observed_at)


def parse_location(path: Mapping[str, str], query: QueryParameters, body: bytes) -> Location:
    """Read the inputs of `PUT /locations/{location}`.

    Args:
        path: Holds `location`.
        query: Must be empty.
        body: JSON as `location.schema.json` allows it.

    Returns:
        The location to store.

    Raises:
        InvalidRequest: With every fault of path, query and body.
    """
    faults = Faults()
    location_id, fields = "", dict[str, Decimal | str]()
    with faults:
        location_id = parse_location_path(path, query)
    with faults:
        fields = parse_body(body, LOCATION_SCHEMA)
    faults.raise_if_any()
    return Location(location_id, fields)


def parse_observation(
    path: Mapping[str, str],
    query: QueryParameters,
    body: bytes,
    *,
    now: datetime,
    tolerance: timedelta,
) -> Observation:
    """Read the inputs of `PUT /weather/{location}/observations/{observed_at}`.

    Args:
        path: Holds `location` and `observed_at`.
        query: Must be empty.
        body: JSON as `observation.schema.json` allows it.
        now: The present, in UTC.
        tolerance: How far in the future an observation may be, for a publisher whose clock is fast.

    Returns:
        The observation to store.

    Raises:
        InvalidRequest: With every fault of path, query and body.
    """
    faults = Faults()
    location_id, observed_at, fields = "", "", dict[str, Decimal | str]()
    with faults:
        location_id = parse_location_path(path, query)
    with faults:
        observed_at = parse_time("observed_at", path["observed_at"])
        _refuse_future(observed_at, now=now, tolerance=tolerance)
    with faults:
        fields = parse_body(body, OBSERVATION_SCHEMA)
    faults.raise_if_any()
    return Observation(location_id, observed_at, digest(fields), fields)


def parse_location_id(text: str) -> str:
    """Check a location id.

    Args:
        text: Lowercase letters and digits in groups joined by single hyphens; 64 at most.

    Returns:
        The same text.

    Raises:
        InvalidRequest: Naming `location`.
    """
    if len(text) > LOCATION_ID_LENGTH_MAX or not LOCATION_SORT_KEY.fullmatch(text):
        raise InvalidRequest(
            Fault(
                "location",
                "must be lowercase letters and digits in groups joined by single hyphens, "
                f"at most {LOCATION_ID_LENGTH_MAX} characters, for example new-york",
            )
        )
    return text


def parse_time(field: str, text: str) -> str:
    """Check a moment.

    Args:
        field: Name of the parameter it came in.
        text: A real date and time in UTC, written exactly `YYYY-MM-DDTHH:MM:SSZ`.

    Returns:
        The same text; as text it sorts like the time it denotes.

    Raises:
        InvalidRequest: Naming `field`.
    """
    try:
        # Written back, because Python 3.14 reads 24:00:00 as the next day.
        if _TIME.fullmatch(text) and f"{datetime.fromisoformat(text[:-1]).isoformat()}Z" == text:
            return text
    except ValueError:
        pass
    raise InvalidRequest(
        Fault(
            field,
            "must be a real time in UTC written YYYY-MM-DDTHH:MM:SSZ, "
            "for example 2026-01-31T06:00:00Z",
        )
    )


def _refuse_future(observed_at: str, *, now: datetime, tolerance: timedelta) -> None:
    """Refuse what cannot have been observed: it would be the latest weather until that time."""
    if observed_at > _written(now + tolerance):
        raise InvalidRequest(
            Fault(
                "observed_at",
                f"must not be more than {tolerance // timedelta(seconds=1)} seconds in the future; "
                f"it is {_written(now)} here",
            )
        )


def _written(moment: datetime) -> str:
    """A time as the API writes it; as text, times sort like themselves."""
    return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def parse_limit(text: str | None) -> int:
    """Check a page size.

    Args:
        text: A whole number from 1 to 100; None for the default of 25.

    Returns:
        The most items to list.

    Raises:
        InvalidRequest: Naming `limit`.
    """
    if text is None:
        return LIMIT_DEFAULT
    if re.fullmatch(r"[1-9][0-9]{0,8}", text) and LIMIT_MIN <= int(text) <= LIMIT_MAX:
        return int(text)
    raise InvalidRequest(Fault("limit", f"must be a whole number from {LIMIT_MIN} to {LIMIT_MAX}"))


def _only(query: QueryParameters, *allowed: str, faults: Faults) -> dict[str, str]:
    """Take the one value of each allowed query parameter, and gather a fault for all else."""
    for name, values in query.items():
        with faults:
            if name not in allowed:
                known = f"; allowed: {', '.join(allowed)}" if allowed else ""
                raise InvalidRequest(Fault(name, f"is not a known query parameter{known}"))
            if len(values) != 1:
                raise InvalidRequest(Fault(name, "must be given once"))
    return {name: values[0] for name, values in query.items() if name in allowed and values}
