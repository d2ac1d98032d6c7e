"""Which Region the serving name says is answered, for every state of health.

The records are those that synthesis gives; the sandbox's Route 53 answers with them, and with those
of the name that customers resolve.
"""

from itertools import product

import pytest
from synthesis import Synthesized, new_stack, providers

from constructs_lib import FailoverDns, HealthCheck, RegionalEndpoint
from constructs_lib.route53.serving_name import TTL_SECONDS, serving_addresses
from sandbox.route53.answers import Answerer
from sandbox.route53.endpoints import Endpoint
from sandbox.route53.model import RecordSet, Zone

pytestmark = pytest.mark.unit

REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "ap-southeast-1")
NAME, ZONE = "api.shop.example", "shop.example"
NONE = "192.0.2.0"


class Target:
    zone_id = "Z9"

    def __init__(self, region):
        self.host_name = f"d-{region}.example"


def build(regions, policy="failover"):
    stack = new_stack()
    by_region = providers(stack, *regions)
    dns = FailoverDns(
        stack, "dns", provider=by_region[regions[0]], zone_name=ZONE, record_name=NAME
    )
    dns.route(
        [RegionalEndpoint(region, Target(region), f"{region}.example") for region in regions],
        routing_policy=policy,
        health_check=HealthCheck("/health"),
    )
    return stack, dns


def zone_of(synthesized):
    """The records as Route 53's API lists them."""

    def record_set(id, record):
        alias = record.get("alias")
        found = {
            "Name": record["name"],
            "Type": record["type"],
            "SetIdentifier": record["set_identifier"],
            "Failover": record["failover_routing_policy"]["type"],
            "HealthCheckId": record.get("health_check_id"),
            "ResourceRecords": [{"Value": value} for value in record.get("records", ())],
            "TTL": record.get("ttl"),
        }
        if alias:
            found["AliasTarget"] = {
                "DNSName": alias["name"],
                "HostedZoneId": "Z9" if alias["zone_id"] == "Z9" else "Z",
                "EvaluateTargetHealth": alias["evaluate_target_health"],
            }
        return RecordSet.from_api(found)

    records = synthesized.resources("aws_route53_record").items()
    return Zone("Z", f"{ZONE}.", tuple(record_set(id, record) for id, record in records))


def region_of(check):
    """The Region that a health check's reference is of."""
    for place, role in enumerate(("dns_primary_", "dns_secondary_")):
        if role in check:
            return REGIONS[place]
    return next(region for region in REGIONS if region in check)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_it_says_which_region_is_answered_or_that_none_is_healthy(count):
    regions = REGIONS[:count]
    stack, dns = build(regions)
    dns.name_serving_region()
    zone = zone_of(Synthesized(stack))
    addresses = serving_addresses(regions)
    assert addresses == {"": NONE} | {r: f"192.0.2.{n}" for n, r in enumerate(regions, start=1)}

    for states in product((True, False), repeat=count):
        healthy = dict(zip(regions, states, strict=True))
        answerer = Answerer(
            [zone],
            lambda check, healthy=healthy: healthy[region_of(check)],
            lambda _: Endpoint(("127.0.0.1",), ()),
        )
        (said,) = answerer.answer(dns.serving_names[0], "A", regions[0]).records
        answered = answerer.answer(NAME, "A", regions[0]).endpoint
        expected = next((region for region in regions if healthy[region]), None)
        assert said.values == (addresses[expected] if expected else NONE,)
        assert said.ttl_seconds == TTL_SECONDS
        assert answered == f"d-{expected or regions[0]}.example."


def test_a_region_at_the_end_replaces_nothing():
    """Addresses of resources are a contract, and a record that exists cannot be created again."""
    ids = []
    for count in (2, 3, 4):
        stack, dns = build(REGIONS[:count])
        before = set(Synthesized(stack).resources("aws_route53_record"))
        dns.name_serving_region()
        ids.append(set(Synthesized(stack).resources("aws_route53_record")) - before)
        assert len(dns.serving_records) == len(ids[-1])
    assert ids[0] == {
        "dns_serving_primary",
        "dns_serving_secondary",
        "dns_serving_failover_2_primary",
        "dns_serving_failover_2_secondary",
    }
    assert ids[0] < ids[1] < ids[2]
    assert [len(each) for each in ids] == [4, 6, 8]


def test_names_are_those_of_the_records_in_order():
    stack, dns = build(REGIONS[:3])
    dns.name_serving_region()

    records = Synthesized(stack).resources("aws_route53_record").values()
    assert dns.serving_names == (
        f"serving.{NAME}",
        f"failover-2.serving.{NAME}",
        f"failover-3.serving.{NAME}",
    )
    assert set(dns.serving_names) <= {record["name"] for record in records}


def test_without_an_order_nothing_says_who_is_answered():
    _, dns = build(REGIONS[:2], "latency")

    with pytest.raises(ValueError, match="not routed by failover"):
        dns.name_serving_region()
