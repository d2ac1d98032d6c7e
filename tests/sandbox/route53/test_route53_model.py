"""Rules of reading: what the API's shapes mean."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.route53.api_client import Configuration, read_configuration
from sandbox.route53.model import CHECKER_REGIONS, HealthCheck, RecordSet, Zone
from sandbox.route53.record_names import canonical_name, dns_text_value

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("example.com", "example.com."),
        ("Example.COM.", "example.com."),
        (r"\052.example.com.", "*.example.com."),
        (r"ex\344mple.com", r"ex\228mple.com."),
        (r"a\056b.example.com", r"a\.b.example.com."),
        ("*.example.com", "*.example.com."),
    ],
)
def test_one_name_has_one_spelling(text: str, expected: str) -> None:
    assert canonical_name(text) == expected


@given(st.from_regex(r"[a-zA-Z0-9_-]{1,20}(\.[a-zA-Z0-9-]{1,20}){0,3}\.?", fullmatch=True))
def test_spelling_a_name_twice_changes_nothing(text: str) -> None:
    assert canonical_name(canonical_name(text)) == canonical_name(text)


def test_octal_escapes_are_rewritten_in_text_values_only() -> None:
    assert dns_text_value("TXT", r'"caf\351"') == r'"caf\233"'
    assert dns_text_value("A", "127.0.0.1") == "127.0.0.1"


@pytest.mark.parametrize(
    ("extra", "policy"),
    [
        ({}, "simple"),
        ({"Failover": "PRIMARY"}, "failover"),
        ({"Weight": 0}, "weighted"),
        ({"Region": "eu-west-1"}, "latency"),
        ({"MultiValueAnswer": True}, "multivalue"),
        ({"GeoLocation": {"CountryCode": "*"}}, "unsupported"),
        ({"CidrRoutingConfig": {"CollectionId": "x", "LocationName": "*"}}, "unsupported"),
    ],
)
def test_routing_policy_follows_from_the_fields(extra: dict[str, Any], policy: str) -> None:
    record = RecordSet.from_api(
        {"Name": "a.test.", "Type": "A", "TTL": 5, "ResourceRecords": [{"Value": "x"}], **extra}
    )
    assert (record.policy, record.ttl_seconds, record.values) == (policy, 5, ("x",))


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("CNAME", "d-1.us-east-1.test", "d-1.us-east-1.test."),
        ("CNAME", "b.test.", "b.test."),
        ("MX", "10 mx.test", "10 mx.test."),
        ("A", "192.0.2.1", "192.0.2.1"),
    ],
)
def test_names_in_values_are_fully_qualified(kind: str, value: str, read: str) -> None:
    values = [{"Value": value}]
    record = RecordSet.from_api(
        {"Name": "a.test.", "Type": kind, "TTL": 5, "ResourceRecords": values}
    )
    assert record.values == (read,)


def test_alias_target_is_read_with_its_zone_and_health_evaluation() -> None:
    record = RecordSet.from_api(
        {
            "Name": "a.test.",
            "Type": "A",
            "AliasTarget": {
                "DNSName": "B.test",
                "HostedZoneId": "/hostedzone/Z1",
                "EvaluateTargetHealth": True,
            },
        }
    )
    assert record.alias is not None
    assert record.alias.dns_name == "b.test."
    assert record.alias.hosted_zone_id == "Z1"
    assert record.alias.evaluate_target_health
    assert record.ttl_seconds is None


def test_health_check_defaults_are_those_of_the_api() -> None:
    check = HealthCheck.from_api({"Id": "h", "HealthCheckConfig": {"Type": "HTTPS_STR_MATCH"}})
    assert (check.port, check.path, check.interval_seconds, check.failure_threshold) == (
        443,
        "/",
        30,
        3,
    )
    assert check.regions == CHECKER_REGIONS
    assert not check.inverted
    assert not check.disabled


def test_a_path_without_leading_slash_gets_one() -> None:
    config = {"Type": "HTTP", "ResourcePath": "health?deep=1"}
    assert HealthCheck.from_api({"Id": "h", "HealthCheckConfig": config}).path == "/health?deep=1"


def test_names_between_records_exist() -> None:
    zone = Zone("Z", "example.com.", (RecordSet("a.b.c.example.com.", "A"),))
    assert zone.names == {
        "example.com.",
        "c.example.com.",
        "b.c.example.com.",
        "a.b.c.example.com.",
    }


class FakeClient:
    """Answers paginated operations from a table, and notes how they were asked."""

    def __init__(self, pages: dict[str, list[dict[str, Any]]]) -> None:
        self.pages = pages
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def get_paginator(self, operation_name: str, /) -> Any:
        client = self

        class Paginator:
            def paginate(self, **arguments: Any) -> list[dict[str, Any]]:
                client.asked.append((operation_name, arguments))
                return client.pages[operation_name]

        return Paginator()


def _zone(name: str, zone_id: str, private: bool = False) -> dict[str, Any]:
    return {"Id": f"/hostedzone/{zone_id}", "Name": name, "Config": {"PrivateZone": private}}


def _record(name: str) -> dict[str, Any]:
    return {"Name": name, "Type": "A", "TTL": 1, "ResourceRecords": [{"Value": "127.0.0.1"}]}


def test_every_page_is_read_and_private_zones_are_passed_over() -> None:
    # GIVEN two pages of everything, and a private zone of the same name before the public one
    client = FakeClient(
        {
            "list_hosted_zones": [
                {"HostedZones": [_zone("a.test.", "PRIVATE", private=True)]},
                {"HostedZones": [_zone("a.test.", "PUBLIC")]},
            ],
            "list_resource_record_sets": [
                {"ResourceRecordSets": [_record("x.a.test.")]},
                {"ResourceRecordSets": [_record("y.a.test.")]},
            ],
            "list_health_checks": [
                {"HealthChecks": [{"Id": "1", "HealthCheckConfig": {"Type": "TCP", "Port": 9}}]},
                {"HealthChecks": [{"Id": "2", "HealthCheckConfig": {"Type": "TCP", "Port": 9}}]},
            ],
        }
    )
    # WHEN the configuration is read
    read = read_configuration(client, ["A.test", "absent.test"])
    # THEN nothing is left out, and the zone that does not exist is named
    assert [zone.id for zone in read.zones] == ["PUBLIC"]
    assert [record.name for record in read.zones[0].records] == ["x.a.test.", "y.a.test."]
    assert list(read.checks) == ["1", "2"]
    assert read.missing == ("absent.test.",)


def test_alarms_are_read_from_the_region_the_check_names() -> None:
    config = {
        "Type": "CLOUDWATCH_METRIC",
        "AlarmIdentifier": {"Region": "eu-west-1", "Name": "errors"},
    }
    route53 = FakeClient(
        {
            "list_hosted_zones": [],
            "list_health_checks": [{"HealthChecks": [{"Id": "1", "HealthCheckConfig": config}]}],
        }
    )
    page = {"MetricAlarms": [{"AlarmName": "errors", "StateValue": "ALARM"}]}
    cloudwatch = FakeClient({"describe_alarms": [page]})
    regions: list[str] = []

    def client(region: str) -> FakeClient:
        regions.append(region)
        return cloudwatch

    read = read_configuration(route53, [], client)

    assert regions == ["eu-west-1"]
    assert read.alarms == {("eu-west-1", "errors"): "ALARM"}


def test_equal_api_answers_give_equal_configurations() -> None:
    assert Configuration() == Configuration()
