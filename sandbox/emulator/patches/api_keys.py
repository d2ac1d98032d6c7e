"""Patches of API Gateway's API keys."""

from __future__ import annotations

from typing import Any

from sandbox.emulator import module, replace


def api_key_value_exists_once() -> None:
    """A value belongs to one API key of an account and Region.

    AWS: 409, ConflictException, "API Key already exists"; in another Region the value is free.
    MiniStack 1.5.33: accepts it, and finds one of the two keys.

    Source: https://github.com/hashicorp/terraform-provider-aws/issues/17130
    """
    gateway = module("services.apigateway_v1")

    def creating(original: Any) -> Any:
        def create_api_key(data: dict[str, Any]) -> Any:
            value = data.get("value")
            if value and any(key.get("value") == value for key in gateway._api_keys.values()):
                return gateway._v1_error("ConflictException", "API Key already exists", 409)
            return original(data)

        return create_api_key

    replace(gateway, "_create_api_key", creating)
