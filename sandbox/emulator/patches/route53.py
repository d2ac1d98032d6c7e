"""Patches of Route 53's control plane."""

from __future__ import annotations

import re
from typing import Any

from sandbox.emulator import module, replace

_CHANGE_INFO = re.compile(rb"<ChangeInfo>.*?</ChangeInfo>", re.DOTALL)
_LISTS = {"Regions": "Region", "ChildHealthChecks": "ChildHealthCheck"}
CHECKER_REGIONS = (
    "ap-northeast-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "eu-west-1",
    "sa-east-1",
    "us-east-1",
    "us-west-1",
    "us-west-2",
)
"""Where Route 53 checks from, unless fewer are set."""
_FEWEST_REGIONS = 3
_CHECKED_BY_NOBODY = ("CALCULATED", "CLOUDWATCH_METRIC", "RECOVERY_CONTROL")


def health_check_lists_are_read() -> None:
    """A health check keeps its checker Regions and its children.

    AWS: gives back ``Regions`` and ``ChildHealthChecks`` as they were set.
    MiniStack 1.5.33: reads each entry as an empty string, so every plan wants to set them again.

    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html
    """
    route53 = module("services.route53")

    def parsing(original: Any) -> Any:
        def parse_health_check_config(element: Any) -> Any:
            config = original(element)
            for name, entry in _LISTS.items():
                container = route53._find(element, name)
                if container is not None:
                    config[name] = [
                        child.text or "" for child in route53._findall(container, entry)
                    ]
            return config

        return parse_health_check_config

    replace(route53, "_parse_health_check_config", parsing)


def health_check_switches_are_xml_booleans() -> None:
    """A health check's switches, such as ``EnableSNI``, are written ``true`` or ``false``.

    AWS: writes XML booleans.
    MiniStack 1.5.33: writes ``True`` and ``False``; boto3 reads ``True`` as false.

    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetHealthCheck.html
    """
    route53 = module("services.route53")

    def building(original: Any) -> Any:
        def build_health_check(parent: Any, check: dict[str, Any]) -> None:
            config = {
                name: str(value).lower() if isinstance(value, bool) else value
                for name, value in check.get("config", {}).items()
            }
            original(parent, {**check, "config": config})

        return build_health_check

    replace(route53, "_build_health_check_el", building)


def health_check_names_its_checker_regions() -> None:
    """A health check that sets no checker Regions has the eight of Route 53.

    AWS: ``GetHealthCheck`` names all eight; an empty list, or fewer than three, gets 400
    InvalidInput.
    MiniStack 1.5.33: names none, and takes any list. Provider 5.100 plans Regions away that its
    configuration does not name, by sending an empty list.

    Source: https://github.com/hashicorp/terraform-provider-aws/issues/45824
    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html
    """
    route53 = module("services.route53")

    def creating(original: Any) -> Any:
        def create_health_check(body: bytes) -> Any:
            return _too_few_regions(route53, body, "HealthCheckConfig") or original(body)

        return create_health_check

    def updating(original: Any) -> Any:
        def update_health_check(check_id: str, body: bytes) -> Any:
            return _too_few_regions(route53, body) or original(check_id, body)

        return update_health_check

    def building(original: Any) -> Any:
        def build_health_check(parent: Any, check: dict[str, Any]) -> None:
            config = check.get("config", {})
            if config.get("Type") not in _CHECKED_BY_NOBODY and "Regions" not in config:
                config = {**config, "Regions": list(CHECKER_REGIONS)}
            original(parent, {**check, "config": config})

        return build_health_check

    replace(route53, "_create_health_check", creating)
    replace(route53, "_update_health_check", updating)
    replace(route53, "_build_health_check_el", building)


def _too_few_regions(route53: Any, body: bytes, *path: str) -> Any:
    element = route53._parse_body(body)
    for name in path:
        element = None if element is None else route53._find(element, name)
    regions = None if element is None else route53._find(element, "Regions")
    if regions is None or len(route53._findall(regions, "Region")) >= _FEWEST_REGIONS:
        return None
    return route53._error_response(
        "InvalidInput", f"Health check regions must contain at least {_FEWEST_REGIONS} regions."
    )


def alias_in_the_zone_has_a_target() -> None:
    """An alias of a name in its own zone is refused while no record of its type has that name.

    AWS: 400 InvalidChangeBatch: the alias "targets ..., but that target was not found".
    MiniStack 1.5.33: takes it; the name resolves to nothing until the target exists.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-alias-common.html
    Source: https://github.com/barnybug/cli53/issues/227
    """
    route53 = module("services.route53")

    def changing(original: Any) -> Any:
        def change_resource_record_sets(zone_id: str, body: bytes) -> Any:
            return _missing_target(route53, zone_id, body) or original(zone_id, body)

        return change_resource_record_sets

    replace(route53, "_change_resource_record_sets", changing)


def _missing_target(route53: Any, zone_id: str, body: bytes) -> Any:
    element = route53._parse_body(body)
    for name in ("ChangeBatch", "Changes"):
        element = None if element is None else route53._find(element, name)
    # What is incomplete, MiniStack refuses itself.
    records = [
        route53._parse_record_set(record)
        for change in ([] if element is None else route53._findall(element, "Change"))
        if route53._text(change, "Action") != "DELETE"
        and (record := route53._find(change, "ResourceRecordSet")) is not None
    ]
    existing = {
        (record["Name"].lower(), record["Type"])
        for record in (*route53._records.get(zone_id, ()), *records)
    }
    for record in records:
        alias, kind = record.get("AliasTarget"), record["Type"]
        if alias and alias["HostedZoneId"] == zone_id:
            target = alias["DNSName"].lower()
            if (target, kind) not in existing:
                return route53._error_response(
                    "InvalidChangeBatch",
                    f"Tried to create an alias that targets {target}, type {kind} in zone "
                    f"{zone_id}, but that target was not found",
                )
    return None


def cname_record_is_alone() -> None:
    """A CNAME record is refused beside records of other types, and at the apex of a zone.

    AWS: 400 InvalidChangeBatch for a batch after which both would be there; one batch may delete
    the ones and create the others.
    MiniStack 1.5.33: takes it; DNS has no answer that fits both.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/ResourceRecordTypes.html
    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html
    """
    route53 = module("services.route53")

    def changing(original: Any) -> Any:
        def change_resource_record_sets(zone_id: str, body: bytes) -> Any:
            # Handlers run one after the other, without a pause.
            before = route53._records.get(zone_id)
            response = original(zone_id, body)
            error = _cname_conflict(route53, zone_id) if before is not None else None
            if error:
                route53._records[zone_id] = before
            return error or response

        return change_resource_record_sets

    replace(route53, "_change_resource_record_sets", changing)


def _cname_conflict(route53: Any, zone_id: str) -> Any:
    types: dict[str, set[str]] = {}
    for record in route53._records[zone_id]:
        types.setdefault(record["Name"].lower(), set()).add(record["Type"])
    apex = route53._zones[zone_id]["name"].lower()
    for name, found in types.items():
        if "CNAME" not in found:
            continue
        if name == apex:
            return route53._error_response(
                "InvalidChangeBatch",
                f"RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {name}",
            )
        if len(found) > 1:
            return route53._error_response(
                "InvalidChangeBatch",
                f"RRSet of type CNAME with DNS name {name} is not permitted as it conflicts with "
                f"other records with the same DNS name in zone {apex}",
            )
    return None


def terraform_does_not_wait_for_dns_changes() -> None:
    """Terraform does not wait for a Route 53 change that took effect at once.

    AWS: responds to each change of a zone with a ``ChangeInfo`` that is PENDING for up to a
    minute; the Terraform provider looks for the first time after 30 seconds, and does not look
    without a ``ChangeInfo``.
    MiniStack 1.5.33: answers as AWS does, although the change is already in effect. Only
    Terraform, known by its User-Agent, gets no ``ChangeInfo`` here.

    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetChange.html
    """
    route53 = module("services.route53")

    def answering(original: Any) -> Any:
        async def handle_request(
            method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
        ) -> Any:
            status, answered, content = await original(method, path, headers, body, query)
            if method != "GET" and "terraform-provider-aws" in headers.get("user-agent", ""):
                content = _CHANGE_INFO.sub(b"", content)
            return status, answered, content

        return handle_request

    replace(route53, "handle_request", answering)
