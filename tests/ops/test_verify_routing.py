"""Three Regions, by failover and by weight: each missing or wrong record is named, and no other."""

from copy import deepcopy
from itertools import product

import pytest
from fake_environment import EAST, NAME, OUTPUTS, WEST, Canned, environment, sandbox_access

from ops.cli.switch_report import successors
from ops.deploy.aliases import Aliases
from ops.deploy.serving import serving
from ops.http_client import DnsAnswer, Response
from ops.iam.names import names_of_outputs
from ops.verify import quotas
from ops.verify.dns import answers, records
from ops.verify.finding import Outcome
from ops.verify.health_states import HealthState, regions_to_serve

pytestmark = pytest.mark.unit

THIRD = "eu-west-1"
REGIONS = [EAST, WEST, THIRD]
BEHIND = f"failover-2.{NAME}"
ZONE = OUTPUTS["zone_id"]
WEIGHTS = {EAST: 90, WEST: 10, THIRD: 0}
TTL = 10
BY_REGION = {
    name: values | {THIRD: f"{name}-third"}
    for name, values in OUTPUTS.items()
    if isinstance(values, dict) and values.keys() == {EAST, WEST}
}


def routed(kind, clients=None, **more):
    """An environment with three Regions."""
    policy, _, by_cname = kind.partition(" by ")
    outputs = BY_REGION | {"regions": REGIONS, "routing_policy": policy}
    if by_cname:
        outputs |= {"ttl_seconds": TTL}
    if policy == "failover":
        outputs |= {"failover_names": [BEHIND]}
    else:
        outputs |= {"weights": WEIGHTS}
    return environment(clients, outputs=outputs, **more)


def record(name, kind, identifier, region, check, **policy):
    alias = {
        "HostedZoneId": "Z2" if region else ZONE,
        "DNSName": f"{BY_REGION['domain_targets'][region] if region else BEHIND}.",
        "EvaluateTargetHealth": True,
    }
    found = {"Name": f"{name}.", "Type": kind, "SetIdentifier": identifier, "AliasTarget": alias}
    return found | policy | ({"HealthCheckId": check} if check else {})


RECORDS = {
    "failover": [
        record(name, kind, role, region, check, Failover=role.upper())
        for kind in ("A", "AAAA")
        for name, role, region, check in (
            (NAME, "primary", EAST, "calculated"),
            (NAME, "secondary", "", ""),
            (BEHIND, "primary", WEST, "calculated-west"),
            (BEHIND, "secondary", THIRD, "health_check_ids-third"),
        )
    ],
    "weighted": [
        record(NAME, kind, region, region, check, Weight=WEIGHTS[region])
        for kind in ("A", "AAAA")
        for region, check in (
            (EAST, "calculated"),
            (WEST, "calculated-west"),
            (THIRD, "health_check_ids-third"),
        )
    ],
}


def as_cname(found):
    """The CNAME record in the place of an alias record."""
    found = deepcopy(found) | {"Type": "CNAME"}
    if found["AliasTarget"]["HostedZoneId"] == ZONE:
        return found
    target = found.pop("AliasTarget")["DNSName"].rstrip(".")
    return found | {"TTL": TTL, "ResourceRecords": [{"Value": target}]}


RECORDS |= {
    f"{policy} by CNAME": [as_cname(each) for each in listed if each["Type"] == "A"]
    for policy, listed in RECORDS.items()
}
EACH = [(policy, index) for policy, listed in RECORDS.items() for index in range(len(listed))]


def found_in(policy, listed):
    def list_from(StartRecordName, **_):  # noqa: N803
        # As Route 53 lists: what follows the name, too.
        return {"ResourceRecordSets": [r for r in listed if r["Name"] >= f"{StartRecordName}."]}

    route53 = Canned(list_resource_record_sets=list_from)
    findings = records.run(routed(policy, {("route53", EAST): route53}))
    return {f.subject: f.found for f in findings if f.outcome is not Outcome.PASSED}


def subject_of(found):
    return f"{found['Name'][:-1]} {found['Type']} {found['SetIdentifier']}"


@pytest.mark.parametrize("policy", RECORDS)
def test_the_records_of_the_stack_pass(policy):
    assert found_in(policy, RECORDS[policy]) == {}


@pytest.mark.parametrize(("policy", "index"), EACH)
def test_each_missing_record_is_named(policy, index):
    missing = RECORDS[policy][index]

    found = found_in(policy, [r for r in RECORDS[policy] if r is not missing])

    (problem,) = found.values()
    assert list(found) == [subject_of(missing)]
    assert "does not exist" in problem


WRONG = {
    "role": lambda r: r.update(Failover="PRIMARY" if r["Failover"] == "SECONDARY" else "SECONDARY"),
    "weight": lambda r: r.update(Weight=r["Weight"] + 1),
    "weight gone": lambda r: r.pop("Weight"),
    "target": lambda r: r["AliasTarget"].update(DNSName="elsewhere."),
    "health of the target": lambda r: r["AliasTarget"].update(EvaluateTargetHealth=False),
    "zone of the target": lambda r: r["AliasTarget"].update(HostedZoneId="Z9"),
    "no alias": lambda r: r.pop("AliasTarget"),
    "no longer a CNAME": lambda r: r.update(
        AliasTarget={"HostedZoneId": "Z2", "DNSName": "elsewhere."}, ResourceRecords=[]
    ),
    "CNAME target": lambda r: r.update(ResourceRecords=[{"Value": "elsewhere."}]),
    "two CNAME targets": lambda r: r["ResourceRecords"].append({"Value": "elsewhere."}),
    "time to live": lambda r: r.update(TTL=TTL + 1),
    "no time to live": lambda r: r.pop("TTL"),
    "another health check": lambda r: r.update(HealthCheckId="another"),
    "no health check": lambda r: r.pop("HealthCheckId"),
    "another identifier": lambda r: r.update(SetIdentifier="by hand"),
}


def can_be(wrong, found):
    """Whether a record can be wrong in this way."""
    is_alias = "AliasTarget" in found
    return {
        "target": is_alias,
        "health of the target": is_alias,
        "no alias": is_alias,
        **dict.fromkeys(
            (
                "no longer a CNAME",
                "CNAME target",
                "two CNAME targets",
                "time to live",
                "no time to live",
            ),
            not is_alias,
        ),
        "role": "Failover" in found,
        "weight": "Weight" in found,
        "weight gone": "Weight" in found,
        # The zone of an API's host name is not an output.
        "zone of the target": is_alias and found["AliasTarget"]["HostedZoneId"] == ZONE,
        "no health check": "HealthCheckId" in found,
    }.get(wrong, True)


@pytest.mark.parametrize("wrong", WRONG)
def test_each_wrong_record_is_named(wrong):
    tried = 0
    for policy, index in EACH:
        listed = deepcopy(RECORDS[policy])
        if not can_be(wrong, listed[index]):
            continue
        tried += 1
        named = {subject_of(listed[index])}
        WRONG[wrong](listed[index])
        named.add(subject_of(listed[index]))

        assert found_in(policy, listed).keys() == named
    assert tried >= 2


@pytest.mark.parametrize("policy", RECORDS)
def test_a_record_that_is_not_part_of_the_stack_is_named_under_each_name(policy):
    for name in {each["Name"] for each in RECORDS[policy]}:
        stranger = RECORDS[policy][0] | {"Name": name, "SetIdentifier": "by hand"}

        found = found_in(policy, [*RECORDS[policy], stranger])

        assert list(found) == [f"{name[:-1]} {stranger['Type']} by hand"]


@pytest.mark.parametrize(
    ("policy", "exchanged"),
    [("failover", "failover by CNAME"), ("weighted by CNAME", "weighted")],
)
def test_records_that_were_exchanged_are_not_to_be_removed(policy, exchanged):
    """Between `ops records` and the deployment after it: they serve all customers."""
    listed = RECORDS[exchanged]
    route53 = Canned(list_resource_record_sets={"ResourceRecordSets": listed})

    findings = records.run(routed(policy, {("route53", EAST): route53}))

    fixes = {f.subject: f.fix for f in findings if f.outcome is not Outcome.PASSED}
    assert len(fixes) == len(RECORDS[policy]) + len(listed)
    for each in listed:
        assert fixes[subject_of(each)].startswith("do not remove it: finish the exchange")


# --- which Region should serve ---------------------------------------------------------------


def first(healthy):
    """The Regions that may be first: a state that is not known may be either."""
    return {
        next((r for r, well in zip(REGIONS, states, strict=True) if well), EAST)
        for states in product(*([True, False] if h is None else [h] for h in healthy))
    }


def by_weight(healthy):
    """The same for weights 90, 10 and 0."""
    return set().union(
        *(
            {r for r in (EAST, WEST) if well[r]} or {r for r in (THIRD,) if well[r]} or {EAST, WEST}
            for states in product(*([True, False] if h is None else [h] for h in healthy))
            for well in [dict(zip(REGIONS, states, strict=True))]
        )
    )


@pytest.mark.parametrize(("policy", "possible"), [("failover", first), ("weighted", by_weight)])
def test_dns_should_route_to_what_may_serve_in_every_state(policy, possible):
    given = routed(policy)
    ids = given.outputs.health_check_ids
    for healthy in product((True, False, None), repeat=3):
        states = {ids[r]: HealthState(h, "") for r, h in zip(REGIONS, healthy, strict=True)}

        found = set(regions_to_serve(given, states))

        if policy == "weighted" and None in healthy and True not in healthy[:2]:
            # Not that none at all is healthy, which is unlikely enough.
            assert found <= possible(healthy)
        else:
            assert found == possible(healthy)
        assert found


@pytest.mark.parametrize(("kind", "type_"), [("failover", "AAAA"), ("failover by CNAME", "CNAME")])
def test_an_answer_from_behind_the_secondary_is_attributed_to_its_region(monkeypatch, kind, type_):
    """Without IPv6 on this machine: the records that are in service say it."""
    groups = [
        {"name": f"{NAME}.", "type": type_, "in_service": ["secondary"]},
        {"name": f"{BEHIND}.", "type": type_, "in_service": ["secondary"]},
    ]
    checks = [
        {"id": id, "healthy": id == "health_check_ids-third", "reason": "", "status": ""}
        for id in routed("failover").outputs.health_check_ids.values()
    ]
    given = routed(kind, network=WithoutIpv6(), sandbox=sandbox_access())
    monkeypatch.setattr(
        type(given), "sandbox_status", lambda _: {"records": groups, "health_checks": checks}
    )

    _, ipv6 = answers.run(given)

    assert ipv6.outcome is Outcome.PASSED, ipv6.found
    assert THIRD in ipv6.found


class WithoutIpv6:
    """No IPv6 here, and nothing that resolves."""

    ipv6 = False
    dns_servers = ("127.0.0.1",)

    def resolve(self, name, kind="A"):
        return DnsAnswer(error="NOERROR, no record")


def test_every_region_takes_over_from_the_primary_and_nobody_from_the_others():
    given = routed("failover")

    assert {r: quotas.taken_over_from(given, r) for r in REGIONS} == {
        EAST: [], WEST: [EAST], THIRD: [EAST],
    }  # fmt: skip


def test_the_switch_names_who_serves_instead_of_an_evacuated_region():
    assert successors(environment(), WEST) == EAST
    assert successors(routed("failover"), EAST) == f"{WEST}, then {THIRD}"
    assert successors(routed("weighted"), WEST) == f"{EAST} or {THIRD}"


def test_roles_are_in_the_order_of_failover():
    assert routed("failover").outputs.roles == {EAST: "primary", WEST: "secondary", THIRD: "3rd"}
    assert routed("weighted").outputs.roles == {}


@pytest.mark.parametrize(
    ("policy", "region", "named"),
    [
        ("failover", EAST, f"{EAST} (primary)"),
        ("failover", THIRD, f"{THIRD} (3rd)"),
        ("weighted", THIRD, THIRD),
    ],
)
def test_who_serves_is_named_with_its_role(policy, region, named):
    found = serving(routed(policy, network=Serves(region)))

    assert (found.region, found.found) == (region, f"{named} serves customers now")


@pytest.mark.parametrize("policy", ["failover", "weighted"])
def test_a_release_reaches_the_primary_last_and_the_last_in_the_order_first(policy):
    aliases = Aliases(routed(policy))

    assert aliases.regions("production") == (THIRD, WEST, EAST)
    assert [aliases.regions(f"production-{region}") for region in REGIONS] == [
        (EAST,), (WEST,), (THIRD,),
    ]  # fmt: skip


class Serves:
    """Every request is served by one Region."""

    def __init__(self, region):
        self.region = region

    def request(self, method, url):
        return Response(200, self.region)


def test_a_policy_of_iam_names_the_records_behind_the_secondary():
    assert names_of_outputs(routed("failover").outputs)["record"] == [NAME, BEHIND]
