import pytest
from synthesis import Synthesized, new_stack, providers

from constructs_lib.cloudwatch import (
    AlarmTopic,
    FailureMetric,
    add_health_alarms,
    add_regional_alarms,
)

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def synthesized():
    stack = new_stack()
    (provider,) = providers(stack, "us-east-1").values()
    topic = AlarmTopic(
        stack, "alarms", provider=provider, name="shop", emails=["a@shop.example"],
        kms_key_arn="arn:key", tags={"team": "shop"},
    )  # fmt: skip
    add_regional_alarms(
        topic, region="us-east-1", api_name="orders", stage_name="live",
        functions={"ping": "orders-ping", "pong": "orders-pong"}, table_name="orders",
        other_regions=["eu-west-1", "eu-central-1"],
        failure_metrics=[
            FailureMetric(
                namespace="Shop",
                name="OutOfStock",
                dimension="Function",
                meaning="None is left.",
                operations=frozenset({"ping"}),
            )
        ],
    )  # fmt: skip
    add_health_alarms(topic, {"of_us-east-1": ("check-1", "The Region is lost.")})
    return Synthesized(stack)


@pytest.fixture(scope="module")
def alarms(synthesized):
    found = synthesized.resources("aws_cloudwatch_metric_alarm").values()
    return {alarm["alarm_name"].removeprefix("shop-"): alarm for alarm in found}


def test_what_customers_notice_and_its_causes_have_alarms(alarms):
    assert set(alarms) == {
        "server-errors", "latency", "ping-errors", "ping-throttles", "ping-out-of-stock",
        "pong-errors", "pong-throttles",
        "table-read-throttles", "table-write-throttles",
        "replication-to-eu-west-1", "replication-to-eu-central-1",
        "health-of-us-east-1",
    }  # fmt: skip
    assert alarms["latency"]["extended_statistic"] == "p99"
    assert "statistic" not in alarms["latency"]
    assert alarms["replication-to-eu-west-1"]["dimensions"] == {
        "TableName": "orders", "ReceivingRegion": "eu-west-1",
    }  # fmt: skip


def test_a_failure_that_the_functions_count_is_told_with_what_it_means(alarms):
    alarm = alarms["ping-out-of-stock"]

    assert (alarm["namespace"], alarm["metric_name"]) == ("Shop", "OutOfStock")
    assert alarm["dimensions"] == {"Function": "orders-ping"}
    assert (alarm["statistic"], alarm["threshold"]) == ("Sum", 0)
    assert alarm["alarm_description"] == (
        "OutOfStock of the function ping in us-east-1. None is left."
    )


def test_every_alarm_tells_the_topic_when_it_begins_and_when_it_is_over(alarms):
    for alarm in alarms.values():
        assert alarm["alarm_actions"] == alarm["ok_actions"]
        assert "aws_sns_topic.alarms_topic" in alarm["alarm_actions"][0]
        assert len(alarm["alarm_description"]) > 10


def test_silence_is_well_but_for_health_checks(alarms):
    missing = {name: alarm["treat_missing_data"] for name, alarm in alarms.items()}

    assert missing.pop("health-of-us-east-1") == "breaching"
    assert set(missing.values()) == {"notBreaching"}


def test_a_lost_region_is_told_at_once_and_one_bad_minute_of_anything_else_is_not(alarms):
    for name, alarm in alarms.items():
        periods = (alarm["datapoints_to_alarm"], alarm["evaluation_periods"])
        assert periods == ((1, 1) if name.startswith("health") else (3, 5))


def test_mails_go_by_an_encrypted_topic(synthesized):
    assert synthesized.only("aws_sns_topic")["kms_master_key_id"] == "arn:key"
    subscription = synthesized.only("aws_sns_topic_subscription")
    assert (subscription["protocol"], subscription["endpoint"]) == ("email", "a@shop.example")
