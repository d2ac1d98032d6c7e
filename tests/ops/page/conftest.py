"""A local API that does not run, but could be looked at."""

import pytest

from ops.calls import Network
from ops.local import LocalApi
from ops.stand import Ports, Stand

EAST, WEST = "us-east-1", "us-west-2"
OUTPUTS = {
    "regions": [EAST, WEST],
    "routing_policy": "failover",
    "record_name": "weather.example.com",
    "api_url": "https://weather.example.com/v1",
    "region_urls": {EAST: "https://east.example/v1", WEST: "https://west.example/v1"},
    "domain_targets": {EAST: "target.east", WEST: "target.west"},
    "health_check_ids": {EAST: "east-record", WEST: "west-endpoint"},
    "endpoint_health_check_ids": {EAST: "east-endpoint", WEST: "west-endpoint"},
    "switch": {"health_check_id": "switch"},
    "customers": [{"name": "demo", "keys": ["demo-1"]}],
}


@pytest.fixture
def make_api():
    def make(network=None, **outputs):
        return LocalApi(
            stand=Stand(Ports(), 20.0, {}),
            key_values={"demo-1": "the-key"},
            region_urls={},
            outputs=OUTPUTS | outputs,
            network=network
            or Network(
                dns_servers=(),
                zone_name="example.com",
                hosts={"target.east": ("127.0.1.1", 8443), "target.west": ("127.0.1.2", 8443)},
            ),
        )

    return make


@pytest.fixture
def api(make_api):
    return make_api()
