"""Which Region is answered, for every state of health: synthesized records against a specification.

The records and health checks are those that synthesis gives; the sandbox's Route 53 evaluates them.
The specification knows neither: it is written from what a routing policy, and the evacuation of a
Region, promise to customers.
"""

import random
import re
from fractions import Fraction
from itertools import chain, combinations, product

import pytest
from cdktf import App
from repository_files import REPOSITORY
from synthesis import Synthesized, new_stack, providers

import weather_api.stack
from constructs_lib import FailoverDns, HealthCheck, RegionalEndpoint
from constructs_lib.settings import load
from sandbox.route53.answers import Answerer
from sandbox.route53.endpoints import Endpoint
from sandbox.route53.health import Evaluation
from sandbox.route53.model import HealthCheck as Check
from sandbox.route53.model import RecordSet, Zone

pytestmark = pytest.mark.unit

REGIONS = ("us-east-1", "us-west-2", "eu-west-1", "ap-southeast-1")
"""From near to far for a client next to the first."""
TTLS = (60, 10)
"""Of alias records, and of CNAME records."""
NAME, ZONE = "api.shop.example", "shop.example"
WEIGHTS = [
    weights
    for count in (2, 3, 4)
    for weights in product(*((0, place) for place in range(1, count + 1)))
    if any(weights)
]


# --- the specification -----------------------------------------------------------------------


def promised(policy, regions, healthy, *, evacuated=(), weights=None):
    """`{region: share of the answers}` that customers are promised, without those evacuated."""
    well = [r for r in regions if healthy[r] and r not in evacuated]
    if policy == "weighted":
        weights = weights or dict.fromkeys(regions, 1)
        carrying = [r for r in regions if weights[r]]
        # Reserves serve when nothing else does; with nobody well, health says nothing.
        serving = [r for r in carrying if r in well] or well or carrying
        total = sum(weights[r] for r in serving)
        return {r: Fraction(weights[r], total) if total else Fraction(1, len(serving))
                for r in serving}  # fmt: skip
    # In the order of failover, which is here that of nearness, too.
    return {(well or regions)[0]: Fraction(1)}


def asked(regions, region):
    """Who is asked whether a Region is evacuated: the first two others."""
    return set([r for r in regions if r != region][:2])


# --- what synthesis gives, as Route 53's API lists it ----------------------------------------


class Routed:
    """The records and health checks of a stack, and the answers that they give."""

    def __init__(self, synthesized):
        self.synthesized = synthesized
        self.checks = {
            id: Check.from_api({"Id": id, "HealthCheckConfig": api_config(check)})
            for id, check in synthesized.resources("aws_route53_health_check").items()
        }
        self.arguments = {
            id: record
            for id, record in synthesized.resources("aws_route53_record").items()
            if "set_identifier" in record
        }
        self.records = {id: record_set(r, synthesized) for id, r in self.arguments.items()}

    def in_service(self, healthy, *, evacuated=(), silent=(), apart=()):
        """Whether each health check is healthy, in a state of endpoints and evacuations.

        Args:
            healthy: `{region: whether its endpoint responds to health checks}`.
            evacuated: The Regions with an item.
            silent: Those that report nothing: their table or the whole Region does not respond.
            apart: Pairs `(observer, region)` where the item is not in the observer's replica.
        """

        def vote(check):
            observer = self.called_by(check)
            if not check.inverted:
                return healthy[observer]
            region = region_in(check.path)
            # Without a response, the endpoint counts as unhealthy.
            return (
                region in evacuated and observer not in silent and (observer, region) not in apart
            )

        votes = {id: (vote(c),) for id, c in self.checks.items() if c.watches_endpoint}
        return {id: s.healthy for id, s in Evaluation(self.checks, votes, {}).all().items()}

    def called_by(self, check):
        """The Region that a health check calls: by its name, or that of the API in its place."""
        if api := re.match(r"\$\{aws_api_gateway_rest_api\.(.+?)_api_", check.domain_name):
            return regions_of(self.synthesized)[api[1]]
        return region_in(check.domain_name)

    def answered(self, kind, healthy, *, records=None, **evacuations):
        """`{region: share of the answers}` that the sandbox's Route 53 gives."""
        states = self.in_service(healthy, **evacuations)
        zone = Zone("Z", f"{ZONE}.", tuple((records or self.records).values()))
        chance = Chance()
        answer = Answerer([zone], states.__getitem__, address_of, chance).answer(
            NAME, kind, REGIONS[0]
        )
        assert answer.code == "NOERROR"
        assert answer.records, "the answer is empty"
        ttls = {record["ttl"] for record in self.arguments.values() if "ttl" in record} or {60}
        assert {record.ttl_seconds for record in answer.records} == ttls
        if not chance.offered:
            return {region_in(answer.endpoint): Fraction(1)}
        total = sum(chance.offered.values())
        return {region: Fraction(w, total) for region, w in chance.offered.items() if w}


class Chance(random.Random):
    """Remembers what it was to choose from."""

    def __init__(self):
        super().__init__()
        self.offered = {}

    def choices(self, population, weights=None, *, k=1):
        weights = weights or [1] * len(population)
        self.offered = {
            region_in(r.alias.dns_name if r.alias else r.values[0]): w
            for r, w in zip(population, weights, strict=True)
        }
        return population[:1]


def address_of(host):
    place = REGIONS.index(region_in(host)) + 1
    return Endpoint((f"127.0.1.{place}",), ("::1",))


def region_in(text):
    (region,) = {region for region in REGIONS if region in text}
    return region


def api_config(check):
    config = {
        "Type": check["type"],
        "FullyQualifiedDomainName": check.get("fqdn"),
        "ResourcePath": check.get("resource_path"),
        "Inverted": check.get("invert_healthcheck", False),
        "HealthThreshold": check.get("child_health_threshold"),
        "ChildHealthChecks": [id_in(child) for child in check.get("child_healthchecks", ())],
    }
    return {name: value for name, value in config.items() if value is not None}


def record_set(record, synthesized):
    alias = record.get("alias")
    item = {
        "Name": record["name"],
        "Type": record["type"],
        "SetIdentifier": record.get("set_identifier"),
        "Failover": record.get("failover_routing_policy", {}).get("type"),
        "Region": record.get("latency_routing_policy", {}).get("region"),
        "Weight": record.get("weighted_routing_policy", {}).get("weight"),
        "HealthCheckId": id_in(record["health_check_id"]) if "health_check_id" in record else None,
        "TTL": record.get("ttl"),
        "ResourceRecords": [
            {"Value": host_of(host, synthesized)} for host in record.get("records", ())
        ],
        "AliasTarget": alias
        and {
            "DNSName": host_of(alias["name"], synthesized),
            "HostedZoneId": "Z" if alias["zone_id"] == record["zone_id"] else "AWS",
            "EvaluateTargetHealth": alias["evaluate_target_health"],
        },
    }
    return RecordSet.from_api({name: value for name, value in item.items() if value is not None})


def id_in(expression):
    return re.fullmatch(r"\$\{\w+\.(.+)\.(id|zone_id)\}", expression)[1]


def host_of(name, synthesized):
    """A host name; for that of a resource, one with the Region of its provider."""
    found = re.fullmatch(r"\$\{(\w+)\.(.+)\.regional_domain_name\}", name)
    if not found:
        return name
    alias = synthesized.resources(found[1])[found[2]]["provider"].removeprefix("aws.")
    return f"d-1.{regions_of(synthesized)[alias]}.example"


def regions_of(synthesized):
    """`{alias of the provider: Region}`."""
    return {p["alias"]: p["region"] for p in synthesized.json["provider"]["aws"]}


class Target:
    def __init__(self, region):
        self.host_name, self.zone_id = f"d-1.{region}.example", f"Z-{region}"


def route(regions, policy, weights=None, *, evacuation=True, ttl=60):
    stack = new_stack()
    provider = providers(stack, regions[0])[regions[0]]
    dns = FailoverDns(
        stack, "name", provider=provider, zone_name=ZONE, record_name=NAME, create_zone=True
    )
    dns.route(
        [RegionalEndpoint(r, Target(r), f"api.{r}.example") for r in regions],
        health_check=HealthCheck("/live", "/live/gone/{region}" if evacuation else None),
        routing_policy=policy,
        weights=weights,
        ttl_seconds=ttl,
    )
    return Routed(Synthesized(stack))


def states(regions):
    return [
        dict(zip(regions, health, strict=True))
        for health in product((True, False), repeat=len(regions))
    ]


# --- the tests -------------------------------------------------------------------------------


def sets_of(regions):
    return [set(each) for n in range(len(regions) + 1) for each in combinations(regions, n)]


@pytest.mark.parametrize("ttl", TTLS)
@pytest.mark.parametrize("evacuation", [False, True], ids=["without evacuation", "with evacuation"])
@pytest.mark.parametrize("policy", ["failover", "latency"])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_the_first_or_nearest_healthy_region_is_answered_that_is_not_evacuated(
    policy, count, evacuation, ttl
):
    regions = REGIONS[:count]
    routed = route(regions, policy, evacuation=evacuation, ttl=ttl)

    for healthy, kind in product(states(regions), ("A", "AAAA")):
        for evacuated in sets_of(regions) if evacuation else [set()]:
            answered = routed.answered(kind, healthy, evacuated=evacuated)
            assert answered == promised(policy, regions, healthy, evacuated=evacuated)


@pytest.mark.parametrize("ttl", TTLS)
@pytest.mark.parametrize("weights", [None, *WEIGHTS])
def test_weighted_answers_healthy_regions_by_their_weights(weights, ttl):
    regions = REGIONS[: len(weights or REGIONS)]
    by_region = dict(zip(regions, weights, strict=True)) if weights else None
    routed = route(regions, "weighted", by_region, ttl=ttl)

    for healthy, kind, evacuated in product(states(regions), ("A", "AAAA"), sets_of(regions)):
        expected = promised("weighted", regions, healthy, evacuated=evacuated, weights=by_region)
        assert routed.answered(kind, healthy, evacuated=evacuated) == expected


@pytest.mark.parametrize("policy", ["failover", "latency", "weighted"])
@pytest.mark.parametrize("count", [2, 3, 4])
def test_one_observer_that_responds_is_enough_and_one_that_does_not_evacuates_nobody(policy, count):
    regions = REGIONS[:count]
    routed = route(regions, policy)

    # WHEN some Regions do not respond at all, or lack their tables
    for healthy, silent in product(states(regions), sets_of(regions)):
        for evacuated in sets_of(regions):
            # THEN a Region is out of service if one observer of it says so
            reported = {r for r in evacuated if asked(regions, r) - silent}
            answered = routed.answered("A", healthy, evacuated=evacuated, silent=silent)
            assert answered == promised(policy, regions, healthy, evacuated=reported)


@pytest.mark.parametrize("policy", ["failover", "latency", "weighted"])
@pytest.mark.parametrize("count", [3, 4])
def test_an_evacuation_that_has_reached_one_replica_only_counts(policy, count):
    regions = REGIONS[:count]
    routed = route(regions, policy)

    for healthy, region in product(states(regions), regions):
        first, second = sorted(asked(regions, region))
        for apart in ({(first, region)}, {(second, region)}):
            answered = routed.answered("A", healthy, evacuated={region}, apart=apart)
            assert answered == promised(policy, regions, healthy, evacuated={region})


@pytest.mark.parametrize("ttl", TTLS)
def test_more_regions_than_anybody_has_fail_over_in_order(monkeypatch, ttl):
    # GIVEN as many Regions as there could be
    many = tuple(f"zz-{place:02}" for place in range(40))
    monkeypatch.setitem(globals(), "REGIONS", many)
    routed = route(many, "failover", evacuation=False, ttl=ttl)

    # THEN the last one serves when all others are lost
    for first in (0, 1, 20, 39):
        healthy = {region: place >= first for place, region in enumerate(many)}
        assert routed.answered("A", healthy) == {many[first]: 1}


@pytest.mark.parametrize("ttl", TTLS)
@pytest.mark.parametrize("count", [2, 3])
def test_a_further_region_changes_nothing_of_those_before_but_the_last_alias(count, ttl):
    before = route(REGIONS[:count], "failover", ttl=ttl)
    after = route(REGIONS[: count + 1], "failover", ttl=ttl)

    changed = {id for id in before.checks if after.checks[id] != before.checks[id]}
    # The third is asked about the first two.
    assert changed == (
        {"name_primary_health_check", "name_secondary_health_check"} if count == 2 else set()
    )
    changed = {id for id in before.records if after.arguments.get(id) != before.arguments[id]}
    last = f"name_{f'failover_{count - 1}_' if count > 2 else ''}secondary"
    assert changed == {f"{last}_{type}" for type in (("A", "AAAA") if ttl == 60 else ("CNAME",))}
    # Name, type and set identifier: Terraform changes the others in place.
    for id in changed:
        kept = ("name", "type", "set_identifier", "failover_routing_policy", "zone_id")
        assert [before.arguments[id][a] for a in kept] == [after.arguments[id][a] for a in kept]


@pytest.mark.parametrize("ttl", TTLS)
@pytest.mark.parametrize("count", [2, 3])
def test_no_answer_is_empty_while_a_further_region_is_added(count, ttl):
    regions, more = REGIONS[:count], REGIONS[: count + 1]
    before = route(regions, "failover", evacuation=False, ttl=ttl)
    after = route(more, "failover", evacuation=False, ttl=ttl)
    changing = [
        id
        for id in after.records
        if after.records[id].type != "AAAA" and after.records[id] != before.records.get(id)
    ]

    # WHEN Terraform has applied any part of it, in any order that dependencies allow
    partly = 0
    for done in chain.from_iterable(combinations(changing, n) for n in range(len(changing) + 1)):
        needed = {
            address.partition(".")[2]
            for id in done
            for address in after.arguments[id].get("depends_on", ())
        }
        if not needed & set(changing) <= set(done):
            continue
        partly += 1
        records = before.records | {id: after.records[id] for id in done}
        # THEN the first healthy Region is answered, of those that are in the records by now
        for healthy in states(more):
            answered = after.answered("A", healthy, records=records)
            assert answered in (
                promised("failover", more, healthy),
                promised("failover", regions, healthy),
            )
    assert partly == 5  # nothing; either record behind, both; all of it


@pytest.mark.parametrize("ttl", TTLS)
@pytest.mark.parametrize(
    ("policy", "weights"),
    [("failover", None), ("weighted", {"us-east-1": 3, "us-west-2": 1, "eu-west-1": 0})],
)
def test_a_whole_environment_is_routed_as_its_file_says(policy, weights, ttl, tmp_path):
    # GIVEN an environment with three Regions
    regions = REGIONS[:3]
    text = (REPOSITORY / "environments" / "local.toml").read_text()
    routing = f'regions = {list(regions)}\nrouting_policy = "{policy}"'.replace("'", '"')
    if weights:
        routing += f"\nweights = {{ {', '.join(f'{r} = {w}' for r, w in weights.items())} }}"
    text = text.replace('regions = ["us-east-1", "us-west-2"]', routing)
    text = re.sub(r'"(weather\.)?example\.com"', lambda m: f'"{NAME if m[1] else ZONE}"', text)
    text = text.replace("[domain]", f"[domain]\nttl_seconds = {ttl}")
    (tmp_path / "local.toml").write_text(text)
    stack = weather_api.stack.build_stack(App(), load(tmp_path / "local.toml"))
    synthesized = Synthesized(stack)
    routed = Routed(synthesized)

    # THEN every state is answered as promised
    for healthy in states(regions):
        for evacuated in sets_of(regions):
            expected = promised(policy, regions, healthy, evacuated=evacuated, weights=weights)
            assert routed.answered("A", healthy, evacuated=evacuated) == expected
    # AND the operator's tool learns what it has to know
    outputs = {name: output["value"] for name, output in synthesized.json["output"].items()}
    assert outputs.get("weights") == weights
    assert outputs.get("ttl_seconds") == (None if ttl == 60 else ttl)
    behind = [f"failover-2.{NAME}"] if policy == "failover" else None
    assert outputs.get("failover_names") == behind
