"""A Region that takes over can carry what the others carry, by what was used lately."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from fake_environment import EAST, WEST, Canned, environment

from ops.verify import capacity
from ops.verify.finding import Outcome

pytestmark = pytest.mark.unit

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
NAMES = {EAST: "east", WEST: "west"}
FUNCTIONS = ("list_locations", "get_latest")


def uri(region, function):
    arn = f"arn:aws:lambda:{region}:1:function:{function}:live"
    return f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations"


def resources(region):
    method = {"authorizationType": "NONE", "apiKeyRequired": True}
    return {
        "items": [
            {
                "path": f"/{name}",
                "resourceMethods": {
                    "GET": {
                        **method,
                        "methodIntegration": {"type": "AWS_PROXY", "uri": uri(region, name)},
                    }
                },
            }
            for name in FUNCTIONS
        ]
    }


def measured(used):
    """CloudWatch of a Region: `{metric: {FunctionName, ApiName or "": [value of each hour]}}`."""

    def get_metric_data(*, MetricDataQueries, StartTime, EndTime):  # noqa: N803
        assert EndTime - StartTime == timedelta(days=14)
        results = []
        for query in MetricDataQueries:
            metric = query["MetricStat"]["Metric"]
            of = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
            what = of.get("FunctionName") or of.get("ApiName") or ""
            values = used.get(metric["MetricName"], {}).get(what, [])
            at = [NOW - timedelta(hours=hour) for hour in range(len(values))]
            results.append({"Id": query["Id"], "Timestamps": at, "Values": values})
        return {"MetricDataResults": results}

    return get_metric_data


def not_found(**_):
    raise ClientError({"Error": {"Code": capacity.NOT_PROVISIONED}}, "Get")


def clients(
    region, *, used=(), limit=1000, reserved=0, rate=10_000.0, burst=5_000,
    provisioned=not_found, settings=(), plans=(),
):  # fmt: skip
    reservation = {"ReservedConcurrentExecutions": reserved} if reserved else {}
    return {
        ("lambda", region): Canned(
            get_account_settings={
                "AccountLimit": {
                    "ConcurrentExecutions": limit, "UnreservedConcurrentExecutions": limit,
                }
            },
            get_function_concurrency=reservation,
            get_provisioned_concurrency_config=provisioned,
        ),
        ("apigateway", region): Canned(
            get_account={"throttleSettings": {"rateLimit": rate, "burstLimit": burst}},
            get_rest_api={"name": "weather"},
            get_stage={"methodSettings": dict(settings)},
            get_resources=resources(region),
            get_request_validators={},
            get_models={},
            get_usage_plans={"items": list(plans)},
        ),
        ("cloudwatch", region): Canned(get_metric_data=measured(dict(used))),
    }  # fmt: skip


def run(check, east=None, west=None, **outputs):
    given = clients(EAST, **east or {}) | clients(WEST, **west or {})
    return check.run(environment(given, outputs=outputs))


BUSY = {
    "ConcurrentExecutions": {"list_locations": [40.0, 5.0], "get_latest": [10.0, 60.0]},
    "Count": {"weather": [30_000.0, 3_000.0]},
}
"""At most 65 at once, not 40 + 60, and 100 requests a second."""


def test_a_secondary_with_room_for_what_the_primary_has_used_passes():
    (finding,) = run(capacity.headroom, east={"used": BUSY})

    assert (finding.subject, finding.outcome) == (f"{WEST} and {EAST}", Outcome.PASSED)
    assert finding.found == (
        "invocations at once: us-east-1 had 65, and us-west-2 0, when both had most in 14 days; "
        "us-west-2 may have 1000; "
        "requests per second: us-east-1 had 100, and us-west-2 0, when both had most in 14 days; "
        "us-west-2 may have 10000"
    )


@pytest.mark.parametrize(
    ("west", "expected", "code"),
    [
        ({"limit": 64}, "invocations at once: us-east-1 had 65", "lambda/quotas/L-B99A9384"),
        ({"rate": 99.0}, "requests per second: us-east-1 had 100", "apigateway/quotas/L-8A5B8E43"),
        (
            {"limit": 100, "used": {"ConcurrentExecutions": {"": [0.0, 36.0]}}},
            "us-east-1 had 65, and us-west-2 36, when both had most in 14 days; us-west-2 may have "
            "100",
            "lambda/quotas/L-B99A9384",
        ),
    ],
)
def test_a_secondary_too_small_for_what_the_primary_has_used_fails(west, expected, code):
    (finding,) = run(capacity.headroom, east={"used": BUSY}, west=west)

    assert finding.outcome is Outcome.FAILED
    assert expected in finding.found
    assert finding.fix.startswith("in us-west-2, request an increase of ")
    assert finding.fix.endswith(
        f"https://console.aws.amazon.com/servicequotas/home/services/{code}"
    )


def test_customers_whom_a_failover_has_moved_count_once():
    moved = {"ConcurrentExecutions": {"": [0.0, 0.0, 65.0]}, "Count": {"weather": [0.0, 0.0, 3e4]}}
    west = {"limit": 70, "rate": 110.0, "used": moved}
    (finding,) = run(capacity.headroom, east={"used": BUSY}, west=west)

    assert finding.outcome is Outcome.PASSED, finding.found


def test_what_is_reserved_for_the_functions_of_the_api_is_theirs():
    (finding,) = run(capacity.headroom, east={"used": BUSY}, west={"limit": 45, "reserved": 10})

    assert finding.outcome is Outcome.PASSED
    assert "may have 65;" in finding.found


def test_a_primary_without_metrics_leaves_it_unknown():
    (finding,) = run(capacity.headroom, west={"limit": 1})

    assert (finding.outcome, finding.unreadable) == (Outcome.UNKNOWN, False)
    assert finding.found == "CloudWatch has counted nothing in us-east-1 in 14 days"


@pytest.mark.parametrize("status", ["InternalError", "Forbidden"])
def test_a_metric_that_cloudwatch_could_not_read_is_not_taken_for_nothing_used(status):
    def incomplete(*, MetricDataQueries, **_):  # noqa: N803
        return {
            "MetricDataResults": [
                {"Id": query["Id"], "StatusCode": status, "Timestamps": [], "Values": []}
                if query["Id"].startswith("function")
                else {"Id": query["Id"], "Timestamps": [NOW], "Values": [1.0]}
                for query in MetricDataQueries
            ]
        }

    incomplete_there = {("cloudwatch", EAST): Canned(get_metric_data=incomplete)}
    given = clients(EAST) | clients(WEST) | incomplete_there
    found = list(capacity.headroom.run(environment(given)))

    assert all(each.unreadable for each in found)
    assert any(status in each.found for each in found)


def test_with_latency_routing_each_region_carries_each_other():
    findings = run(
        capacity.headroom, east={"used": BUSY}, west={"limit": 10}, routing_policy="latency",
        evacuation=None,
    )  # fmt: skip

    assert {each.subject: each.outcome for each in findings} == {
        f"{EAST} and {WEST}": Outcome.UNKNOWN,
        f"{WEST} and {EAST}": Outcome.FAILED,
    }


def test_a_region_that_cannot_be_read_is_unknown():
    given = clients(EAST) | clients(WEST)
    given["cloudwatch", EAST] = EndpointConnectionError(endpoint_url="https://dead.example")

    findings = capacity.headroom.run(environment(given))

    assert [(each.subject, each.unreadable) for each in findings] == [
        (EAST, True),
        (f"{WEST} and {EAST}", True),
    ]


# --- Provisioned concurrency


def config(status, ready, wanted=4, **more):
    return {
        "Status": status, "AvailableProvisionedConcurrentExecutions": ready,
        "RequestedProvisionedConcurrentExecutions": wanted, **more,
    }  # fmt: skip


def test_nothing_that_is_provisioned_passes():
    assert [(each.outcome, each.found) for each in run(capacity.provisioned)] == [
        (Outcome.PASSED, "nothing is provisioned")
    ] * 2


def test_what_is_provisioned_and_ready_passes():
    _, west = run(capacity.provisioned, west={"provisioned": config("READY", 4)})

    assert west.outcome is Outcome.PASSED
    assert west.found == "provisioned and ready: get_latest: 4, list_locations: 4"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (config("IN_PROGRESS", 0), "0 of 4 are available, IN_PROGRESS"),
        (config("READY", 3), "3 of 4 are available, READY"),
        (config("FAILED", 0, StatusReason="no room"), "0 of 4 are available, FAILED: no room"),
    ],
)
def test_what_is_not_allocated_fails_with_the_reason(found, words):
    _, west = run(capacity.provisioned, west={"provisioned": found})

    assert west.outcome is Outcome.FAILED
    assert f"get_latest: {words}; list_locations: {words}" == west.found


def test_another_error_of_lambda_is_not_nothing_provisioned():
    refused = ClientError({"Error": {"Code": "AccessDeniedException"}}, "Get")

    _, west = run(capacity.provisioned, west={"provisioned": refused})

    assert west.unreadable


# --- Limits


def test_methods_and_plans_within_the_throttle_of_the_account_pass():
    plan = {
        "name": "standard", "throttle": {"rateLimit": 50.0, "burstLimit": 100},
        "apiStages": [{"apiId": "west", "stage": "v1"}],
    }  # fmt: skip
    _, west = run(capacity.limits, west={"plans": [plan]})

    assert west.outcome is Outcome.PASSED
    assert west.found.startswith("the account takes 10000 requests per second, and 5000 at once")


def test_what_the_account_cannot_serve_fails():
    settings = {"*/*": {"throttlingRateLimit": 3000.0, "throttlingBurstLimit": 1000}}
    plans = [
        {
            "name": "large", "throttle": {"rateLimit": 100.0, "burstLimit": 2000},
            "apiStages": [{"apiId": "west", "stage": "v1"}],
        },
        {
            "name": "of another API", "throttle": {"rateLimit": 9000.0},
            "apiStages": [{"apiId": "other", "stage": "v1"}],
        },
    ]  # fmt: skip
    _, west = run(
        capacity.limits, west={"settings": settings, "plans": plans, "rate": 2500.0, "burst": 1250}
    )

    assert west.outcome is Outcome.FAILED
    assert west.found == (
        "method */*: rateLimit 3000, and the account has 2500; plan large: burstLimit 2000, and "
        "the account has 1250"
    )
