"""A Region that takes over has the quotas of the one that it takes over from."""

import pytest
from botocore.exceptions import EndpointConnectionError
from fake_environment import EAST, WEST, Canned, environment

from ops.verify import quotas
from ops.verify.finding import Outcome

pytestmark = pytest.mark.unit


def region_clients(region, *, concurrent=1000, rate=10000.0, burst=5000, table=40000):
    throttle = {"rateLimit": rate, "burstLimit": burst}
    units = ("AccountMaxRead", "AccountMaxWrite", "TableMaxRead", "TableMaxWrite")
    return {
        ("lambda", region): Canned(
            get_account_settings={"AccountLimit": {"ConcurrentExecutions": concurrent}}
        ),
        ("apigateway", region): Canned(get_account={"throttleSettings": throttle}),
        ("dynamodb", region): Canned(
            describe_limits={f"{each}CapacityUnits": table for each in units}
        ),
    }


def run(east=None, west=None, **outputs):
    clients = region_clients(EAST, **east or {}) | region_clients(WEST, **west or {})
    return quotas.parity.run(environment(clients, outputs=outputs))


def test_the_secondarys_quotas_are_compared_with_the_primarys():
    (finding,) = run()

    assert finding.subject == f"{WEST} and {EAST}"
    assert finding.outcome is Outcome.PASSED
    assert finding.found.startswith(
        "Lambda concurrent executions: 1000, API Gateway requests per second: 10000, API Gateway "
        "burst: 5000, "
    )
    assert finding.found.endswith("in us-east-1; the same in us-west-2")


@pytest.mark.parametrize(
    ("lower", "expected"),
    [
        ({"concurrent": 10}, "Lambda concurrent executions: 10 in us-west-2, 1000 in us-east-1"),
        ({"rate": 2500.0}, "API Gateway requests per second: 2500 in us-west-2, 10000 in us-east"),
        ({"burst": 1250}, "API Gateway burst: 1250 in us-west-2, 5000 in us-east-1"),
        ({"table": 10000}, "DynamoDB write units of a table: 10000 in us-west-2, 40000 in us-east"),
    ],
)
def test_a_secondary_with_less_than_the_primary_fails(lower, expected):
    (finding,) = run(west=lower)

    assert finding.outcome is Outcome.FAILED
    assert expected in finding.found
    assert "request an increase" in finding.fix


def test_a_secondary_with_more_than_the_primary_passes_and_is_reported():
    (finding,) = run(east={"concurrent": 10})

    assert finding.outcome is Outcome.PASSED
    assert finding.found.endswith("; higher in us-west-2: Lambda concurrent executions: 1000")


def test_with_latency_routing_each_region_takes_over_from_each_other():
    findings = run(west={"concurrent": 10}, routing_policy="latency", evacuation=None)

    assert {each.subject: each.outcome for each in findings} == {
        f"{EAST} and {WEST}": Outcome.PASSED,
        f"{WEST} and {EAST}": Outcome.FAILED,
    }


def test_a_primary_that_cannot_be_read_leaves_the_comparison_unknown():
    clients = region_clients(EAST) | region_clients(WEST)
    clients["lambda", EAST] = EndpointConnectionError(endpoint_url="https://dead.example")

    findings = quotas.parity.run(environment(clients))

    assert [(each.subject, each.unreadable) for each in findings] == [
        (EAST, True),
        (f"{WEST} and {EAST}", True),
    ]
    assert "Lambda concurrent executions: 1000" in findings[1].found
