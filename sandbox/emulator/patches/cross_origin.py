"""Patches of what web pages of other origins may read."""

from __future__ import annotations

from typing import Any

from sandbox.emulator import module, replace

_PREFIX = "access-control-"


def services_allow_no_origin() -> None:
    """No service allows web pages of other origins to read its answers or to send it requests.

    AWS: some services allow every origin; a page has nothing of it without somebody's credentials.
    MiniStack 1.5.33: allows every origin everywhere, and its credentials are known to everybody.
    APIs of API Gateway keep the CORS that they define, and buckets that of their configuration.

    Source: https://developer.mozilla.org/en-US/docs/Web/HTTP/Guides/CORS
    """
    app = module("app")

    def answering_preflight(original: Any) -> Any:
        def handle_options_request(*arguments: Any) -> Any:
            return _without_wildcard(original(*arguments))

        return handle_options_request

    def dispatching(original: Any) -> Any:
        async def dispatch_service_request(*arguments: Any, **named: Any) -> Any:
            return _without_wildcard(await original(*arguments, **named))

        return dispatch_service_request

    def adding_headers(original: Any) -> Any:
        def with_data_plane_headers(
            response: Any, request_id: str, include_s3_id: bool = False, **_unused: Any
        ) -> Any:
            return original(response, request_id, include_s3_id, wildcard_cors=False)

        return with_data_plane_headers

    replace(app, "_handle_options_request", answering_preflight)
    replace(app, "_dispatch_service_request", dispatching)
    replace(app, "_with_data_plane_headers", adding_headers)


def _without_wildcard(response: Any) -> Any:
    if response is None or response[1].get("Access-Control-Allow-Origin") != "*":
        return response
    status, headers, body = response
    kept = {name: value for name, value in headers.items() if not name.lower().startswith(_PREFIX)}
    return status, kept, body
