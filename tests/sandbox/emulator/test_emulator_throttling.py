"""API Gateway's quotas for those who manage APIs: what is over them gets 429."""

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.throttling import RATES, Quotas

OWNER = "000000000000 us-east-1"


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
def quotas(clock):
    return Quotas(clock)


@pytest.mark.unit
@pytest.mark.parametrize("operation", RATES)
def test_an_operation_has_its_own_quota(quotas, clock, operation):
    rate = RATES[operation]

    assert [quotas.take(OWNER, operation) for _ in range(rate.burst + 1)] == [
        *[True] * rate.burst,
        False,
    ]
    clock.now += 0.9 / rate.per_second
    assert not quotas.take(OWNER, operation)
    clock.now += 0.2 / rate.per_second
    assert quotas.take(OWNER, operation)


@pytest.mark.unit
def test_all_operations_share_forty_at_once_and_ten_a_second(quotas, clock):
    assert sum(quotas.take(OWNER, "GetStage") for _ in range(100)) == 40
    assert not quotas.take(OWNER, "CreateApiKey")

    clock.now += 1
    assert sum(quotas.take(OWNER, "GetStage") for _ in range(100)) == 10
    clock.now += 3600
    assert sum(quotas.take(OWNER, "GetStage") for _ in range(100)) == 40


@pytest.mark.unit
def test_what_is_refused_takes_nothing_from_the_other_quota(quotas, clock):
    assert quotas.take(OWNER, "CreateDomainName")
    assert not any(quotas.take(OWNER, "CreateDomainName") for _ in range(100))

    assert sum(quotas.take(OWNER, "GetStage") for _ in range(100)) == 39


@pytest.mark.unit
@pytest.mark.parametrize("other", ["111111111111 us-east-1", "000000000000 us-west-2"])
def test_each_account_and_region_has_its_own_quotas(quotas, other):
    assert quotas.take(OWNER, "CreateRestApi")
    assert not quotas.take(OWNER, "CreateRestApi")

    assert quotas.take(other, "CreateRestApi")


@pytest.mark.e2e
def test_boto3_understands_the_refusal_and_nothing_is_created(emulator):
    with emulator.running("--throttled") as aws:
        # One call more than the quota, in one Region, and one in another.
        gateway, elsewhere = (aws.client("apigateway", r) for r in ("us-east-1", "us-west-2"))
        gateway.create_rest_api(name="first")
        with pytest.raises(ClientError) as raised:
            gateway.create_rest_api(name="second")
        elsewhere.create_rest_api(name="third")
        created = [each["name"] for each in gateway.get_rest_apis()["items"]]

    error = raised.value.response
    assert error["Error"]["Code"] == "TooManyRequestsException"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert created == ["first"]
