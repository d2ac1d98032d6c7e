import pytest
from synthesis import Synthesized, new_stack, providers

from constructs_lib import FailureMetric
from constructs_lib.cloudwatch.alarm_topic import AlarmTopic
from constructs_lib.cloudwatch.alarms import (
    add_health_alarms,
    add_regional_alarms,
    add_serving_alarm,
)
from constructs_lib.cloudwatch.watched import WatchedRegion

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
        topic,
        WatchedRegion(
            region="us-east-1",
            title="us-east-1",
            api_name="orders",
            stage_name="live",
            functions={"ping": "orders-ping", "pong": "orders-pong"},
            alias="live",
            table_name="orders",
            failure_metrics=[
                FailureMetric(
                    namespace="Shop",
                    name="OutOfStock",
                    dimension="Function",
                    meaning="None is left.",
                    operations=frozenset({"ping"}),
                )
            ],
        ),
        other_regions=["eu-west-1", "eu-central-1"],
    )
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


def test_an_alarm_on_a_failure_metric_says_what_it_means(alarms):
    alarm = alarms["ping-out-of-stock"]

    assert (alarm["namespace"], alarm["metric_name"]) == ("Shop", "OutOfStock")
    assert alarm["dimensions"] == {"Function": "orders-ping"}
    assert (alarm["statistic"], alarm["threshold"]) == ("Sum", 0)
    assert alarm["alarm_description"] == (
        "OutOfStock of the function ping in us-east-1. None is left."
    )


def test_an_alarm_on_lambda_counts_what_the_alias_serves_and_nothing_else(alarms):
    for name in ("ping-errors", "ping-throttles"):
        assert alarms[name]["namespace"] == "AWS/Lambda"
        assert alarms[name]["dimensions"] == {
            "FunctionName": "orders-ping", "Resource": "orders-ping:live",
        }  # fmt: skip


def test_every_alarm_notifies_the_topic_when_it_fires_and_when_it_clears(alarms):
    for alarm in alarms.values():
        assert alarm["alarm_actions"] == alarm["ok_actions"]
        assert "aws_sns_topic.alarms_topic" in alarm["alarm_actions"][0]
        assert len(alarm["alarm_description"]) > 10


def test_missing_data_is_fine_except_for_health_checks(alarms):
    missing = {name: alarm["treat_missing_data"] for name, alarm in alarms.items()}

    assert missing.pop("health-of-us-east-1") == "breaching"
    assert set(missing.values()) == {"notBreaching"}


def test_a_lost_region_alarms_at_once_and_one_bad_minute_of_anything_else_does_not(alarms):
    for name, alarm in alarms.items():
        periods = (alarm["datapoints_to_alarm"], alarm["evaluation_periods"])
        assert periods == ((1, 1) if name.startswith("health") else (3, 5))


def test_mails_go_by_an_encrypted_topic(synthesized):
    assert synthesized.only("aws_sns_topic")["kms_master_key_id"] == "arn:key"
    subscription = synthesized.only("aws_sns_topic_subscription")
    assert (subscription["protocol"], subscription["endpoint"]) == ("email", "a@shop.example")


# --- the secondary


def secondary_alarms(functions):
    stack = new_stack()
    (provider,) = providers(stack, "eu-west-1").values()
    topic = AlarmTopic(stack, "alarms", provider=provider, name="shop")
    add_serving_alarm(topic, region="eu-west-1", role="secondary", functions=functions)
    return list(Synthesized(stack).resources("aws_cloudwatch_metric_alarm").values())


def test_the_secondary_alarm_sums_what_its_functions_serve():
    functions = {"list_orders": {"FunctionName": "list"}, "sum": {"FunctionName": "sum"}}
    (alarm,) = secondary_alarms(functions)

    total, *watched = alarm["metric_query"]
    assert (total["expression"], total["return_data"]) == ("SUM(FILL(METRICS(), 0))", True)
    assert [query["id"] for query in alarm["metric_query"]] == ["sum", "of_list_orders", "of_sum"]
    assert [query["metric"]["dimensions"] for query in watched] == [*functions.values()]
    for query in watched:
        assert not query["return_data"]
        assert query["metric"]["metric_name"] == "Invocations"
        assert (query["metric"]["stat"], query["metric"]["period"]) == ("Sum", 60)
    assert (alarm["alarm_name"], alarm["threshold"]) == ("shop-secondary-serves", 0)
    assert (alarm["datapoints_to_alarm"], alarm["evaluation_periods"]) == (3, 10)
    assert alarm["treat_missing_data"] == "notBreaching"
    # Terraform refuses these beside metric_query.
    assert not {"metric_name", "namespace", "dimensions", "statistic", "period"} & {*alarm}


def test_more_functions_than_an_alarm_takes_are_watched_by_more_alarms():
    alarms = secondary_alarms(
        {f"operation_{number}": {"FunctionName": f"f-{number}"} for number in range(12)}
    )

    watched = {
        alarm["alarm_name"]: [query["metric"]["dimensions"] for query in alarm["metric_query"][1:]]
        for alarm in alarms
    }
    assert watched == {
        "shop-secondary-serves": [{"FunctionName": f"f-{number}"} for number in range(10)],
        "shop-secondary-serves-2": [{"FunctionName": f"f-{number}"} for number in (10, 11)],
    }


def test_if_every_operation_is_open_there_is_no_secondary_alarm():
    assert secondary_alarms({}) == []


@pytest.mark.parametrize("count", [0, 11])
def test_a_sum_of_none_or_too_many_metrics_is_rejected(count):
    stack = new_stack()
    (provider,) = providers(stack, "eu-west-1").values()
    topic = AlarmTopic(stack, "alarms", provider=provider, name="shop")

    with pytest.raises(ValueError, match=f"{count} metrics cannot be one alarm, all: take 1 to 10"):
        topic.alarm_on_sum(
            "all", description="", namespace="Shop", metric="Sold", threshold=0,
            dimensions={f"n{number}": {"Shop": "v"} for number in range(count)},
        )  # fmt: skip
