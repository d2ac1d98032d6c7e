"""Patch of Route 53's query logging, which MiniStack does not have."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import SubElement

from sandbox.emulator import module, replace


def queries_of_a_zone_are_logged_in_one_place() -> None:
    """A zone has at most one configuration that logs its queries, in a group of us-east-1.

    AWS: creates, reads, lists and deletes it. It refuses a zone that has one, a log group that does
    not exist or is in another Region, and one that no resource policy lets Route 53 write to.
    MiniStack 1.5.33: knows none of the four operations. Nothing is logged here.

    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_CreateQueryLoggingConfig.html
    """
    route53 = module("services.route53")
    configurations = module("core.responses").AccountScopedDict()

    def answering(original: Any) -> Any:
        async def handle_request(
            method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
        ) -> Any:
            _, found, place = path.partition("/queryloggingconfig")
            if not found:
                return await original(method, path, headers, body, query)
            if method == "POST":
                return _create(route53, configurations, body)
            if not (id := place.strip("/")):
                zone = query.get("hostedzoneid", "")
                zone_id = zone[0] if isinstance(zone, list) else zone
                listed = [each for each in configurations.values() if zone_id in ("", each[1])]
                return route53._xml_response(
                    "ListQueryLoggingConfigsResponse",
                    lambda root: _add_all(root, listed),
                )
            if not (configuration := configurations.get(id)):
                return route53._error_response("NoSuchQueryLoggingConfig", f"no {id}", 404)
            if method == "DELETE":
                del configurations[id]
                return route53._xml_response("DeleteQueryLoggingConfigResponse", lambda _: None)
            return route53._xml_response(
                "GetQueryLoggingConfigResponse", lambda root: _add(root, configuration)
            )

        return handle_request

    replace(route53, "handle_request", answering)


_Configuration = tuple[str, str, str]
"""Id, id of the zone, ARN of the log group."""


def _create(route53: Any, configurations: dict[str, _Configuration], body: bytes) -> Any:
    element = route53._parse_body(body)
    zone_id = route53._text(element, "HostedZoneId").rpartition("/")[2]
    group = route53._text(element, "CloudWatchLogsLogGroupArn").removesuffix(":*")
    if zone_id not in route53._zones:
        return route53._error_response("NoSuchHostedZone", f"no zone {zone_id}", 404)
    if any(zone_id == each[1] for each in configurations.values()):
        return route53._error_response(
            "QueryLoggingConfigAlreadyExists", f"the queries for {zone_id} are logged already", 409
        )
    existing, policies = _logs_in_us_east_1()
    if group not in existing:
        return route53._error_response("NoSuchCloudWatchLogsLogGroup", f"no {group}", 404)
    if not any("route53.amazonaws.com" in text and group in text for text in policies):
        return route53._error_response(
            "InsufficientCloudWatchLogsResourcePolicy", f"Route 53 may not write to {group}"
        )
    id = route53.new_uuid()
    configurations[id] = configuration = (id, zone_id, group)
    status, headers, content = route53._xml_response(
        "CreateQueryLoggingConfigResponse",
        lambda root: _add(root, configuration),
        201,
    )
    return status, {**headers, "Location": f"/2013-04-01/queryloggingconfig/{id}"}, content


def _logs_in_us_east_1() -> tuple[list[str], list[str]]:
    """ARNs of the log groups of this account, and its resource policies."""
    logs, account = module("services.cloudwatch_logs"), module("core.responses").get_account_id()

    def there(stored: Any) -> list[Any]:
        return [
            value
            for (owner, region, _), value in stored.all_items()
            if (owner, region) == (account, "us-east-1")
        ]

    groups = [group["arn"].removesuffix(":*") for group in there(logs._log_groups)]
    return groups, [policy["policyDocument"] for policy in there(logs._resource_policies)]


def _add_all(parent: Any, configurations: list[_Configuration]) -> None:
    listed = SubElement(parent, "QueryLoggingConfigs")
    for configuration in configurations:
        _add(listed, configuration)


def _add(parent: Any, configuration: _Configuration) -> None:
    element = SubElement(parent, "QueryLoggingConfig")
    names = ("Id", "HostedZoneId", "CloudWatchLogsLogGroupArn")
    for name, text in zip(names, configuration, strict=True):
        SubElement(element, name).text = text
