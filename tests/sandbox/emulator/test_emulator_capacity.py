"""What a Region serves at once: concurrency, cold starts, and the throttle of the account."""

import asyncio
import json
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import fake_environment
import pytest
import requests

from ops.deploy.aliases import Aliases
from ops.errors import OpsError
from sandbox.emulator import REPLICATION_PATH, faults
from sandbox.emulator.capacity import (
    ALLOCATION_SECONDS,
    IDLE_SECONDS,
    STARTED_AT_ONCE,
    STARTED_PER_SECOND,
    Admission,
    Capacity,
    Function,
    Limits,
    Reason,
    default_limits,
)

HERE = ("000000000000", "us-west-2")
READ = Function(HERE, "read")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def capacity(clock):
    return Capacity(clock)


def configured(capacity, *, speed=1.0, **limits):
    capacity.configure(
        limits={HERE[1]: Limits().with_values(limits)}, cold_start_seconds=0.0, speed=speed
    )


def enter(capacity, function=READ, version="1", *, provisioned=0, kept=None):
    return capacity.enter(
        function, version, provisioned=provisioned, kept=function.kept if kept is None else kept
    )


def ran(admissions):
    return [each for each in admissions if isinstance(each, Admission)]


# --- Concurrency


@pytest.mark.unit
def test_a_region_runs_as_many_at_once_as_its_account_may(capacity):
    configured(capacity, lambda_concurrency=3)

    first, *_ = admissions = [enter(capacity) for _ in range(5)]

    assert admissions[3:] == [Reason.ACCOUNT, Reason.ACCOUNT]
    assert [each.running for each in ran(admissions)] == [1, 2, 3]
    capacity.leave(first)
    assert ran([enter(capacity)])


@pytest.mark.unit
@pytest.mark.parametrize("other", [("000000000000", "us-east-1"), ("111111111111", "us-west-2")])
def test_each_account_and_region_has_its_own_concurrency(capacity, other):
    configured(capacity, lambda_concurrency=1)
    assert ran([enter(capacity)])
    assert enter(capacity) is Reason.ACCOUNT

    assert ran([enter(capacity, Function(other, "read"))])


@pytest.mark.unit
def test_what_is_reserved_is_kept_and_is_the_most_that_a_function_gets(capacity):
    configured(capacity, lambda_concurrency=5)
    reserved = Function(HERE, "health", reserved=2)

    # GIVEN others that use all that is not reserved
    assert [bool(ran([enter(capacity, READ, kept=2)])) for _ in range(4)] == [1, 1, 1, 0]

    # THEN the function still gets its own, and no more
    found = [enter(capacity, reserved) for _ in range(3)]
    assert len(ran(found)) == 2
    assert found[2] is Reason.FUNCTION


@pytest.mark.unit
def test_provisioned_concurrency_is_kept_and_more_comes_from_the_account(capacity):
    configured(capacity, lambda_concurrency=4)
    provisioned = Function(HERE, "write", provisioned=2)

    found = [enter(capacity, provisioned, provisioned=2) for _ in range(5)]
    assert [each.is_provisioned for each in ran(found)] == [True, True, False, False]
    assert found[4] is Reason.ACCOUNT
    # What is provisioned is free again, and no other function gets it.
    capacity.leave(found[0])
    assert enter(capacity, READ, kept=2) is Reason.ACCOUNT
    assert enter(capacity, provisioned, provisioned=2).is_provisioned


@pytest.mark.unit
def test_short_invocations_are_limited_to_ten_a_second_for_each_unit(capacity, clock):
    configured(capacity, lambda_concurrency=2, speed=5.0)

    def served():
        count = 0
        while isinstance(admitted := enter(capacity), Admission):
            capacity.leave(admitted)
            count += 1
        return count, admitted

    assert served() == (20, Reason.ACCOUNT_RATE)
    # A second of AWS is a fifth of one here.
    clock.now += 0.1
    assert served() == (10, Reason.ACCOUNT_RATE)
    reserved = Function(HERE, "health", reserved=1)
    for _ in range(10):
        capacity.leave(enter(capacity, reserved))
    assert enter(capacity, reserved) is Reason.FUNCTION_RATE


# --- Cold starts


@pytest.mark.unit
def test_an_environment_is_cold_once_and_serves_one_at_a_time(capacity):
    first, second = enter(capacity), enter(capacity)
    assert (first.is_cold, second.is_cold) == (True, True)

    capacity.leave(first)
    assert not enter(capacity).is_cold
    assert enter(capacity).is_cold


@pytest.mark.unit
def test_a_new_version_starts_cold(capacity):
    capacity.leave(enter(capacity, version="1"))

    assert enter(capacity, version="2").is_cold
    assert not enter(capacity, version="1").is_cold


@pytest.mark.unit
@pytest.mark.parametrize(("speed", "later"), [(1.0, 2), (4.0, 5), (0.5, 1)])
def test_a_speed_that_a_drill_lowers_is_that_of_the_rates(capacity, clock, speed, later):
    configured(capacity, api_requests_per_second=2, api_burst=5, speed=2.0)
    capacity.take_api_request(*HERE)

    capacity.set_speed(speed)

    assert sum(capacity.take_api_request(*HERE) for _ in range(20)) == 5
    clock.now += 1
    assert sum(capacity.take_api_request(*HERE) for _ in range(20)) == later


@pytest.mark.unit
def test_a_drill_sets_one_speed_for_replication_and_capacity(capacity, monkeypatch):
    monkeypatch.setattr(faults, "in_use", capacity)
    of_replication, sent = [], []
    application = faults.FaultyServices(None, SimpleNamespace(set_speed=of_replication.append))

    async def receive():
        return {"body": b'{"speed": 3.5}'}

    async def send(message):
        sent.append(message)

    request = {"type": "http", "method": "PUT", "path": REPLICATION_PATH}
    asyncio.run(application(request, receive, send))

    assert sent[0]["status"] == 200
    assert ([capacity.speed], of_replication) == ([3.5], [3.5])


@pytest.mark.unit
@pytest.mark.parametrize("speed", [1.0, 10.0])
def test_an_environment_expires_at_the_speed_of_the_sandbox(capacity, clock, speed):
    configured(capacity, speed=speed)
    capacity.leave(enter(capacity))
    clock.now += IDLE_SECONDS / speed - 1
    admitted = enter(capacity)
    assert not admitted.is_cold
    capacity.leave(admitted)

    clock.now += IDLE_SECONDS / speed + 1
    assert enter(capacity).is_cold


@pytest.mark.unit
def test_what_is_provisioned_is_never_cold_and_what_spills_over_is(capacity):
    found = [enter(capacity, provisioned=2) for _ in range(3)]

    assert [each.is_cold for each in found] == [False, False, True]


@pytest.mark.unit
def test_a_function_starts_a_thousand_environments_in_ten_seconds(capacity, clock):
    configured(capacity, lambda_concurrency=100_000)

    def start_all():
        count = 0
        while isinstance(enter(capacity), Admission):
            count += 1
        return count

    assert start_all() == STARTED_AT_ONCE
    clock.now += 2
    assert start_all() == 2 * STARTED_PER_SECOND
    # Each function for itself.
    assert ran([enter(capacity, Function(HERE, "other"))])


@pytest.mark.unit
def test_what_is_throttled_leaves_no_environment_less(capacity):
    configured(capacity, lambda_concurrency=1)
    admitted = enter(capacity)
    capacity.leave(admitted)
    running = enter(capacity)
    assert enter(capacity) is Reason.ACCOUNT
    capacity.leave(running)

    assert not enter(capacity).is_cold


# --- API Gateway


@pytest.mark.unit
def test_all_apis_of_a_region_share_a_throttle(capacity, clock):
    configured(capacity, api_requests_per_second=20, api_burst=5, speed=2.0)

    assert sum(capacity.take_api_request(*HERE) for _ in range(9)) == 5
    clock.now += 0.1
    assert sum(capacity.take_api_request(*HERE) for _ in range(9)) == 4
    assert capacity.take_api_request(HERE[0], "us-east-1")


@pytest.mark.unit
def test_regions_have_the_default_quotas_of_aws(capacity):
    assert capacity.limits("us-east-1") == Limits(1000, 10_000.0, 5_000)
    assert default_limits("eu-south-1") == Limits(1000, 2_500.0, 1_250)


# --- Settings


@pytest.mark.unit
@pytest.mark.parametrize(
    "values",
    [
        {"lambda_concurrency": -1},
        {"lambda_concurrency": 1.5},
        {"lambda_concurrency": True},
        {"api_requests_per_second": "9"},
        {"concurrency": 9},
        [],
    ],
)
def test_invalid_limits_are_named_with_what_is_allowed(values):
    with pytest.raises(ValueError, match=r"allowed|there are lambda_concurrency"):
        Limits().with_values(values)


@pytest.mark.unit
def test_a_description_counts_what_happened_in_each_region(capacity):
    configured(capacity, lambda_concurrency=2)
    capacity.leave(enter(capacity))
    enter(capacity)
    enter(capacity)
    enter(capacity)

    assert capacity.describe(())["us-west-2"] == {
        "limits": {
            "lambda_concurrency": 2, "api_requests_per_second": 10_000.0, "api_burst": 5_000,
        },
        "running": 2, "most_running": 2, "invocations": 3, "cold_starts": 2, "throttles": 1,
    }  # fmt: skip


# --- Over HTTP

SLEEPING = """
import json, time

def handler(event, context):
    time.sleep(0.5)
    return {"statusCode": 200, "body": json.dumps({"slept": True})}
"""
REGION = "us-west-2"


def api_of(aws, code=SLEEPING):
    """A function with an alias behind an API: name and API."""
    function = aws.echo_function(REGION, code, Publish=True, Timeout=20)
    name = function.rpartition(":")[2]
    aws.client("lambda", REGION).create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    aws.permit(REGION, name, Qualifier="live")
    uri = (
        f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}:live/invocations"
    )
    return name, aws.rest_api(REGION, uri=uri)


def statuses(aws, api, count):
    with ThreadPoolExecutor(count) as pool:
        calls = [pool.submit(aws.call_api, api, "/v1/thing") for _ in range(count)]
        return sorted(call.result().status_code for call in calls)


def in_use(aws):
    return requests.get(f"{aws.url}/_local/capacity", timeout=20).json()[REGION]


@pytest.mark.e2e
def test_concurrent_requests_beyond_the_quota_are_throttled_until_it_is_raised(emulator):
    with emulator.running("--lambda-concurrency", f"{REGION}=2") as aws:
        name, api = api_of(aws)
        before = statuses(aws, api, 5)
        counted = in_use(aws)
        settings = aws.client("lambda", REGION).get_account_settings()
        changed = requests.put(
            f"{aws.url}/_local/capacity/{REGION}", json={"lambda_concurrency": 1000}, timeout=20
        )
        after = statuses(aws, api, 5)
        throttles = aws.client("cloudwatch", REGION).get_metric_statistics(
            Namespace="AWS/Lambda", MetricName="Throttles", Period=3600, Statistics=["Sum"],
            Dimensions=[{"Name": "FunctionName", "Value": name}],
            StartTime=time.time() - 7200, EndTime=time.time() + 60,
        )["Datapoints"]  # fmt: skip

    # A throttled function is an error of the API: callers do not learn more.
    assert before == [200, 200, 500, 500, 500]
    assert (counted["throttles"], counted["most_running"]) == (3, 2)
    assert settings["AccountLimit"]["ConcurrentExecutions"] == 2
    assert changed.json()["limits"]["lambda_concurrency"] == 1000
    assert after == [200] * 5
    assert sum(point["Sum"] for point in throttles) == 3


@pytest.mark.e2e
def test_no_cold_start_is_paid_with_provisioned_concurrency(emulator):
    speed = 100
    with emulator.running("--cold-start", "30", "--speed", str(speed)) as aws:
        name, api = api_of(aws, code=None)
        client = aws.client("lambda", REGION)
        begun = time.monotonic()
        assert aws.call_api(api, "/v1/thing").status_code == 200
        cold_seconds = time.monotonic() - begun
        assert in_use(aws)["cold_starts"] == 1

        # WHEN a new version is released to the alias, with provisioned concurrency
        client.put_provisioned_concurrency_config(
            FunctionName=name, Qualifier="live", ProvisionedConcurrentExecutions=3
        )
        ready(client, name)
        assert statuses(aws, api, 3) == [200] * 3
        # THEN nothing starts cold
        assert in_use(aws)["cold_starts"] == 1

    assert cold_seconds >= 30 / speed


@pytest.mark.e2e
def test_the_version_before_serves_until_the_new_one_is_ready(emulator):
    with emulator.running("--speed", str(ALLOCATION_SECONDS)) as aws:
        name, api = api_of(aws, code=BODY.format("one"))
        client = aws.client("lambda", REGION)
        client.put_provisioned_concurrency_config(
            FunctionName=name, Qualifier="live", ProvisionedConcurrentExecutions=2
        )
        assert ready(client, name)["AvailableProvisionedConcurrentExecutions"] == 2

        # WHEN the alias is pointed to a new version
        aws.publish(REGION, name, BODY.format("two"))
        moved = client.update_alias(
            FunctionName=name, Name="live", FunctionVersion="2",
            RoutingConfig={"AdditionalVersionWeights": {}},
        )  # fmt: skip
        during = aws.call_api(api, "/v1/thing").json()
        config = client.get_provisioned_concurrency_config(FunctionName=name, Qualifier="live")
        ready(client, name)
        after = aws.call_api(api, "/v1/thing").json()
        cold = in_use(aws)["cold_starts"]
        settled = client.get_alias(FunctionName=name, Name="live")

    # THEN Lambda itself holds requests back, and then lets them go
    assert moved["RoutingConfig"] == {"AdditionalVersionWeights": {"1": 1.0}}
    assert (during, config["Status"]) == ("one", "IN_PROGRESS")
    assert (after, cold) == ("two", 0)
    assert "RoutingConfig" not in settled


@pytest.mark.e2e
def test_the_throttle_of_the_account_refuses_with_429(emulator):
    with emulator.running("--api-throttle", f"{REGION}=1/3") as aws:
        api = aws.rest_api(REGION)
        found = [aws.call_api(api, "/v1/thing") for _ in range(6)]
        elsewhere = aws.rest_api("us-east-1")
        other = [aws.call_api(elsewhere, "/v1/thing").status_code for _ in range(6)]

    assert [each.status_code for each in found[:3]] == [200] * 3
    refused = next(each for each in found if each.status_code == 429)
    assert refused.json() == {"message": "Too Many Requests"}
    assert refused.headers["x-amzn-ErrorType"] == "TooManyRequestsException"
    assert other == [200] * 6


BODY = """
import json

def handler(event, context):
    return {{"statusCode": 200, "body": json.dumps("{}")}}
"""


def ready(client, name):
    """Wait until an alias has its provisioned concurrency."""
    while True:
        config = client.get_provisioned_concurrency_config(FunctionName=name, Qualifier="live")
        if config["Status"] != "IN_PROGRESS":
            assert config["Status"] == "READY", json.dumps(config, default=str)
            return config
        time.sleep(0.05)


@pytest.mark.e2e
def test_a_release_waits_until_the_new_version_is_ready_and_serves(emulator):
    with emulator.running("--speed", str(ALLOCATION_SECONDS)) as aws:
        name, api = api_of(aws, code=BODY.format("one"))
        client = aws.client("lambda", REGION)
        client.put_provisioned_concurrency_config(
            FunctionName=name, Qualifier="live", ProvisionedConcurrentExecutions=2
        )
        ready(client, name)
        aws.publish(REGION, name, BODY.format("two"))
        operator = fake_environment.environment(
            endpoint_url=aws.url,
            outputs={"api_ids": {"us-east-1": "none", REGION: api}},
        )
        aliases = Aliases(operator)

        # WHEN it is released
        shared = aliases.share(REGION, 0.1)
        before = aws.call_api(api, "/v1/thing").json()
        aliases.release(REGION)

        # THEN nobody has waited for a start
        after = aws.call_api(api, "/v1/thing").json()
        settled = client.get_alias(FunctionName=name, Name="live")
        cold = in_use(aws)["cold_starts"]

        # AND the version before serves again if a new one does not start
        aws.publish(REGION, name, "raise RuntimeError('no')")
        aliases = Aliases(operator)
        with pytest.raises(OpsError, match="is not allocated: FUNCTION_ERROR_INIT_FAILURE"):
            aliases.release(REGION)
        aliases.restore(f"production-{REGION}")
        restored = aws.call_api(api, "/v1/thing").json()

    assert (shared, before, after, cold) == (0, "one", "two", 0)
    assert (settled["FunctionVersion"], "RoutingConfig" in settled) == ("2", False)
    assert restored == "two"
