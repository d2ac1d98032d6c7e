"""What of each Region's capacity is in use, and its quotas, for the fault-injection API.

GET /_local/capacity            `{region: what is in use}`, as `Capacity.describe`
PUT /_local/capacity/{region}   change quotas of a Region, as `Limits` names them; 200 or 400

Quotas that are not named stay as they are.
"""

from __future__ import annotations

import json
from typing import Any

from sandbox.emulator import CAPACITY_PATH, read_body
from sandbox.emulator.capacity import Capacity
from sandbox.emulator.strict import Application


class CapacityApi:
    """MiniStack behind the control of its capacity.

    Args:
        application: MiniStack's ASGI application.
        capacity: What is in use.
    """

    def __init__(self, application: Application, capacity: Capacity) -> None:
        self._application, self._capacity = application, capacity

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        is_own = scope["type"] == "http" and f"{scope['path']}/".startswith(f"{CAPACITY_PATH}/")
        if not is_own:
            await self._application(scope, receive, send)
            return
        region = scope["path"].removeprefix(CAPACITY_PATH).strip("/")
        content_type = dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0]
        match scope["method"], region:
            case "GET", "":
                await _respond(send, 200, self._capacity.describe(()))
            case "PUT", "":
                await _respond(send, 404, {"message": "name a Region: PUT .../capacity/us-west-2"})
            case "PUT", _ if content_type != b"application/json":
                # A web page cannot send JSON without a preflight request.
                await _respond(send, 415, {"message": "content-type: expected application/json"})
            case "PUT", _:
                try:
                    values = json.loads(await read_body(receive))
                    limits = self._capacity.limits(region).with_values(values)
                except ValueError as error:
                    await _respond(send, 400, {"message": str(error)})
                    return
                self._capacity.set_limits(region, limits)
                await _respond(send, 200, self._capacity.describe((region,))[region])
            case method, _:
                await _respond(send, 404, {"message": f"no {method} {scope['path']}"})


async def _respond(send: Any, status: int, body: Any) -> None:
    content = json.dumps(body).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(content)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
