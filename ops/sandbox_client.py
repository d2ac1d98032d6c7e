"""Requests to the servers of a sandbox on this machine, which speak JSON."""

from typing import Any

import urllib3

from ops.errors import OpsError

START = "start what is missing: python -m sandbox up"


def call_sandbox(
    what: str, method: str, url: str, body: Any, timeout_seconds: float
) -> tuple[int, dict[str, Any]]:
    """Send one request: never through a proxy, and never twice.

    Args:
        what: Who is called, in words.
        method: HTTP method.
        url: The URL.
        body: JSON value of the body; None for none.
        timeout_seconds: Longest wait for the response.

    Returns:
        Status and body.

    Raises:
        OpsError: It does not respond, or with something else than a JSON object.
    """
    try:
        response = urllib3.request(method, url, json=body, timeout=timeout_seconds, retries=False)
        found = response.json()
        if not isinstance(found, dict):
            raise ValueError(f"a JSON object was expected, got {type(found).__name__}")
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise OpsError(f"{what} at {url} does not respond: {error}", next_step=START) from error
    return response.status, found
