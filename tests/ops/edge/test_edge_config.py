"""The configuration file and the endpoints map."""

import json

import pytest

from ops.edge.config import Config, Region, region_address
from ops.edge.endpoints import endpoints, write_endpoints
from ops.errors import ExitCode, OpsError

pytestmark = pytest.mark.unit

GOOD = {
    "upstream": "http://127.0.0.1:4566",
    "control_port": 8444,
    "certificates": "certificates",
    "regions": {
        "us-east-1": {
            "address": "127.0.1.1",
            "hosts": ["ABC.execute-api.us-east-1.amazonaws.com."],
            "domains": ["weather.example.com"],
        },
        "eu-west-1": {"address": "127.0.1.2"},
    },
}


def read(folder, data):
    path = folder / "edges.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return Config.read(path)


def test_good_file_is_read_with_paths_beside_it(tmp_path):
    config = read(tmp_path, GOOD | {"endpoints_file": "map.json"})

    assert (config.upstream_host, config.upstream_port) == ("127.0.0.1", 4566)
    assert (config.port, config.control_port) == (8443, 8444)
    assert config.certificates == tmp_path / "certificates"
    assert config.endpoints_file == tmp_path / "map.json"
    assert config.regions == (
        Region(
            "us-east-1",
            "127.0.1.1",
            ("abc.execute-api.us-east-1.amazonaws.com",),
            ("weather.example.com",),
        ),
        Region("eu-west-1", "127.0.1.2"),
    )


def test_what_is_written_is_read_again(tmp_path):
    config = read(tmp_path, GOOD | {"endpoints_file": "map.json"})

    assert read(tmp_path, config.to_json()) == config


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"upstream": "http://example.com:80"}, "upstream: expected a URL like"),
        ({"upstream": "https://127.0.0.1:4566"}, "upstream: expected"),
        ({"upstream": "http://127.0.0.1"}, "upstream: expected"),
        ({"upstream": 4566}, "upstream: expected"),
        ({"port": 70000}, "port: expected a number from 0 to 65535, got 70000"),
        ({"port": True}, "port: expected a number"),
        ({"control_port": None}, "control_port: expected a number"),
        ({"certificates": {}}, "certificates: expected the path of a folder, got {}"),
        ({"endpoints_file": 1}, "endpoints_file: expected the path of a file"),
        ({"color": 1}, "color: unknown"),
        ({"regions": {}}, "regions: expected an object with at least one Region"),
        ({"regions": {"moon": {"address": "127.0.1.1"}}}, "regions.moon: expected the name"),
        ({"regions": {"us-east-1": []}}, "regions.us-east-1: expected an object"),
        ({"regions": {"us-east-1": {"address": "10.0.0.1"}}}, "in 127.0.0.0/8, got '10.0.0.1'"),
        ({"regions": {"us-east-1": {"address": "::1"}}}, "in 127.0.0.0/8, got '::1'"),
        ({"regions": {"us-east-1": {}}}, "regions.us-east-1.address: expected"),
        (
            {"regions": {"us-east-1": {"address": "127.0.1.1", "hosts": ["a b"]}}},
            "regions.us-east-1.hosts: 'a b' is not a host name",
        ),
        (
            {"regions": {"us-east-1": {"address": "127.0.1.1", "domains": "a.b"}}},
            "regions.us-east-1.domains: expected a list",
        ),
        (
            {"regions": {"us-east-1": {"address": "127.0.1.1", "host": []}}},
            "regions.us-east-1.host: unknown; allowed are address, domains, hosts",
        ),
        (
            {r: {"address": "127.0.1.1"} for r in ()}
            | {"regions": {r: {"address": "127.0.1.1"} for r in ("us-east-1", "eu-west-1")}},
            "regions.eu-west-1.address: 127.0.1.1 is us-east-1's already",
        ),
    ],
)
def test_faulty_file_is_refused_in_words(tmp_path, change, fault):
    with pytest.raises(OpsError) as failure:
        read(tmp_path, GOOD | change)

    assert fault in str(failure.value)
    assert failure.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize("text", ["{", "[]"])
def test_file_that_holds_something_else_is_refused(tmp_path, text):
    with pytest.raises(OpsError, match="cannot be used"):
        read(tmp_path, text)


def test_every_fault_is_named_at_once(tmp_path):
    with pytest.raises(OpsError) as failure:
        read(tmp_path, {})

    for key in ("upstream", "control_port", "certificates", "regions"):
        assert f"{key}: expected" in str(failure.value)


def test_regions_get_addresses_in_order():
    assert [region_address(index) for index in range(3)] == ["127.0.1.1", "127.0.1.2", "127.0.1.3"]


def test_endpoints_map_leads_every_host_of_a_region_to_its_address(tmp_path):
    regions = read(tmp_path, GOOD).regions

    assert endpoints(regions, port=8443) == {
        "*.execute-api.us-east-1.amazonaws.com": {"addresses": ["127.0.1.1"], "port": 8443},
        "abc.execute-api.us-east-1.amazonaws.com": {"addresses": ["127.0.1.1"], "port": 8443},
        "*.execute-api.eu-west-1.amazonaws.com": {"addresses": ["127.0.1.2"], "port": 8443},
    }


def test_data_plane_reads_the_endpoints_map(tmp_path):
    reader = pytest.importorskip("ops.route53.endpoints")
    path = tmp_path / "new" / "endpoints.json"
    target = "weather.example.com.execute-api.us-east-1.amazonaws.com"
    regions = (Region("us-east-1", "127.0.1.1", (target,), ("weather.example.com",)),)

    write_endpoints(path, regions, port=8443)

    file = reader.EndpointsFile(path)
    assert file.refresh()
    assert file.error is None
    for name in (target, "abc.execute-api.us-east-1.amazonaws.com"):
        assert file.find(name) == reader.Endpoint(("127.0.1.1",), (), 8443)
    assert file.find("weather.example.com") is None
    assert [each.name for each in path.parent.iterdir()] == ["endpoints.json"]


def test_ipv4_mapped_addresses_are_given_when_asked():
    region = Region("us-east-1", "127.0.1.1")

    entry = endpoints([region], port=1, ipv4_mapped=True)[region.wildcard]

    assert entry["aaaa"] == ["::ffff:127.0.1.1"]
