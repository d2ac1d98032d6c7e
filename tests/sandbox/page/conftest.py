"""A sandbox's environment of which nothing runs."""

import pytest
from fake_environment import EAST, WEST, environment, sandbox_access
from fake_environment import OUTPUTS as FAKE

from ops.http_client import Network

OUTPUTS = {
    "environment": "local",
    "region_urls": {EAST: "https://east.example/v1", WEST: "https://west.example/v1"},
    "domain_targets": {EAST: "target.east", WEST: "target.west"},
    "health_check_ids": {EAST: "east-record", WEST: "west-record"},
    "endpoint_health_check_ids": {EAST: "east-endpoint", WEST: "west-endpoint"},
    "evacuation": FAKE["evacuation"]
    | {"health_check_ids": {EAST: {WEST: "asked-east"}, WEST: {EAST: "asked-west"}}},
    "customers": [{"name": "demo", "plan": "standard", "keys": ["demo-1"]}],
}


@pytest.fixture
def make_api():
    def make(network=None, **outputs):
        hosts = {"target.east": ("127.0.1.1", 8443), "target.west": ("127.0.1.2", 8443)}
        return environment(
            outputs=OUTPUTS | outputs,
            network=network or Network((), "example.com", hosts=hosts),
            sandbox=sandbox_access(),
            key_values={"demo-1": "the-key"},
        )

    return make


@pytest.fixture
def api(make_api):
    return make_api()
