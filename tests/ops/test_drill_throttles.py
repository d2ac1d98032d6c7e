"""A load that the stage or the account throttles without any failover is refused beforehand."""

import pytest
from botocore.exceptions import ClientError
from fake_environment import EAST, WEST, Canned, environment, sandbox_access

from ops.drill.load import Load
from ops.drill.quota import require_rate
from ops.drill.throttles import READS, WRITES, _path
from ops.errors import ExitCode, UsageError
from weather_api.operations import OPERATIONS

pytestmark = pytest.mark.unit

WRITE_SETTINGS = "~1weather~1{location}~1observations~1{observed_at}/PUT"
DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "GetStage")


def gateway(account=10_000.0, **rates):
    """API Gateway of a Region; `rates` by method, as its settings name it."""
    return Canned(
        get_account={"throttleSettings": {"rateLimit": account, "burstLimit": 5_000}},
        get_stage={
            "methodSettings": {
                name: {"throttlingRateLimit": rate, "throttlingBurstLimit": 2 * rate}
                for name, rate in ({"*/*": 1_000.0} | rates).items()
            }
        },
    )


def served(east=None, west=None, **more):
    clients = {("apigateway", EAST): east or gateway(), ("apigateway", WEST): west or gateway()}
    return environment(clients, **more)


def refusal(api, load):
    with pytest.raises(UsageError) as caught:
        require_rate(api, load, [])
    assert caught.value.exit_code is ExitCode.USAGE
    return str(caught.value), caught.value.next_step


def test_a_load_within_every_limit_is_accepted():
    require_rate(served(), Load(500), [])


def test_the_methods_are_those_of_the_api():
    methods = {_path(f"{each.path.replace('/', '~1')}/{each.method}") for each in OPERATIONS}

    assert {READS, WRITES} <= methods


@pytest.mark.parametrize(
    ("rates", "refused", "named", "fix"),
    [
        # Of 20 a second 18 are reads, and one is the drill's own.
        ({"*/*": 19.0}, False, "", ""),
        ({"*/*": 18.9}, True, "the stage's */* takes 18.9", "rate_per_second of [api]"),
        ({"*/*": 1.0, "~1locations/GET": 19.0, WRITE_SETTINGS: 3.25}, False, "", ""),
        ({"~1locations/GET": 18.0}, True, "locations/GET takes 18", "operation locations/GET"),
        ({WRITE_SETTINGS: 3.0}, True, "observations/{}/PUT takes 3", "operation weather/{}"),
    ],
)
def test_each_method_has_its_own_limit_or_that_of_the_stage(rates, refused, named, fix):
    api = served(gateway(**rates))
    if not refused:
        require_rate(api, Load(20), [])
        return

    text, next_step = refusal(api, Load(20))

    assert "--load 20 would be throttled without any failover: " in text
    assert named in text
    assert f"requests a second in {EAST}" in text
    assert fix in next_step


def test_reads_and_writes_count_against_the_account_together_and_what_is_possible_is_named():
    text, next_step = refusal(served(gateway(account=12.0)), Load(20))

    assert f"the account takes 12 requests a second in {EAST}, and needs 22.2" in text
    assert next_step.startswith(f"give --load 9 or less, or in {EAST}, request an increase")
    require_rate(served(gateway(account=12.0)), Load(9), [])


def test_an_account_without_room_for_the_drill_itself_is_not_solved_by_a_smaller_load():
    _, next_step = refusal(served(gateway(account=1.0)), Load(20))

    assert next_step.startswith(f"in {EAST}, request an increase")


def test_what_the_region_that_takes_over_throttles_is_for_the_drill_to_show():
    require_rate(served(west=gateway(account=1.0, **{"*/*": 1.0})), Load(20), [])


@pytest.mark.parametrize(
    ("outputs", "rate", "refused"),
    [
        # Half of 40 reads a second, and of those of two kinds of customers.
        ({"routing_policy": "latency"}, 19.1, False),
        ({"routing_policy": "latency"}, 18.9, True),
        ({"routing_policy": "weighted", "weights": {EAST: 3, WEST: 1}}, 9.5, False),
        ({"routing_policy": "weighted", "weights": {EAST: 3, WEST: 1}}, 9.0, True),
    ],
)
def test_where_regions_share_the_customers_each_needs_room_for_its_share(outputs, rate, refused):
    api = served(west=gateway(**{"*/*": rate}), outputs=outputs)
    if refused:
        refusal(api, Load(40))
    else:
        require_rate(api, Load(40), [])


def test_the_account_of_a_sandbox_is_as_fast_as_its_clock():
    api = served(gateway(account=10.0), sandbox=sandbox_access(20.0))

    require_rate(api, Load(100), [])
    refusal(api, Load(200))


@pytest.mark.parametrize("failure", [DENIED, {}], ids=["denied", "malformed"])
def test_limits_that_cannot_be_read_refuse_nothing(failure):
    unreadable = Canned(get_account=failure, get_stage=failure)

    require_rate(served(unreadable, unreadable), Load(500), [])
