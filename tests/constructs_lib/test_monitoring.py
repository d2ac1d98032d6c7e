"""Alarms and dashboard of whole environments: every metric is of something that exists."""

import json
import re
from pathlib import Path

import pytest
from cdktf import App
from repository_files import REPOSITORY
from synthesis import Synthesized

import weather_api.stack
from constructs_lib.outputs import failover_role
from constructs_lib.settings import load

pytestmark = pytest.mark.unit

HARDENED = REPOSITORY / "tests" / "hardened" / "local.toml"


def synthesize(path: Path) -> Synthesized:
    return Synthesized(weather_api.stack.build_stack(App(), load(path)))


@pytest.fixture(scope="module")
def monitored():
    return synthesize(HARDENED)


def with_three_regions(folder: Path, routing_policy: str) -> Synthesized:
    """Three Regions without us-east-1."""
    text = HARDENED.read_text().replace(
        'regions = ["us-east-1", "us-west-2"]',
        'regions = ["eu-west-1", "eu-central-1", "ap-southeast-2"]\n'
        f'routing_policy = "{routing_policy}"',
    )
    path = folder / "far.toml"
    path.write_text(text)
    return synthesize(path)


@pytest.fixture(scope="module")
def far_away(tmp_path_factory):
    return with_three_regions(tmp_path_factory.mktemp("environments"), "latency")


def metrics_of(synthesized):
    """`(region, namespace, metric, dimensions)` of everything on the dashboard."""
    body = json.loads(synthesized.only("aws_cloudwatch_dashboard")["dashboard_body"])
    for widget in body["widgets"]:
        for namespace, metric, *dimensions, _ in widget["properties"]["metrics"]:
            named = dict(zip(dimensions[::2], dimensions[1::2], strict=True))
            yield widget["properties"]["region"], namespace, metric, named


def alarmed(synthesized):
    """The same of every alarm."""
    regions = {p["alias"]: p["region"] for p in synthesized.json["provider"]["aws"]}
    for alarm in synthesized.resources("aws_cloudwatch_metric_alarm").values():
        region = regions[alarm["provider"].removeprefix("aws.")]
        queries = alarm.get("metric_query", ())
        for metric in [query["metric"] for query in queries if "metric" in query] or [alarm]:
            yield region, metric["namespace"], metric["metric_name"], metric["dimensions"]


DIMENSIONS = {
    "CertificateArn": "aws_acm_certificate",
    "ApiName": "aws_api_gateway_rest_api",
    "FunctionName": "aws_lambda_function",
    "TableName": "aws_dynamodb_table",
    "HealthCheckId": "aws_route53_health_check",
}


@pytest.mark.parametrize("stack", ["monitored", "far_away"])
@pytest.mark.parametrize("source", [metrics_of, alarmed])
def test_every_metric_is_of_a_resource_of_the_stack_in_its_region(request, stack, source):
    synthesized = request.getfixturevalue(stack)
    regions = {p["alias"]: p["region"] for p in synthesized.json["provider"]["aws"]}
    stack_regions = synthesized.json["output"]["regions"]["value"]
    seen = 0

    for region, namespace, _, dimensions in source(synthesized):
        seen += 1
        for name, value in dimensions.items():
            if name == "Stage":
                assert value == "v1"
            elif name == "Resource":
                assert value == f"{dimensions['FunctionName']}:live"
            elif name == "ReceivingRegion":
                assert value in stack_regions
                assert value != region
            else:
                type = DIMENSIONS[name]
                found = [
                    regions[resource["provider"].removeprefix("aws.")]
                    for id, resource in synthesized.resources(type).items()
                    # By its name, or by a reference to what only AWS knows.
                    if value in (resource.get("name"), resource.get("function_name"))
                    or re.fullmatch(rf"\$\{{{type}\.{id}\.\w+\}}", value)
                ]
                if namespace == "AWS/Route53":
                    assert found
                    assert region == "us-east-1"
                elif type == "aws_dynamodb_table":
                    assert found
                else:
                    assert region in found, value
    assert seen > 40


def test_health_alarms_are_in_us_east_1_under_a_separate_provider_if_necessary(far_away):
    (health_provider,) = [
        p for p in far_away.json["provider"]["aws"] if p["alias"] == "health_metrics"
    ]
    assert health_provider["region"] == "us-east-1"
    of_health = [
        alarm
        for alarm in far_away.resources("aws_cloudwatch_metric_alarm").values()
        if alarm.get("namespace") == "AWS/Route53"
    ]
    # One that fires at once, one on a key that cannot be used, one for each who is asked.
    assert len(of_health) == 3 * (1 + 1 + 2)
    assert {alarm["provider"] for alarm in of_health} == {"aws.health_metrics"}
    assert len(far_away.resources("aws_sns_topic")) == 4


def test_every_certificate_has_an_alarm_in_its_region_long_after_its_renewal_begins(monitored):
    alarms = [
        alarm
        for alarm in monitored.resources("aws_cloudwatch_metric_alarm").values()
        if alarm.get("namespace") == "AWS/CertificateManager"
    ]

    assert {(a["provider"], a["dimensions"]["CertificateArn"]) for a in alarms} == {
        (certificate["provider"], f"${{aws_acm_certificate.{id}.arn}}")
        for id, certificate in monitored.resources("aws_acm_certificate").items()
    }
    assert {(a["metric_name"], a["threshold"], a["period"]) for a in alarms} == {
        ("DaysToExpiry", 30, 86_400)
    }


def test_a_key_that_cannot_be_used_has_an_alarm_long_before_its_replica_leaves(monitored):
    (primary, secondary) = (
        alarm
        for alarm in monitored.resources("aws_cloudwatch_metric_alarm").values()
        if alarm["alarm_name"].endswith("-for-hours")
    )

    for alarm in (primary, secondary):
        assert alarm["period"] * alarm["evaluation_periods"] <= 10 * 3600
        assert alarm["evaluation_periods"] == alarm["datapoints_to_alarm"]
        assert "KMS key" in alarm["alarm_description"]


def test_each_region_but_the_primary_has_an_alarm_on_customers_who_are_served_there(tmp_path):
    synthesized = with_three_regions(tmp_path, "failover")

    regions = {p["alias"]: p["region"] for p in synthesized.json["provider"]["aws"]}
    found = {
        regions[alarm["provider"].removeprefix("aws.")]: alarm
        for alarm in synthesized.resources("aws_cloudwatch_metric_alarm").values()
        if alarm["alarm_name"].endswith("-serves")
    }
    for region, role in (("eu-central-1", "secondary"), ("ap-southeast-2", "3rd")):
        alarm = found.pop(region)
        assert alarm["alarm_name"].endswith(f"-{role}-serves")
        assert f"{region}, the {role} Region, serves customers" in alarm["alarm_description"]
    assert not found
    # AND the dashboard shows the order
    body = json.loads(synthesized.only("aws_cloudwatch_dashboard")["dashboard_body"])
    titles = {w["properties"]["title"].partition(":")[0] for w in body["widgets"][1:]}
    assert titles == {
        "eu-west-1 (primary)", "eu-central-1 (secondary)", "ap-southeast-2 (3rd)",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("place", "role"),
    [(0, "primary"), (1, "secondary"), (2, "3rd"), (3, "4th"), (10, "11th"), (20, "21st"),
     (21, "22nd"), (22, "23rd"), (33, "34th")],
)  # fmt: skip
def test_regions_are_called_by_their_place(place, role):
    assert failover_role(place) == role


def of_secondary(synthesized):
    return [
        alarm
        for alarm in synthesized.resources("aws_cloudwatch_metric_alarm").values()
        if alarm["alarm_name"].endswith("-secondary-serves")
    ]


def test_the_secondary_alarm_watches_what_only_customers_call(monitored):
    (alarm,) = of_secondary(monitored)

    assert alarm["provider"] == "aws.secondary"
    watched = {query["id"].removeprefix("of_") for query in alarm["metric_query"][1:]}
    assert watched == {
        "list_locations", "put_location", "get_weather", "list_observations", "put_observation",
        "delete_observation",
    }  # fmt: skip


def test_with_latency_routing_no_region_is_a_secondary(far_away):
    assert of_secondary(far_away) == []


def test_without_alarms_and_dashboard_there_is_nothing_of_them(tmp_path):
    text = HARDENED.read_text()
    start, end = text.index("[monitoring]"), text.index("[plans.monthly]")
    (tmp_path / "local.toml").write_text(text[:start] + text[end:])
    synthesized = synthesize(tmp_path / "local.toml")

    for type in ("aws_cloudwatch_metric_alarm", "aws_cloudwatch_dashboard", "aws_sns_topic"):
        assert synthesized.resources(type) == {}


def test_the_dashboard_shows_the_regions_side_by_side(monitored):
    body = json.loads(monitored.only("aws_cloudwatch_dashboard")["dashboard_body"])
    columns = {w["properties"]["region"]: w["x"] for w in body["widgets"][1:]}

    assert columns == {"us-east-1": 0, "us-west-2": 12}
    places = [(w["x"], w["y"]) for w in body["widgets"]]
    assert len(places) == len(set(places))
    assert body["widgets"][1]["properties"]["title"] == "us-east-1 (primary): requests and errors"
