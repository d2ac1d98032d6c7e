"""The configuration file and the endpoints map."""

import json

import pytest

from ops.errors import ExitCode, OpsError
from sandbox.region_endpoints.config import Config, Region, region_address
from sandbox.region_endpoints.server import endpoints_map
from sandbox.route53.endpoints import Endpoint, EndpointsFile

pytestmark = pytest.mark.unit

EAST = {
    "name": "us-east-1",
    "address": "127.0.1.1",
    "hosts": ["abc.execute-api.us-east-1.amazonaws.com"],
    "domains": ["weather.example.com"],
}
GOOD = {
    "upstream_host": "127.0.0.1",
    "upstream_port": 4566,
    "faults_port": 8444,
    "certificates": "/certificates",
    "regions": [EAST, {"name": "eu-west-1", "address": "127.0.1.2"}],
}


def read(folder, data):
    path = folder / "endpoints.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return Config.read(path)


def test_what_is_written_is_read_again(tmp_path):
    config = read(tmp_path, GOOD | {"endpoints_file": "/map.json"})

    assert (config.port, config.faults_port) == (8443, 8444)
    assert config.regions[1] == Region("eu-west-1", "127.0.1.2")
    assert read(tmp_path, config.to_json()) == config


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"upstream_host": "198.51.100.1"}, "upstream_host: Value error, 198.51.100.1 is not a"),
        ({"port": 70000}, "port: Input should be less than or equal to 65535"),
        ({"port": True}, "port: Input should be a valid integer"),
        ({"color": 1}, "color: Unexpected keyword argument"),
        ({"regions": []}, "regions: Tuple should have at least 1 item"),
        ({"regions": [EAST | {"address": "10.0.0.1"}]}, "regions.0.address: Value error"),
        ({"regions": [EAST | {"address": "::1"}]}, "regions.0.address: Value error"),
        ({"regions": [EAST | {"host": []}]}, "regions.0.host: Unexpected keyword argument"),
    ],
)
def test_an_invalid_file_is_refused_with_the_reason(tmp_path, change, error):
    with pytest.raises(OpsError) as failure:
        read(tmp_path, GOOD | change)

    assert error in str(failure.value)
    assert failure.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("text", ["{", "[]"])
def test_file_that_holds_something_else_is_refused(tmp_path, text):
    with pytest.raises(OpsError, match="cannot be used: the file: "):
        read(tmp_path, text)


def test_every_error_is_named_at_once(tmp_path):
    with pytest.raises(OpsError) as failure:
        read(tmp_path, {})

    for key in ("upstream_host", "upstream_port", "certificates", "regions"):
        assert f"{key}: Field required" in str(failure.value)


def test_regions_get_addresses_in_order():
    assert [region_address(index) for index in range(3)] == ["127.0.1.1", "127.0.1.2", "127.0.1.3"]


def test_every_host_of_a_region_maps_to_its_address(tmp_path):
    regions = read(tmp_path, GOOD).regions

    assert endpoints_map(regions, 8443) == {
        "*.execute-api.us-east-1.amazonaws.com": {"addresses": ["127.0.1.1"], "port": 8443},
        "abc.execute-api.us-east-1.amazonaws.com": {"addresses": ["127.0.1.1"], "port": 8443},
        "*.execute-api.eu-west-1.amazonaws.com": {"addresses": ["127.0.1.2"], "port": 8443},
    }


def test_data_plane_reads_the_endpoints_map(tmp_path):
    path = tmp_path / "endpoints.json"
    target = "weather.example.com.execute-api.us-east-1.amazonaws.com"
    regions = (Region("us-east-1", "127.0.1.1", (target,), ("weather.example.com",)),)
    path.write_text(json.dumps(endpoints_map(regions, 8443)))

    file = EndpointsFile(path)

    assert file.refresh()
    assert file.error is None
    for name in (target, "abc.execute-api.us-east-1.amazonaws.com"):
        assert file.find(name) == Endpoint(("127.0.1.1",), (), 8443)
    assert file.find("weather.example.com") is None
