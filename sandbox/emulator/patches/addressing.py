"""Patches of how a request finds its API: execute-api host names and custom domain names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from sandbox.emulator import module, replace

REGION_HEADER = "x-amz-local-region"

_EXECUTE_API = re.compile(
    r"(?P<label>.+)\.execute-api\.(?P<region>[a-z]{2}(?:-[a-z]+)+-\d+)\.amazonaws\.com"
)
_asked_region: ContextVar[str | None] = ContextVar("asked_region", default=None)


def execute_api_answers_by_host_name() -> None:
    """``{api id}.execute-api.{region}.amazonaws.com/{stage}/…`` reaches its stage, there only.

    AWS: serves each API under that host name; under the name of another Region, and under the
    regional host name of a custom domain, it answers 403 "Forbidden".
    MiniStack 1.5.33: knows only ``{api id}.execute-api.localhost`` and answers 404.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/how-to-call-api.html
    """
    app = module("app")

    def parsing(original: Any) -> Any:
        def parse_execute_api_url(host: str, path: str) -> Any:
            address = _EXECUTE_API.fullmatch(_host_name(host))
            if address is None:
                return original(host, path)
            return original("", f"/_aws/execute-api/{address['label']}{path}")

        return parse_execute_api_url

    def handling(original: Any) -> Any:
        async def handle_execute_api_request(host: str, *rest: Any, **named: Any) -> Any:
            address = _EXECUTE_API.fullmatch(_host_name(host))
            if address and _region_of_api(address["label"]) != address["region"]:
                return _forbidden()
            return await original(host, *rest, **named)

        return handle_execute_api_request

    replace(app, "_parse_execute_api_url", parsing)
    replace(app, "_handle_execute_api_request", handling)


def custom_domain_answers_in_the_region_asked() -> None:
    """A custom domain name of several Regions serves from the Region that the request asks for.

    AWS: the address that DNS gave decides, as each Region has its own addresses.
    MiniStack 1.5.33: has one address, and takes the Region in which the name was created first.
    Here the request header ``X-Amz-Local-Region`` picks the Region; without it the first one
    stays. The function does not see the header.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/dns-failover.html
    """
    app = module("app")
    gateway = module("services.apigateway_v1")

    def finding(original: Any) -> Any:
        def find_domain_scope(domain_name: str) -> Any:
            asked = _asked_region.get()
            if asked is None:
                return original(domain_name)
            return next((scope for scope in _domain_scopes(domain_name) if scope[1] == asked), None)

        return find_domain_scope

    def handling(original: Any) -> Any:
        async def handle_execute_api_request(
            host: str, path: str, method: str, headers: dict[str, str], *rest: Any, **named: Any
        ) -> Any:
            kept = {name: value for name, value in headers.items() if name != REGION_HEADER}
            token = _asked_region.set(headers.get(REGION_HEADER))
            try:
                return await original(host, path, method, kept, *rest, **named)
            finally:
                _asked_region.reset(token)

        return handle_execute_api_request

    replace(gateway, "find_domain_scope", finding)
    replace(app, "_handle_execute_api_request", handling)


def api_host_names_belong_to_api_gateway() -> None:
    """Nothing but API Gateway answers on an API's host names.

    AWS: a path without a base path mapping gets 403 "Forbidden".
    MiniStack 1.5.33: answers ``/health`` itself on every host, with 200, and hands other paths to
    S3 and other services; a health check with a wrong path would look healthy.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-mappings.html
    """
    app = module("app")

    def answering_early(original: Any) -> Any:
        async def handle_pre_body_request(
            method: str, path: str, headers: dict[str, str], *rest: Any, **named: Any
        ) -> Any:
            if is_api_host(headers.get("host", "")):
                return None
            return await original(method, path, headers, *rest, **named)

        return handle_pre_body_request

    def handling(original: Any) -> Any:
        async def handle_execute_api_request(host: str, *rest: Any, **named: Any) -> Any:
            answer = await original(host, *rest, **named)
            return _forbidden() if answer is None and is_api_host(host) else answer

        return handle_execute_api_request

    def routing(original: Any) -> Any:
        async def handle_special_data_plane_request(
            method: str, path: str, headers: dict[str, str], *rest: Any, **named: Any
        ) -> Any:
            host = headers.get("host", "")
            if not is_api_host(host):
                return await original(method, path, headers, *rest, **named)
            body, query, request_id = rest
            raw = {name: value for name, value in named.items() if name.startswith("raw_")}
            answer = await app._handle_execute_api_request(
                host, path, method, headers, body, query, **raw
            )
            return app._with_data_plane_headers(answer, request_id, wildcard_cors=False)

        return handle_special_data_plane_request

    replace(app, "_handle_pre_body_request", answering_early)
    replace(app, "_handle_post_body_shortcuts", answering_early)
    replace(app, "_handle_special_data_plane_request", routing)
    replace(app, "_handle_execute_api_request", handling)


def closed_execute_api_endpoint_answers_nobody() -> None:
    """An API whose execute-api endpoint is disabled answers at its custom domain names only.

    AWS: 403 "Forbidden" at the host name that AWS gives the API; a patch brings the setting as
    text, and it is read back as a boolean.
    MiniStack 1.5.33: answers there all the same, and keeps the text, which no SDK can read.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-disable-default-endpoint.html
    """
    app = module("app")
    gateway = module("services.apigateway_v1")

    def updating(original: Any) -> Any:
        def update_rest_api(api_id: str, data: dict[str, Any]) -> Any:
            for operation in data.get("patchOperations", []):
                if operation.get("path") == "/disableExecuteApiEndpoint" and "value" in operation:
                    operation["value"] = str(operation["value"]).lower() == "true"
            return original(api_id, data)

        return update_rest_api

    def handling(original: Any) -> Any:
        async def handle_execute_api_request(host: str, path: str, *rest: Any, **named: Any) -> Any:
            address = app._parse_execute_api_url(host, path)
            if address and _is_closed(address[0]):
                return _forbidden()
            return await original(host, path, *rest, **named)

        return handle_execute_api_request

    replace(gateway, "_update_rest_api", updating)
    replace(app, "_handle_execute_api_request", handling)


def _is_closed(api_id: str) -> bool:
    gateway = module("services.apigateway_v1")
    scope = gateway.find_api_scope(api_id)
    api = gateway._rest_apis.get_scoped(*scope[:2], api_id) if scope else None
    return bool((api or {}).get("disableExecuteApiEndpoint"))


def _host_name(host: str) -> str:
    return host.rsplit(":", 1)[0].lower() if ":" in host else host.lower()


def is_api_host(host: str) -> bool:
    """Check whether a name is one of an API: that which AWS gives it, or a custom domain name.

    Args:
        host: The name, with or without a port.
    """
    name = _host_name(host)
    return bool(_EXECUTE_API.fullmatch(name)) or any(_domain_scopes(name))


def _domain_scopes(domain_name: str) -> Iterator[tuple[str, str, str]]:
    """Account, Region and stored name of each place a custom domain name is registered in."""
    gateway = module("services.apigateway_v1")
    account = module("core.responses").get_account_id()
    for scope, _record in gateway._domain_names.all_items():
        if scope[0] == account and scope[2].lower() == domain_name.lower():
            yield scope


def _region_of_api(api_id: str) -> str | None:
    for name in ("services.apigateway_v1", "services.apigateway"):
        scope = module(name).find_api_scope(api_id)
        if scope is not None:
            return str(scope[1])
    return None


def _forbidden() -> tuple[int, dict[str, str], bytes]:
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": "ForbiddenException"}
    return 403, headers, json.dumps({"message": "Forbidden"}).encode()
