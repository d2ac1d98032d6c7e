"""The domain, pure: locations, observations, and their keys in the table.

Nothing here knows AWS, the environment or the clock.

Keys (both strings; two Regions that write at once never need to change the same observation):

| item        | `pk`                  | `sk`                                         |
|-------------|-----------------------|----------------------------------------------|
| location    | `locations`           | `<location>`                                 |
| observation | `location#<location>` | `observation#<observed_at>#<observation_id>` |

The observation id is a digest of the body, so an item of an observation, once written, only ever
gets written again with the same content. Sort keys order observations by time, then by id.
"""

import base64
import json
import re
from dataclasses import dataclass
from typing import Final, NamedTuple

from weather.documents import PARAMETERS_SCHEMA, Fields
from weather.errors import Fault, InvalidRequest

_TIME, _OBSERVATION_ID = (
    PARAMETERS_SCHEMA["definitions"][name]["pattern"].removeprefix("^").removesuffix("$")
    for name in ("time", "observation_id")
)
_CURSOR_LENGTH_MAX: Final[int] = PARAMETERS_SCHEMA["properties"]["cursor"]["maxLength"]

LOCATIONS_PARTITION: Final = "locations"
LOCATION_SORT_KEY: Final = re.compile(PARAMETERS_SCHEMA["properties"]["location"]["pattern"])
OBSERVATION_SORT_KEY: Final = re.compile(f"observation#{_TIME}#{_OBSERVATION_ID}")


class Key(NamedTuple):
    """Primary key of one item of the table.

    Attributes:
        pk: Partition key.
        sk: Sort key.
    """

    pk: str
    sk: str


class SortKeyRange(NamedTuple):
    """Sort keys of a partition, both ends included.

    Attributes:
        lowest: Smallest sort key of the range.
        highest: Largest sort key of the range; below `lowest` when the range is empty.
    """

    lowest: str
    highest: str


@dataclass(frozen=True)
class Location:
    """A place that observations can be put for.

    Attributes:
        location_id: Lowercase slug of at most 64 characters.
        fields: Name, position and what else `location.schema.json` allows.
    """

    location_id: str
    fields: Fields

    @property
    def key(self) -> Key:
        """Primary key of the location."""
        return location_key(self.location_id)

    @classmethod
    def from_key(cls, key: Key, fields: Fields) -> "Location":
        """Read the location back from an item of the table."""
        return cls(location_id=key.sk, fields=fields)

    def as_document(self) -> dict[str, object]:
        """The location as the API shows it."""
        return {"location": self.location_id, **self.fields}


@dataclass(frozen=True)
class ObservationTime:
    """A moment at a location, which the path of an observation names.

    Attributes:
        location_id: The location.
        observed_at: The moment, as `YYYY-MM-DDTHH:MM:SSZ`.
    """

    location_id: str
    observed_at: str

    @property
    def sort_keys(self) -> SortKeyRange:
        """Sort keys of every observation of that moment."""
        return SortKeyRange(f"observation#{self.observed_at}#", f"observation#{self.observed_at}$")


@dataclass(frozen=True)
class Observation:
    """What was measured at a location at one moment.

    Attributes:
        location_id: The location it belongs to.
        observed_at: The moment, as `YYYY-MM-DDTHH:MM:SSZ`.
        observation_id: Digest of `fields`: equal measurements, equal id, in every Region.
        fields: The measurements that `observation.schema.json` allows.
    """

    location_id: str
    observed_at: str
    observation_id: str
    fields: Fields

    @property
    def key(self) -> Key:
        """Primary key of the observation."""
        return Key(
            observations_partition(self.location_id),
            f"observation#{self.observed_at}#{self.observation_id}",
        )

    @property
    def moment(self) -> ObservationTime:
        """Where and when it was observed."""
        return ObservationTime(self.location_id, self.observed_at)

    @classmethod
    def from_key(cls, key: Key, fields: Fields) -> "Observation":
        """Read the observation back from an item of the table."""
        _, location_id = key.pk.split("#")
        _, observed_at, observation_id = key.sk.split("#")
        return cls(location_id, observed_at, observation_id, fields)

    def as_document(self) -> dict[str, object]:
        """The observation as the API shows it."""
        return {
            "location": self.location_id,
            "observed_at": self.observed_at,
            "observation_id": self.observation_id,
            **self.fields,
        }


@dataclass(frozen=True)
class Listing:
    """One page that a customer asks for.

    Attributes:
        partition: Partition key of all items listed.
        sort_keys: The part of the partition still to be listed.
        limit: Most items on the page.
    """

    partition: str
    sort_keys: SortKeyRange
    limit: int


REGION: Final = re.compile(PARAMETERS_SCHEMA["properties"]["region"]["pattern"])
"""What the name of a Region looks like."""


def evacuation_key(region: str) -> Key:
    """Primary key of the item that evacuates a Region."""
    return Key("control", f"evacuation-{region}")


def serving_key(region: str) -> Key:
    """Primary key of the mark that a Region serves, with manual failback."""
    return Key("control", f"serving-{region}")


def location_key(location_id: str) -> Key:
    """Primary key of a location."""
    return Key(LOCATIONS_PARTITION, location_id)


def observations_partition(location_id: str) -> str:
    """Partition key of all observations of a location."""
    return f"location#{location_id}"


def observation_range(start: str | None = None, end: str | None = None) -> SortKeyRange:
    """Sort keys of the observations from `start` (inclusive) to `end` (exclusive).

    Without a bound, that end is open.

    An observation at `end` has `#` and its id after the time, so it sorts after the bound. `$` is
    the character after `#`: no observation sorts after `observation$`.
    """
    return SortKeyRange(
        f"observation#{start}" if start else "observation#",
        f"observation#{end}" if end else "observation$",
    )


def just_after(sort_key: str) -> str:
    """Lower bound that leaves out `sort_key` itself and nothing that follows it.

    DynamoDB refuses a start key outside the range of the query, so a cursor becomes a bound
    instead. `!` sorts before every character that can continue a sort key.
    """
    return f"{sort_key}!"


def encode_cursor(sort_key: str) -> str:
    """Write the cursor that continues a listing after an item.

    It holds the sort key only. The partition comes from the path of the request that uses it, so a
    forged cursor reaches nothing that the same customer could not list without one; and it names no
    Region, so a listing begun in one Region continues in another.

    Args:
        sort_key: Sort key of the last item listed.

    Returns:
        Base64url without padding.
    """
    document = json.dumps({"after": sort_key}, separators=(",", ":"))
    return base64.urlsafe_b64encode(document.encode()).decode().rstrip("=")


def decode_cursor(text: str, *, shape: re.Pattern[str]) -> str:
    """Read a cursor.

    Args:
        text: What `encode_cursor` wrote, to the letter.
        shape: Pattern of the sort keys of the listing.

    Returns:
        The sort key to continue after.

    Raises:
        InvalidRequest: Naming `cursor`, for every other text.
    """
    try:
        if len(text) <= _CURSOR_LENGTH_MAX:
            padded = text + "=" * (-len(text) % 4)
            sort_key = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))["after"]
            if shape.fullmatch(sort_key) and encode_cursor(sort_key) == text:
                return str(sort_key)
    except (ValueError, TypeError, LookupError, RecursionError):
        pass
    raise InvalidRequest(
        Fault("cursor", "must be the next_cursor of an earlier page of the same listing")
    )
