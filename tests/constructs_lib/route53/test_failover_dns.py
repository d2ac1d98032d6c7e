from dataclasses import dataclass

import pytest
from cdktf_cdktf_provider_aws.acm_certificate import AcmCertificate
from synthesis import Synthesized, new_stack, providers

from constructs_lib import FailoverDns, HealthCheck, RegionalEndpoint

pytestmark = pytest.mark.unit

REGIONS = ("eu-central-1", "eu-west-1", "ap-southeast-2")


@dataclass(frozen=True)
class Target:
    host_name: str
    zone_id: str


def endpoint(region, *, named=False):
    return RegionalEndpoint(
        region,
        Target(f"d-1.{region}.example", f"Z-{region}"),
        f"api.{region}.example",
        Target(f"d-2.{region}.example", f"Z-{region}") if named else None,
    )


def build(
    regions=REGIONS[:2],
    routing_policy="failover",
    create_zone=True,
    certificates=True,
    evacuation_path=None,
    weights=None,
    named=False,
):
    stack = new_stack()
    by_region = providers(stack, *regions)
    dns = FailoverDns(
        stack, "name", provider=by_region[regions[0]], zone_name="shop.example",
        record_name="api.shop.example", create_zone=create_zone, tags={"team": "shop"},
    )  # fmt: skip
    arns = [
        dns.validate_certificate(
            name,
            AcmCertificate(
                stack, f"certificate_{region}_{name.count('.')}", provider=provider,
                domain_name=name, validation_method="DNS",
            ),
            provider,
        )
        for region, provider in by_region.items()
        for name in ("api.shop.example", *([f"{region}.api.shop.example"] if named else []))
        if certificates
    ]  # fmt: skip
    dns.route(
        [endpoint(region, named=named) for region in regions],
        routing_policy=routing_policy,
        weights=weights,
        health_check=HealthCheck(
            "/live/ping", evacuation_path, interval_seconds=30, failure_threshold=2
        ),
    )
    return Synthesized(stack), dns, arns


@pytest.fixture(scope="module")
def failover():
    return build()


def routing_records(synthesized):
    return {
        logical_id: record
        for logical_id, record in synthesized.resources("aws_route53_record").items()
        if "alias" in record
    }


def test_each_region_has_an_a_and_an_aaaa_failover_record_with_its_health_check(failover):
    records = routing_records(failover[0])

    assert {
        logical_id: (
            record["type"],
            record["failover_routing_policy"]["type"],
            record["set_identifier"],
            record["alias"]["name"],
            record["health_check_id"],
        )
        for logical_id, record in records.items()
    } == {
        f"name_{role}_{type}": (
            type,
            role.upper(),
            role,
            f"d-1.{region}.example",
            f"${{aws_route53_health_check.name_{role}_endpoint_health_check.id}}",
        )
        for role, region in zip(("primary", "secondary"), REGIONS, strict=False)
        for type in ("A", "AAAA")
    }
    assert all(record["alias"]["evaluate_target_health"] for record in records.values())
    assert {record["name"] for record in records.values()} == {"api.shop.example"}


def route_with(ttl_seconds, record_name="api.shop.example"):
    stack = new_stack()
    dns = FailoverDns(
        stack, "name", provider=providers(stack, REGIONS[0])[REGIONS[0]],
        zone_name="shop.example", record_name=record_name,
    )  # fmt: skip
    dns.route(
        [endpoint(region, named=True) for region in REGIONS],
        health_check=HealthCheck("/live/ping"),
        ttl_seconds=ttl_seconds,
    )
    return Synthesized(stack)


def test_a_shorter_time_to_live_takes_cname_records_and_aliases_of_them():
    records = route_with(10).resources("aws_route53_record")

    assert {
        id: (record["name"], record.get("ttl"), record.get("records"), record.get("alias"))
        for id, record in records.items()
        if record["type"] == "CNAME"
    } == {
        "name_primary_CNAME": ("api.shop.example", 10, [f"d-1.{REGIONS[0]}.example"], None),
        "name_secondary_CNAME": (
            "api.shop.example", None, None,
            {
                "name": "failover-2.api.shop.example",
                "zone_id": "${data.aws_route53_zone.name_zone.zone_id}",
                "evaluate_target_health": True,
            },
        ),
        "name_failover_2_primary_CNAME": (
            "failover-2.api.shop.example", 10, [f"d-1.{REGIONS[1]}.example"], None,
        ),
        "name_failover_2_secondary_CNAME": (
            "failover-2.api.shop.example", 10, [f"d-1.{REGIONS[2]}.example"], None,
        ),
    }  # fmt: skip
    # The Regions' own names route without conditions: nothing there is to follow sooner.
    assert {r["type"] for r in records.values() if r["name"].startswith("eu-")} == {"A", "AAAA"}


@pytest.mark.parametrize("ttl_seconds", [0, 61])
def test_a_time_to_live_that_no_record_has_is_refused(ttl_seconds):
    with pytest.raises(ValueError, match=rf"got {ttl_seconds} s to live: give 1 to 60"):
        route_with(ttl_seconds)


def test_a_cname_record_at_the_apex_is_refused():
    with pytest.raises(ValueError, match=r"apex of its zone, which cannot have a CNAME record"):
        route_with(10, record_name="shop.example")


def test_an_alias_record_has_no_ttl(failover):
    assert not [r for r in routing_records(failover[0]).values() if "ttl" in r]


def test_health_checks_ask_over_https_with_sni_at_the_regions_own_host(failover):
    checks = failover[0].resources("aws_route53_health_check")

    assert [check["fqdn"] for check in checks.values()] == [
        "api.eu-central-1.example", "api.eu-west-1.example",
    ]  # fmt: skip
    for check in checks.values():
        assert (check["type"], check["port"]) == ("HTTPS", 443)
        assert check["resource_path"] == "/live/ping"
        assert (check["enable_sni"], check["measure_latency"]) == (True, True)
        assert (check["request_interval"], check["failure_threshold"]) == (30, 2)
        assert len(check["regions"]) == 8
        assert check["lifecycle"] == {"create_before_destroy": True}
        assert check["tags"]["Name"].startswith("api.shop.example ")


def test_the_certificate_validation_record_is_declared_once_and_every_region_refers_to_it(failover):
    synthesized, _, arns = failover
    validation_records = [
        logical_id
        for logical_id, record in synthesized.resources("aws_route53_record").items()
        if "alias" not in record
    ]

    assert validation_records == ["name_certificate_validation"]
    # Another stack of the account may have it already.
    (record,) = map(synthesized.resources("aws_route53_record").get, validation_records)
    assert record["allow_overwrite"] is True
    validations = synthesized.resources("aws_acm_certificate_validation")
    assert len(validations) == len(arns) == 2
    assert {tuple(v["validation_record_fqdns"]) for v in validations.values()} == {
        ("${aws_route53_record.name_certificate_validation.fqdn}",)
    }
    assert {v["provider"] for v in validations.values()} == {f"aws.{r}" for r in REGIONS[:2]}


def test_the_zone_is_created_or_looked_up():
    created, looked_up = build()[0], build(create_zone=False)[0]

    assert list(created.resources("aws_route53_zone")) == ["name_zone"]
    assert not created.data("aws_route53_zone")
    assert not looked_up.resources("aws_route53_zone")
    assert looked_up.data("aws_route53_zone")["name_zone"]["private_zone"] is False


def test_latency_routing_takes_any_number_of_regions():
    synthesized, dns, _ = build(REGIONS, "latency", certificates=False)
    records = routing_records(synthesized)

    assert len(records) == 2 * len(REGIONS)
    for record in records.values():
        assert record["latency_routing_policy"]["region"] == record["set_identifier"]
        assert "failover_routing_policy" not in record
    assert list(dns.health_check_ids) == list(REGIONS)


@pytest.mark.parametrize("routing_policy", ["failover", "latency", "weighted"])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_two_other_regions_at_most_are_asked_for_an_evacuation_and_all_must_be_healthy(
    routing_policy, count
):
    regions = (*REGIONS, "us-east-1")[:count]
    synthesized, dns, _ = build(
        regions, routing_policy, certificates=False, evacuation_path="/live/gone/{region}"
    )
    checks = synthesized.resources("aws_route53_health_check")
    records = {r["alias"]["name"]: r for r in routing_records(synthesized).values()}

    assert len(checks) == count * (2 + min(count - 1, 2))
    for region in regions:
        asked = dns.evacuation_health_checks[region]
        assert list(asked) == [other for other in regions if other != region][:2]
        for observer, construct in asked.items():
            check = checks[construct.friendly_unique_id]
            assert (check["type"], check["fqdn"]) == ("HTTPS", f"api.{observer}.example")
            assert check["resource_path"] == f"/live/gone/{region}"
            assert check["invert_healthcheck"] is True
            # A new inverted check is unhealthy until it has data: no setting replaces it.
            assert check["lifecycle"]["ignore_changes"] == ["request_interval"]
            # Nobody looks at it, and it has a price.
            assert check["measure_latency"] is False
        calculated = checks[dns.health_checks[region].friendly_unique_id]
        assert "regions" not in calculated
        assert calculated["type"] == "CALCULATED"
        assert calculated["child_health_threshold"] == len(calculated["child_healthchecks"])
        assert calculated["child_healthchecks"] == [
            f"${{aws_route53_health_check.{each.friendly_unique_id}.id}}"
            for each in (dns.endpoint_health_checks[region], *asked.values())
        ]
        assert records[f"d-1.{region}.example"]["health_check_id"] == (
            f"${{aws_route53_health_check.{dns.health_checks[region].friendly_unique_id}.id}}"
        )


def test_every_health_check_can_be_replaced_while_it_is_used():
    checks = build(evacuation_path="/live/gone/{region}")[0].resources("aws_route53_health_check")

    assert len(checks) == 6
    assert {check["lifecycle"]["create_before_destroy"] for check in checks.values()} == {True}


@pytest.mark.parametrize("routing_policy", ["failover", "latency", "weighted"])
def test_one_region_is_not_enough(routing_policy):
    with pytest.raises(ValueError, match="got 1 Regions: give two or more"):
        build(REGIONS[:1], routing_policy, certificates=False)


def test_a_third_region_is_behind_a_name_that_the_secondary_record_is_an_alias_of():
    synthesized, dns, _ = build(REGIONS, certificates=False, evacuation_path="/live/gone/{region}")
    records = routing_records(synthesized)

    behind = "failover-2.api.shop.example"
    assert dns.failover_names == (behind,)
    for type in ("A", "AAAA"):
        secondary = records[f"name_secondary_{type}"]
        assert secondary["alias"] == {
            "evaluate_target_health": True,
            "name": behind,
            "zone_id": "${aws_route53_zone.name_zone.zone_id}",
        }
        # Its health is that of the records behind it, which exist before.
        assert "health_check_id" not in secondary
        assert set(secondary["depends_on"]) == {
            f"aws_route53_record.name_failover_2_{role}_{each}"
            for role in ("primary", "secondary")
            for each in ("A", "AAAA")
        }
        for role, region, check in (
            ("primary", REGIONS[1], "secondary"),
            ("secondary", REGIONS[2], REGIONS[2]),
        ):
            record = records[f"name_failover_2_{role}_{type}"]
            assert record["name"] == behind
            assert record["set_identifier"] == role
            assert record["failover_routing_policy"] == {"type": role.upper()}
            assert record["alias"]["name"] == f"d-1.{region}.example"
            assert record["health_check_id"] == (
                f"${{aws_route53_health_check.name_{check}_health_check.id}}"
            )
    assert len(records) == 8


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (None, dict.fromkeys(REGIONS, 1)),
        (
            dict(zip(REGIONS, (90, 10, 0), strict=True)),
            dict(zip(REGIONS, (90, 10, 0), strict=True)),
        ),
    ],
)
def test_weighted_records_have_a_weight_and_the_health_check_of_their_region(weights, expected):
    synthesized, dns, _ = build(REGIONS, "weighted", certificates=False, weights=weights)
    records = routing_records(synthesized)

    assert dns.weights == expected
    assert {id: r["weighted_routing_policy"]["weight"] for id, r in records.items()} == {
        f"name_{region}_{type}": expected[region] for region in REGIONS for type in ("A", "AAAA")
    }
    for region in REGIONS:
        assert records[f"name_{region}_A"]["set_identifier"] == region
        assert records[f"name_{region}_A"]["health_check_id"] == (
            f"${{aws_route53_health_check.name_{region}_endpoint_health_check.id}}"
        )


@pytest.mark.parametrize(
    ("routing_policy", "weights", "error"),
    [
        ("latency", {}, "latency routing has no weights"),
        ("weighted", {REGIONS[0]: 1}, "give each one"),
        ("weighted", dict.fromkeys(REGIONS[:2], 0), "one above 0"),
        ("weighted", dict(zip(REGIONS, (256, 1), strict=False)), "give 0 to 255"),
        ("weighted", dict(zip(REGIONS, (-1, 1), strict=False)), "give 0 to 255"),
    ],
)
def test_weights_that_do_not_fit_are_rejected(routing_policy, weights, error):
    with pytest.raises(ValueError, match=error):
        build(routing_policy=routing_policy, certificates=False, weights=weights)


def test_a_name_is_routed_once():
    _, dns, _ = build()
    with pytest.raises(ValueError, match="already routed"):
        dns.route([], health_check=HealthCheck("/"))


@pytest.mark.parametrize("routing_policy", ["failover", "latency"])
def test_a_region_with_a_name_of_its_own_gets_records_and_a_validation_for_it(routing_policy):
    synthesized, _, _ = build(named=True, routing_policy=routing_policy)
    records = synthesized.resources("aws_route53_record")

    for region in REGIONS[:2]:
        for record_type in ("A", "AAAA"):
            record = records[f"name_{region}_name_{record_type}"]
            assert record["name"] == f"{region}.api.shop.example"
            assert record["alias"]["name"] == f"d-2.{region}.example"
            assert not {"set_identifier", "health_check_id"} & set(record)
        assert f"name_{region}_certificate_validation" in records
    assert len([r for r in records.values() if "ttl" in r]) == 3


def test_a_health_check_waits_until_its_region_responds_at_its_own_name():
    synthesized, _, _ = build(named=True, evacuation_path="/live/gone/{region}")
    checks = synthesized.resources("aws_route53_health_check")

    for region, name in zip(REGIONS, ("primary_endpoint", "secondary_endpoint"), strict=False):
        waited_for = checks[f"name_{name}_health_check"]["depends_on"]
        for record_type in ("A", "AAAA"):
            assert f"aws_route53_record.name_{region}_name_{record_type}" in waited_for
    asked = checks["name_primary_evacuation_in_secondary_health_check"]["depends_on"]
    assert f"aws_route53_record.name_{REGIONS[1]}_name_A" in asked


def test_a_certificate_for_a_foreign_name_is_rejected():
    stack = new_stack()
    (provider,) = providers(stack, REGIONS[0]).values()
    dns = FailoverDns(
        stack, "name", provider=provider, zone_name="shop.example", record_name="api.shop.example"
    )

    for name in ("shop.example", "a.b.api.shop.example", "api.shop.example.org"):
        with pytest.raises(ValueError, match="a label before it"):
            dns.validate_certificate(name, None, provider)
