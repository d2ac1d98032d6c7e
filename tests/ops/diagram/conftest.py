"""The stacks whose diagrams are tested: both routing policies, every option on and off."""

import re

import pytest
from cdktf import App
from repository_files import REPOSITORY
from synthesis import Synthesized, in_one_stack

import weather_api.stack
from examples.shop import main as shop
from ops.diagram.reading import read

EXAMPLE = REPOSITORY / "environments" / "example.toml"
FILES = {
    "example": EXAMPLE,
    "local": REPOSITORY / "environments" / "local.toml",
    "hardened": REPOSITORY / "tests" / "hardened" / "local.toml",
}
OTHER_POLICIES = ("failover", "weighted")
THREE_REGIONS = {
    "regions": '["eu-west-1", "us-west-1", "ap-southeast-2"]',
    "regional_names": "true",
    "execute_api_endpoint": "false",
    "customer_managed_key": "true",
    "create_zone": "true",
}


def with_three_regions(folder, routing_policy, ttl_seconds=60):
    """The example with three Regions, and every hardening option on."""
    text = EXAMPLE.read_text()
    changed = {"routing_policy": f'"{routing_policy}"', "ttl_seconds": f"{ttl_seconds}"}
    for key, value in (THREE_REGIONS | changed).items():
        text, found = re.subn(rf"^{key} = .*$", f"{key} = {value}", text, flags=re.MULTILINE)
        assert found == 1, key
    path = folder / f"{routing_policy}.toml"
    path.write_text(text)
    return path


@pytest.fixture(scope="session")
def latency_file(tmp_path_factory):
    return with_three_regions(tmp_path_factory.mktemp("environments"), "latency")


@pytest.fixture(scope="session")
def stacks(latency_file, tmp_path_factory):
    """`{name: parsed JSON}`."""
    others = {
        policy: with_three_regions(tmp_path_factory.mktemp(policy), policy)
        for policy in OTHER_POLICIES
    }
    others["cname"] = with_three_regions(tmp_path_factory.mktemp("cname"), "failover", 10)
    manual = tmp_path_factory.mktemp("manual") / "manual.toml"
    failover = with_three_regions(tmp_path_factory.mktemp("three"), "failover").read_text()
    manual.write_text(failover.replace('failback = "automatic"', 'failback = "manual"'))
    others |= {"manual": manual}
    built = {
        name: Synthesized(weather_api.stack.build_stack(App(), in_one_stack(path))).json
        for name, path in (FILES | {"latency": latency_file} | others).items()
    }
    return built | {"orders": Synthesized(shop.build(App())).json}


@pytest.fixture(params=[*FILES, "latency", *OTHER_POLICIES, "cname", "manual", "orders"])
def stack(request, stacks):
    return stacks[request.param]


@pytest.fixture
def model(stack):
    return read(stack)


@pytest.fixture
def example(stacks):
    return read(stacks["example"])
