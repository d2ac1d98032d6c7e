"""Customers' keys and limits: the same in every Region, or a failover locks them out.

Values of keys are compared and never shown.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from ops.environment import Environment
from ops.verification.comparison import Settings, compared
from ops.verification.finding import Finding, check, guarded, judged
from ops.verification.reaching import client

_FIX = "deploy the stack again: it gives every Region every key and the same limits"


@dataclass(frozen=True)
class ApiKey:
    """A key that opens the API in one Region.

    Attributes:
        name: Its name.
        fingerprint: SHA-256 of its value.
        enabled: Whether it opens anything now.
    """

    name: str
    fingerprint: str
    enabled: bool


@check("parity.keys")
def keys(environment: Environment) -> Iterator[Finding]:
    """Every key that is enabled in one Region is enabled in all."""
    found: dict[str, dict[str, ApiKey]] = {}

    def keep(region: str) -> Iterator[Finding]:
        found[region] = {key.fingerprint: key for key in _keys(environment, region)}
        return iter(())

    for region in environment.regions:
        yield from guarded(region, partial(keep, region))
    for region, here in found.items():
        enabled = len([key for key in here.values() if key.enabled])
        yield judged(
            region,
            _missing(here, {other: keys for other, keys in found.items() if other != region}),
            otherwise=f"{enabled} enabled {'key' if enabled == 1 else 'keys'}, as elsewhere",
            fix=_FIX,
        )


@check("parity.limits")
def limits(environment: Environment) -> Iterator[Finding]:
    """The same rates, bursts and quotas for the same plans."""
    yield from compared(
        environment, _limits, alike="{count} settings of usage plans alike", fix=_FIX
    )


def _missing(here: dict[str, ApiKey], elsewhere: dict[str, dict[str, ApiKey]]) -> Iterator[str]:
    """What opens another Region and not this one."""
    for region, keys in elsewhere.items():
        for fingerprint, key in keys.items():
            mine = here.get(fingerprint)
            if key.enabled and mine is None:
                names = {each.name for each in here.values()}
                how = "has another value" if key.name in names else "is missing"
                yield f"the key {key.name} of {region} {how} here"
            elif key.enabled and mine is not None and not mine.enabled:
                yield f"the key {mine.name} is disabled here, and enabled in {region}"


def _plans(environment: Environment, region: str) -> list[dict[str, Any]]:
    """Usage plans that open the API's stage."""
    pages = client(environment, "apigateway", region).get_paginator("get_usage_plans").paginate()
    stage = {
        "apiId": environment.outputs["api_ids"][region],
        "stage": environment.region_url(region).rpartition("/")[2],
    }
    return [
        plan
        for page in pages
        for plan in page["items"]
        if any(stage.items() <= opened.items() for opened in plan.get("apiStages", ()))
    ]


def _keys(environment: Environment, region: str) -> Iterator[ApiKey]:
    gateway = client(environment, "apigateway", region)
    members = {
        member["id"]
        for plan in _plans(environment, region)
        for page in gateway.get_paginator("get_usage_plan_keys").paginate(usagePlanId=plan["id"])
        for member in page["items"]
    }
    for page in gateway.get_paginator("get_api_keys").paginate(includeValues=True):
        for key in page["items"]:
            if key["id"] in members:
                fingerprint = hashlib.sha256(key["value"].encode()).hexdigest()
                yield ApiKey(key["name"], fingerprint, bool(key.get("enabled")))


def _limits(environment: Environment, region: str) -> Settings:
    settings: dict[str, object] = {}
    for plan in sorted(_plans(environment, region), key=lambda plan: str(plan["name"])):
        for kind in ("throttle", "quota"):
            for name, value in (plan.get(kind) or {"limit": "none"}).items():
                settings[f"plan {plan['name']}, {kind} {name}"] = value
        for opened in plan["apiStages"]:
            if opened["apiId"] == environment.outputs["api_ids"][region]:
                for method, throttle in (opened.get("throttle") or {}).items():
                    settings[f"plan {plan['name']}, throttle of {method}"] = throttle
    return settings
