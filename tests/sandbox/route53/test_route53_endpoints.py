"""Rules of the endpoints map, and of where health checks are aimed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from sandbox.route53.answers import Answerer
from sandbox.route53.endpoints import Endpoint, EndpointsFile, EndpointsMap
from sandbox.route53.model import AliasTarget, HealthCheck, RecordSet, Zone
from sandbox.route53.targets import Target, find_target

pytestmark = pytest.mark.unit

TEXT = json.dumps(
    {
        "abc.execute-api.us-east-1.amazonaws.com": {"addresses": ["127.0.1.1"], "port": 8443},
        "*.us-east-1.amazonaws.com": {"addresses": ["127.0.1.2"]},
        "*.execute-api.us-east-1.amazonaws.com": {"addresses": ["127.0.1.3"], "aaaa": ["::1"]},
        "six.test": {"aaaa": ["::1"]},
    }
)


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("abc.execute-api.us-east-1.amazonaws.com", "127.0.1.1"),
        ("ABC.execute-api.us-east-1.amazonaws.com.", "127.0.1.1"),
        ("xyz.execute-api.us-east-1.amazonaws.com", "127.0.1.3"),
        ("a.b.execute-api.us-east-1.amazonaws.com", "127.0.1.3"),
        ("s3.us-east-1.amazonaws.com", "127.0.1.2"),
        ("us-east-1.amazonaws.com", None),
        ("abc.execute-api.eu-west-1.amazonaws.com", None),
    ],
)
def test_an_exact_name_wins_then_the_longest_pattern(name: str, address: str | None) -> None:
    found = EndpointsMap.from_json(TEXT).find(name)
    assert (found.addresses[0] if found else None) == address


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "should be an object"),
        ("{", "Invalid JSON"),
        ('{"a": 1}', "should be an object"),
        ('{"a": {"addresses": "127.0.0.1"}}', "should be a valid array"),
        ('{"a": {"addresses": ["192.0.2.1"]}}', "not a loopback address"),
        ('{"a": {"aaaa": ["2001:db8::1"]}}', "not a loopback address"),
        ('{"a": {"addresses": ["localhost"]}}', "Expected 4 octets"),
        ('{"a": {"addresses": ["::1"]}}', "Expected 4 octets"),
        ('{"a": {"port": 65536}}', "less than or equal to 65535"),
    ],
)
def test_a_wrong_file_is_refused_with_the_fault(text: str, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        EndpointsMap.from_json(text)


def test_the_file_is_read_again_when_it_changes_and_kept_when_it_breaks(tmp_path: Path) -> None:
    path = tmp_path / "endpoints.json"
    file = EndpointsFile(path)
    # GIVEN no file yet
    assert not file.refresh()
    assert file.error == "cannot read the endpoints file: No such file or directory"
    # WHEN it appears, THEN it is read once
    path.write_text(TEXT)
    assert [file.refresh(), file.refresh()] == [True, False]
    assert not file.error
    # WHEN it is half written, THEN the last good map stays
    path.write_text(TEXT[:20])
    assert not file.refresh()
    assert "Invalid JSON" in (file.error or "")
    assert file.find("six.test") == Endpoint(aaaa=("::1",))
    # WHEN it is whole again, THEN it is used
    path.write_text("{}")
    assert file.refresh()
    assert not file.error
    assert file.find("six.test") is None


ALIAS = AliasTarget("abc.execute-api.us-east-1.amazonaws.com.", "AWS", False)
ZONE = Zone(
    "Z",
    "example.com.",
    (
        RecordSet("east.example.com.", "A", alias=ALIAS),
        RecordSet("local.example.com.", "A", ttl_seconds=5, values=("127.0.9.9",)),
        RecordSet("real.example.com.", "A", ttl_seconds=5, values=("192.0.2.1",)),
        RecordSet("out.example.com.", "CNAME", ttl_seconds=5, values=("elsewhere.test",)),
    ),
)


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        (
            HealthCheck("h", "HTTPS", domain_name=ALIAS.dns_name, port=443),
            Target("127.0.1.1", 8443),
        ),
        (
            HealthCheck("h", "HTTPS", domain_name="x.us-east-1.amazonaws.com", port=443),
            Target("127.0.1.2", 443),
        ),
        (
            HealthCheck("h", "HTTPS", domain_name="east.example.com", port=443),
            Target("127.0.1.1", 8443),
        ),
        (
            HealthCheck("h", "HTTP", domain_name="local.example.com", port=80),
            Target("127.0.9.9", 80),
        ),
        (HealthCheck("h", "HTTP", ip_address="127.0.0.1", port=81), Target("127.0.0.1", 81)),
    ],
)
def test_a_check_is_aimed_at_the_loopback_address_of_its_name(
    check: HealthCheck, expected: Target
) -> None:
    world = Answerer([ZONE], lambda _: True, EndpointsMap.from_json(TEXT).find)
    assert find_target(check, world, "us-east-1") == expected


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (HealthCheck("h", "HTTP", domain_name="example.net", port=80), "no endpoint is known for"),
        (HealthCheck("h", "HTTP", domain_name="real.example.com", port=80), "no endpoint is known"),
        (HealthCheck("h", "HTTP", domain_name="out.example.com", port=80), "no endpoint is known"),
        (HealthCheck("h", "HTTP", ip_address="192.0.2.1", port=80), "no endpoint is known for"),
        (HealthCheck("h", "HTTP", ip_address="8.8.8.8", port=80), "no endpoint is known for"),
        (HealthCheck("h", "HTTP", domain_name="six.test", port=80), "no IPv4 address"),
        (HealthCheck("h", "TCP", ip_address="127.0.0.1"), "no port"),
        (HealthCheck("h", "HTTP", port=80), "neither a domain name nor an IP address"),
    ],
)
def test_a_check_never_reaches_the_real_network(check: HealthCheck, reason: str) -> None:
    world = Answerer([ZONE], lambda _: True, EndpointsMap.from_json(TEXT).find)
    target = find_target(check, world, "us-east-1")
    assert reason in (target.failure or "")
    assert not target.address


@pytest.mark.parametrize(
    ("address", "region"),
    [("127.0.1.1", "us-east-1"), ("127.0.1.3", "us-east-1"), ("127.0.1.9", None), ("", None)],
)
def test_an_address_is_in_the_region_of_its_host_name(address: str, region: str | None) -> None:
    assert EndpointsMap.from_json(TEXT).region_at(address) == region
