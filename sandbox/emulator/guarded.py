"""The emulator behind the request guard: pages of other origins, and what is no API's, are refused.

Only API Gateway is to be reached by the names of the deployed API, with the CORS that the API has.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from sandbox.emulator import CAPACITY_PATH, FAULTS_PATH, REPLICATION_PATH
from sandbox.emulator.patches.addressing import is_api_host
from sandbox.request_guard import host_name, refusal

Application = Callable[[Any, Any, Any], Awaitable[None]]

_OWN_PATHS = (
    CAPACITY_PATH, FAULTS_PATH, REPLICATION_PATH, "/_ministack/", "/_localstack/", "/_aws/",
)  # fmt: skip
"""Control APIs of the emulator; API Gateway never has them."""


def guarded(
    application: Application, *, is_api: Callable[[str], bool] = is_api_host
) -> Application:
    """Refuse what the request guard refuses before the application sees it.

    Args:
        application: The emulator's ASGI application.
        is_api: Whether a host name is one of a deployed API.

    Returns:
        The application to serve.
    """

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan" or not (body := _refused(scope, is_api)):
            await application(scope, receive, send)
        elif scope["type"] == "websocket":
            # Before it is accepted: the server responds with 403.
            await send({"type": "websocket.close"})
        else:
            content = json.dumps(body).encode()
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(content)).encode()),
            ]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": content})

    return serve


def _refused(scope: Any, is_api: Callable[[str], bool]) -> dict[str, str] | None:
    """The body of a refusal; None if the request may be carried out."""
    if reason := refusal(scope["headers"], scope["server"], is_api=is_api):
        return {"message": reason}
    host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
    if scope["path"].startswith(_OWN_PATHS) and is_api(host_name(host)):
        return {"message": "Forbidden"}
    return None
