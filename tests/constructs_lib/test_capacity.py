"""`[capacity]`: which functions have provisioned concurrency, where, and what is refused."""

import pytest
import tomlkit
from cdktf import App
from repository_files import REPOSITORY
from synthesis import Synthesized, in_one_stack

import weather_api.operations
import weather_api.stack
from constructs_lib.settings import SettingsError, load

pytestmark = pytest.mark.unit

LOCAL = REPOSITORY / "environments" / "local.toml"
TYPE = "aws_lambda_provisioned_concurrency_config"
CUSTOMERS = {o.name for o in weather_api.operations.OPERATIONS} - {"get_health", "get_evacuation"}


@pytest.fixture
def environment(tmp_path):
    """Writes the shipped file with a capacity, and maybe reserved concurrency."""

    def write(capacity, reserved=None):
        values = tomlkit.parse(LOCAL.read_text())
        values["capacity"] = capacity
        if reserved:
            values["health_check"]["reserved_concurrency"] = reserved
        path = tmp_path / "local.toml"
        path.write_text(tomlkit.dumps(values))
        return path

    return write


def stack_of(path):
    return Synthesized(weather_api.stack.build_stack(App(), in_one_stack(path)))


def refusal(path):
    with pytest.raises(SettingsError) as raised:
        stack_of(path)
    return " ".join(str(raised.value).split())


def test_each_function_that_customers_call_is_provisioned_in_the_region_alone(environment):
    stack = stack_of(environment({"us-west-2": {"provisioned_concurrency": 3}}))

    found = stack.resources(TYPE)
    assert {name.split("_api_")[1].partition("_provisioned")[0] for name in found} == CUSTOMERS
    for name, each in found.items():
        operation = name.removeprefix("secondary_api_").partition("_provisioned")[0]
        function = f"secondary_api_{operation}"
        assert each["provider"] == "aws.secondary"
        assert each["provisioned_concurrent_executions"] == 3
        # The alias, so that it moves with it; by its resource, which exists first.
        assert each["qualifier"].startswith(f"${{aws_lambda_alias.{function}_alias_")
        assert each["function_name"].startswith(f"${{aws_lambda_function.{function}_function_")


def test_single_operations_have_their_own_number_and_those_of_checkers_if_they_are_named(
    environment,
):
    capacity = {
        "provisioned_concurrency": 2,
        "operations": {"get_weather": 20, "get_openapi": 0, "get_health": 1},
    }
    stack = stack_of(
        environment({"us-east-1": {"provisioned_concurrency": 1}, "us-west-2": capacity})
    )

    numbers = {
        name.partition("_provisioned")[0]: each["provisioned_concurrent_executions"]
        for name, each in stack.resources(TYPE).items()
    }
    assert numbers == {
        **{f"primary_api_{name}": 1 for name in CUSTOMERS},
        **{f"secondary_api_{name}": 2 for name in CUSTOMERS - {"get_openapi"}},
        "secondary_api_get_weather": 20,
        "secondary_api_get_health": 1,
    }


def test_it_adds_resources_and_changes_none(environment):
    without = stack_of(environment({}))
    with_it = stack_of(environment({"us-west-2": {"provisioned_concurrency": 1}}))

    added = {*with_it.addresses()} - {*without.addresses()}
    assert {*without.addresses()} <= {*with_it.addresses()}
    assert {address.partition(".")[0] for address in added} == {TYPE}
    assert len(added) == len(CUSTOMERS)
    before = dict(without.everything())
    assert {address: each for address, each in with_it.everything() if address in before} == before


@pytest.mark.parametrize(
    ("capacity", "reserved", "expected"),
    [
        (
            {"us-west-2": {"operations": {"get_wether": 1}}}, None,
            "capacity.us-west-2.operations.get_wether: unknown operation Allowed: one of: "
            "delete_observation, get_evacuation, ",
        ),
        (
            {"us-west-2": {"operations": {"get_health": 11}}}, 10,
            "capacity.us-west-2.operations: 11 for get_health, and 10 are reserved for it Allowed: "
            "at most 10",
        ),
        (
            {"us-west-2": {"provisioned_concurrency": 129}}, None,
            "capacity.us-west-2: 903 concurrent executions are reserved or provisioned in "
            "us-west-2, of a quota of 1000 Allowed: at most 900",
        ),
        (
            {"us-west-2": {"provisioned_concurrency": 128}}, 5,
            "906 concurrent executions are reserved",
        ),
        (
            {"us-west-2": {"provisioned_concurrency": 1, "concurrency_quota": 10}}, None,
            "7 concurrent executions are reserved or provisioned in us-west-2, of a quota of 10 "
            "Allowed: at most 0",
        ),
    ],
)  # fmt: skip
def test_what_aws_would_refuse_half_way_is_refused_with_the_fix(
    environment, capacity, reserved, expected
):
    assert expected in refusal(environment(capacity, reserved))


def test_all_errors_of_a_capacity_are_listed_at_once(environment):
    capacity = {
        "us-east-1": {"operations": {"unknown": 1}},
        "us-west-2": {"provisioned_concurrency": 1000},
    }

    assert "local.toml: 2 errors" in refusal(environment(capacity))


def test_a_larger_quota_allows_more(environment):
    capacity = {"provisioned_concurrency": 200, "concurrency_quota": 1500}

    assert len(stack_of(environment({"us-west-2": capacity})).resources(TYPE)) == len(CUSTOMERS)


@pytest.mark.parametrize(
    ("capacity", "expected"),
    [
        ({"eu-west-1": {}}, "capacity.eu-west-1: got a capacity of eu-west-1, which is none of"),
        ({"us-west-2": {"provisioned_concurrency": -1}}, "capacity.us-west-2.provisioned_concurre"),
        ({"us-west-2": {"operations": {"get_weather": 1.5}}}, "capacity.us-west-2.operations"),
        ({"us-west-2": {"provisioned": 1}}, "capacity.us-west-2.provisioned: "),
        ({"us-west-2": {"concurrency_quota": 0}}, "capacity.us-west-2.concurrency_quota"),
    ],
)
def test_the_settings_refuse_what_is_wrong_in_itself(environment, capacity, expected):
    with pytest.raises(SettingsError) as raised:
        load(environment(capacity))

    assert expected in str(raised.value)
    assert "Allowed: " in str(raised.value)
