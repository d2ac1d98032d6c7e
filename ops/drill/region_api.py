"""The API of one Region, called by its own URL, and again while it is busy."""

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlencode

from ops.environment import Environment
from ops.errors import OpsError
from ops.http_client import Response, signed_headers

PAGE = 100
TIMEOUT_SECONDS = 15.0
RETRY_SECONDS = 30.0
"""How long a request is repeated that a limit or a busy Region refuses."""
T = TypeVar("T")


def listed(
    environment: Environment,
    region: str,
    path: str,
    items: Callable[[Any], Iterable[T]],
    retry_seconds: float = RETRY_SECONDS,
) -> Iterator[T]:
    """List the items of all pages, with the customer's key.

    Args:
        environment: The environment.
        region: The Region.
        path: Path of the listing, below the stage.
        items: Takes the items from the JSON value of a page.
        retry_seconds: How long a temporary refusal is retried.

    Raises:
        OpsError: The Region does not list them, or in another form.
    """
    query = {"limit": str(PAGE)}
    deadline = time.monotonic() + retry_seconds
    while True:
        url = f"{environment.region_url(region)}{path}?{urlencode(query)}"
        response = _repeated(
            partial(
                environment.network.request,
                "GET",
                url,
                headers={"x-api-key": environment.api_key},
                timeout_seconds=TIMEOUT_SECONDS,
            ),
            deadline,
        )
        if not response.ok:
            raise refusal(f"list {path}", environment, region, response)
        try:
            page = response.json
            listed, cursor = items(page), page["next_cursor"]
            if cursor and cursor == query.get("cursor"):
                raise ValueError("the cursor does not move on")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise refusal(f"list {path}", environment, region, response) from error
        yield from listed
        if not cursor:
            return
        query["cursor"] = cursor


def signed(
    environment: Environment,
    method: str,
    region: str,
    path: str,
    *,
    body: Any = None,
    deadline: float | None = None,
) -> Response:
    """Send a signed request, again while it is refused temporarily.

    Args:
        environment: The environment.
        method: HTTP method.
        region: The Region.
        path: Path, below the stage.
        body: JSON value of the body.
        deadline: Until when it is repeated, by the monotonic clock; `RETRY_SECONDS` by default.
    """
    url = environment.region_url(region) + path

    def send() -> Response:
        headers, data = signed_headers(
            method, url, region=region, credentials=environment.credentials(), body=body
        )
        return environment.network.request(
            method, url, headers=headers, body=data, timeout_seconds=TIMEOUT_SECONDS
        )

    return _repeated(send, time.monotonic() + RETRY_SECONDS if deadline is None else deadline)


def _repeated(send: Callable[[], Response], deadline: float) -> Response:
    """Repeat a request while a limit (429), a busy Region (5xx) or the network refuses it.

    A drill that gave up here would leave behind what it wrote.
    """
    while _is_temporary(response := send()) and (left := deadline - time.monotonic()) > 0:
        wait = response.headers.get("retry-after", "")
        time.sleep(min(float(wait) if wait.isdecimal() else 1.0, left))
    return response


def _is_temporary(response: Response) -> bool:
    return response.status is None or response.status == 429 or response.status >= 500


def refusal(what: str, environment: Environment, region: str, response: Response) -> OpsError:
    """Say what a Region does not do.

    Args:
        what: What it was asked for, as an infinitive.
        environment: The environment.
        region: The Region.
        response: Its response.
    """
    return OpsError(
        f"{region} does not {what}: {response.summary} {response.body[:200]}".rstrip(),
        next_step=f"see what is wrong in {region}: python -m ops verify {environment.selector}",
    )
