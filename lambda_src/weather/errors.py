"""The one family of errors that the weather service raises on purpose.

They speak of the domain. Which HTTP status each becomes is decided in `weather.http` and nowhere
else; any other exception is a bug and becomes a 500.
"""

# ruff: noqa: N818 - the names say what became of a request, and read so in `raise NotFound(...)`.

from types import TracebackType
from typing import NamedTuple


class Fault(NamedTuple):
    """One thing wrong with a request.

    Attributes:
        field: Name of the path parameter, query parameter or body field; `body` for the body whole.
        detail: What is wrong and what is allowed, as the end of a sentence about the field.
    """

    field: str
    detail: str


class WeatherError(Exception):
    """Base of the family.

    Args:
        detail: What happened, in words a customer may read.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class InvalidRequest(WeatherError):
    """The request breaks the rules, and repeating it will not help.

    Args:
        faults: Every fault of the request, at least one, in the order they were found.
    """

    def __init__(self, *faults: Fault) -> None:
        names = ", ".join(dict.fromkeys(fault.field for fault in faults))
        super().__init__(f"The request is not valid: {names}.")
        self.faults = faults


class UnsupportedMediaType(WeatherError):
    """The body is announced as something other than JSON."""


class NotFound(WeatherError):
    """The location is not registered, or it has no observation yet."""


class Conflict(WeatherError):
    """Another observation already exists for that location and time."""


class Unavailable(WeatherError):
    """The local replica cannot be read or written at the moment; the request may be repeated.

    Args:
        cause: Name of the error underneath, for the log only; it never holds data of a customer.
        retry_after_seconds: When repeating the request makes sense.
    """

    def __init__(self, cause: str, *, retry_after_seconds: int = 2) -> None:
        super().__init__("Weather data cannot be reached at the moment; please repeat the request.")
        self.cause = cause
        self.retry_after_seconds = retry_after_seconds


class WritesRefused(WeatherError):
    """The Region is evacuated and accepts no writes; the request may be repeated in another one.

    Args:
        region: The Region.
        retry_after_seconds: When the common name leads nobody here any more.
    """

    def __init__(self, region: str, *, retry_after_seconds: int) -> None:
        super().__init__(
            f"The Region {region} is out of service and accepts no writes; please repeat the "
            "request in another Region, or resolve the name again."
        )
        self.retry_after_seconds = retry_after_seconds


class Faults:
    """Gathers the faults of many checks, so that a customer learns of all of them at once.

    Each check has its own `with` block; `raise_if_any` follows the last one::

        faults = Faults()
        with faults:
            location = parse_location_id(text)
        with faults:
            moment = parse_time("from", other_text)
        faults.raise_if_any()
    """

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def __enter__(self) -> None:
        """Start one check."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Keep the faults of an `InvalidRequest`; let every other exception pass."""
        if not isinstance(error, InvalidRequest):
            return False
        self._faults.extend(error.faults)
        return True

    def raise_if_any(self) -> None:
        """End the checks.

        Raises:
            InvalidRequest: With all faults gathered, if there are any.
        """
        if self._faults:
            raise InvalidRequest(*self._faults)
