"""A drill spends no customer's quota unasked: what it needs, and when it is refused."""

from datetime import UTC, date, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from fake_environment import EAST, WEST, Canned, environment

from ops.drill import quota
from ops.drill.expectation import expect
from ops.drill.load import Load
from ops.drill.quota import most_requests, require, require_rate
from ops.drill.spending import KeyLimits
from ops.errors import ExitCode, OpsError

pytestmark = pytest.mark.unit

DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetUsage")
EXPECTATION = expect(interval_seconds=30, failure_threshold=3, ttl_seconds=60, probe_seconds=6)


@pytest.fixture(autouse=True)
def unthrottled(monkeypatch):
    """tests/ops/test_drill_throttles.py has the limits of stage and account."""
    monkeypatch.setattr(quota, "require_unthrottled", lambda *_: None)


def gateway(limits, usage, key_id, period="DAY"):
    plans = [
        {"id": "other", "quota": {"limit": 1, "period": "DAY"}},
        {
            "id": "standard",
            "throttle": {"rateLimit": 50.0},
            "quota": limits and {"limit": limits, "period": period},
        },
    ]
    members = {"other": [{"id": "a-key-of-somebody-else"}], "standard": [{"id": key_id}]}
    return Canned(
        get_usage_plans={"items": plans},
        get_usage_plan_keys=lambda **plan: {"items": members[plan["usagePlanId"]]},
        get_usage=usage,
    )


def with_quota(limits, usage=DENIED, **more):
    return environment(
        {("apigateway", EAST): gateway(limits, usage, "key-east", **more),
         ("apigateway", WEST): gateway(limits, usage, "key-west", **more)}
    )  # fmt: skip


def test_a_plan_without_a_quota_is_enough():
    assert str(require(with_quota(None), 1000)) == (
        "Spends at most 1000 requests of the customer operator in each Region; quota: none."
    )


def test_the_limits_of_the_plan_are_read_without_a_quota_too():
    found = require(with_quota(None), 1000)

    assert found.limits == tuple(KeyLimits(region, 50.0, None, "", None) for region in (EAST, WEST))


def test_what_is_left_of_the_quota_is_named():
    text = str(require(with_quota(5000, {"items": {"key": [[100, 4900], [900, 4000]]}}), 1000))

    assert "quota: 4000 of 5000 a day left in us-east-1; 4000 of 5000 a day left in" in text


@pytest.mark.parametrize(
    "usage",
    [{"items": {"key": [[4500, 500]]}}, {"items": {"key": [[0, 5000], [4500, 500]]}}],
    ids=["one day", "several days"],
)
def test_a_drill_that_needs_more_than_is_left_is_refused(usage):
    with pytest.raises(OpsError, match="500 of 5000 a day left in us-east-1") as caught:
        require(with_quota(5000, usage), 1000)

    assert caught.value.exit_code is ExitCode.USAGE
    assert "--customer" in caught.value.next_step


@pytest.mark.parametrize("usage", [{"items": {}}, {"items": {"key": []}}], ids=["no key", "no day"])
def test_what_nobody_has_used_is_left_whole(usage):
    assert "5000 of 5000 a day left" in str(require(with_quota(5000, usage), 1000))


@pytest.mark.parametrize("usage", [DENIED, {}], ids=["denied", "an emulator without it"])
def test_where_the_usage_is_unknown_the_whole_quota_has_to_be_enough(usage):
    assert "an unknown number of 5000 a day left" in str(require(with_quota(5000, usage), 1000))
    with pytest.raises(OpsError, match="not enough"):
        require(with_quota(999, usage), 1000)


@pytest.mark.parametrize("period", ["DAY", "MONTH"])
def test_the_usage_of_the_period_is_read(period):
    seen = []

    def usage(**arguments):
        seen.append(arguments)
        return {"items": {}}

    require(with_quota(5000, usage, period=period), 10)

    assert {each["keyId"] for each in seen} == {"key-east", "key-west"}
    first, last = (date.fromisoformat(seen[0][name]) for name in ("startDate", "endDate"))
    assert first == (last if period == "DAY" else last.replace(day=1))
    assert datetime.now(UTC).date() - last <= timedelta(days=1)


def test_plans_that_cannot_be_listed_are_unknown_and_said_to_be():
    refusing = Canned(get_usage_plans=DENIED)
    unreadable = environment({("apigateway", EAST): refusing, ("apigateway", WEST): refusing})

    assert "is unknown" in str(require(unreadable, 10))


def test_a_drill_on_aws_needs_a_read_a_second_at_most_and_some_listings():
    needed = most_requests(environment(), EXPECTATION)

    longest = quota.longest_seconds(environment(), EXPECTATION)
    assert longest == pytest.approx(30 + 70 + 2 * 2 * EXPECTATION.seconds + 5)
    assert longest < needed < 3 * longest


def test_with_latency_routing_customers_of_every_region_may_come_to_one():
    by_latency = environment(outputs={"routing_policy": "latency"})

    assert most_requests(by_latency, EXPECTATION) > 1.8 * most_requests(environment(), EXPECTATION)


def test_a_load_needs_its_reads_and_the_listings_of_its_writes():
    without = most_requests(environment(), EXPECTATION)
    steady = most_requests(environment(), EXPECTATION, Load(20))
    burst = most_requests(environment(), EXPECTATION, Load(20, "burst"))

    seconds = quota.longest_seconds(environment(), EXPECTATION, Load(20))
    assert seconds > quota.longest_seconds(environment(), EXPECTATION)
    assert steady - without > 18 * seconds
    assert burst - steady > 9 * 18 * seconds - 100


@pytest.mark.parametrize(("rate", "is_enough"), [(49.9, True), (54, True), (55, False)])
def test_a_load_beyond_the_rate_of_the_plan_is_refused_with_what_is_possible(rate, is_enough):
    """It would be throttled without any failover: 50 a second, of which the drill reads one."""
    known = [KeyLimits(EAST, None, None, "", None), KeyLimits(WEST, 50.0, None, "", None)]
    if is_enough:
        require_rate(environment(), Load(rate), known)
        return
    with pytest.raises(
        OpsError, match=r"needs 50 reads a second.*allows 50 in us-west-2"
    ) as caught:
        require_rate(environment(), Load(rate), known)
    assert caught.value.exit_code is ExitCode.USAGE
    assert "give --load 54 or less, raise rate_per_second of its plan" in caught.value.next_step
    assert "--customer" in caught.value.next_step


def test_a_plan_without_a_rate_and_an_unknown_one_allow_every_load():
    require_rate(environment(), Load(500), [KeyLimits(EAST, None, None, "", None)])
    require_rate(environment(), Load(500), [])
