"""Rules of answering: routing policies, health, aliases, and what does not exist."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.route53.answers import Answer, Answerer, Records
from sandbox.route53.endpoints import Endpoint
from sandbox.route53.model import AliasTarget, Policy, RecordSet, Zone
from sandbox.route53.routing import nearest_first

pytestmark = pytest.mark.unit

SOA = "ns-1.awsdns-1.com. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"
APEX = (
    RecordSet("example.com.", "SOA", ttl_seconds=900, values=(SOA,)),
    RecordSet("example.com.", "NS", ttl_seconds=172800, values=("ns-1.awsdns-1.com.",)),
)
EAST, WEST = (
    "d-east.execute-api.us-east-1.amazonaws.com.",
    "d-west.execute-api.eu-west-1.amazonaws.com.",
)
ENDPOINTS = {
    EAST: Endpoint(("127.0.1.1",), ("::1",), 8443),
    WEST: Endpoint(("127.0.1.2",)),
}


def a(name: str, value: str, **fields: object) -> RecordSet:
    """Make an A record `name`.example.com."""
    record = RecordSet(f"{name}.example.com.", "A", ttl_seconds=300, values=(value,))
    return replace(record, **fields)  # type: ignore[arg-type]


def alias(
    name: str, target: str, *, evaluate: bool = False, zone: str = "AWS", **fields: object
) -> RecordSet:
    """Make an alias A record; zone `Z` makes it point into the zone itself."""
    record = RecordSet(f"{name}.example.com.", "A", alias=AliasTarget(target, zone, evaluate))
    return replace(record, **fields)  # type: ignore[arg-type]


def ask(
    records: tuple[RecordSet, ...],
    name: str = "www.example.com",
    kind: str = "A",
    *,
    unhealthy: str = "",
    region: str = "us-east-1",
    seed: int = 1,
) -> Answer:
    """Ask one question of a zone with the given records; `unhealthy` lists check ids."""
    zone = Zone("Z", "example.com.", APEX + records)
    down = set(unhealthy.split())
    world = Answerer([zone], lambda check: check not in down, ENDPOINTS.get, random.Random(seed))
    return world.answer(name, kind, region)


def values(answer: Answer) -> tuple[str, ...]:
    return tuple(value for records in answer.records for value in records.values)


# --- what exists and what does not -----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "code", "found", "authority"),
    [
        ("www.example.com", "A", "NOERROR", ("192.0.2.1",), "NS"),
        ("WWW.Example.COM.", "A", "NOERROR", ("192.0.2.1",), "NS"),
        ("www.example.com", "AAAA", "NOERROR", (), "SOA"),
        ("absent.example.com", "A", "NXDOMAIN", (), "SOA"),
        ("below.www.example.com", "A", "NXDOMAIN", (), "SOA"),
        ("empty.example.com", "A", "NOERROR", (), "SOA"),
        ("example.com", "A", "NOERROR", (), "SOA"),
        ("example.com", "SOA", "NOERROR", (SOA,), "NS"),
        ("example.com", "NS", "NOERROR", ("ns-1.awsdns-1.com.",), None),
        ("note.example.com", "TXT", "NOERROR", ('"hello"',), "NS"),
        ("example.org", "A", "REFUSED", (), None),
        ("notexample.com", "A", "REFUSED", (), None),
    ],
)
def test_existence_decides_the_code_and_the_authority(
    name: str, kind: str, code: str, found: tuple[str, ...], authority: str | None
) -> None:
    records = (
        a("www", "192.0.2.1"),
        a("deep.empty", "192.0.2.2"),
        RecordSet("note.example.com.", "TXT", ttl_seconds=5, values=('"hello"',)),
    )
    answer = ask(records, name, kind)
    assert (answer.code, values(answer)) == (code, found)
    assert [records.type for records in answer.authority] == ([authority] if authority else [])
    assert answer.authoritative is (code != "REFUSED")


def test_absence_is_remembered_no_longer_than_the_soa_allows() -> None:
    assert ask((), "absent.example.com").authority[0].ttl_seconds == 900


def test_the_zone_with_the_longest_name_answers() -> None:
    zones = [
        Zone("Z", "example.com.", (*APEX, a("api.sub", "192.0.2.1"))),
        Zone("Y", "sub.example.com.", (a("api.sub", "192.0.2.2"),)),
    ]
    world = Answerer(zones, lambda _: True, ENDPOINTS.get)
    assert values(world.answer("api.sub.example.com", "A", "us-east-1")) == ("192.0.2.2",)


def test_a_delegated_subdomain_is_referred_to_its_name_servers() -> None:
    delegation = RecordSet("sub.example.com.", "NS", ttl_seconds=60, values=("ns.other.test.",))
    answer = ask((delegation,), "api.sub.example.com")
    assert (answer.code, answer.records, answer.authoritative) == ("NOERROR", (), False)
    assert answer.authority[0].values == ("ns.other.test.",)


# --- wildcards -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("zenith.example.com", ("192.0.2.9",)),
        ("acme.zenith.example.com", ("192.0.2.9",)),
        ("www.example.com", ("192.0.2.1",)),
        ("*.example.com", ("192.0.2.9",)),
        ("example.com", ()),
        ("x.sub.example.com", ("192.0.2.8",)),
    ],
)
def test_a_wildcard_answers_for_names_that_do_not_exist(
    name: str, expected: tuple[str, ...]
) -> None:
    records = (a("*", "192.0.2.9"), a("www", "192.0.2.1"), a("*.sub", "192.0.2.8"))
    assert values(ask(records, name)) == expected


def test_a_name_that_exists_with_another_type_is_not_covered_by_the_wildcard() -> None:
    text = RecordSet("www.example.com.", "TXT", ttl_seconds=5, values=('"x"',))
    answer = ask((a("*", "192.0.2.9"), text))
    assert (answer.code, answer.records) == ("NOERROR", ())


def test_an_asterisk_inside_a_name_is_not_a_wildcard() -> None:
    assert ask((a("prod.*", "192.0.2.9"),), "prod.x.example.com").code == "NXDOMAIN"


# --- CNAME -----------------------------------------------------------------------------------


def cname(name: str, target: str, **fields: object) -> RecordSet:
    return replace(a(name, target, **fields), type="CNAME")


def test_a_cname_is_followed_inside_the_zone() -> None:
    answer = ask((cname("www", "other.example.com"), a("other", "192.0.2.1")))
    assert [(r.name, r.type) for r in answer.records] == [
        ("www.example.com.", "CNAME"),
        ("other.example.com.", "A"),
    ]


def test_a_cname_that_leaves_the_zone_is_the_whole_answer() -> None:
    answer = ask((cname("www", "elsewhere.test"),))
    assert (answer.code, values(answer)) == ("NOERROR", ("elsewhere.test",))


def test_a_cname_to_nothing_is_nxdomain_with_the_cname() -> None:
    answer = ask((cname("www", "absent.example.com"),))
    assert (answer.code, values(answer)) == ("NXDOMAIN", ("absent.example.com",))


def test_a_cname_is_not_followed_when_it_is_what_was_asked_for() -> None:
    records = (cname("www", "other.example.com"), a("other", "192.0.2.1"))
    assert values(ask(records, kind="CNAME")) == ("other.example.com",)


def test_a_cname_loop_ends_in_servfail() -> None:
    answer = ask((cname("www", "other.example.com"), cname("other", "www.example.com")))
    assert answer.code == "SERVFAIL"
    assert answer.reason


def at_aws(records: tuple[RecordSet, ...]) -> Answerer:
    zone = Zone("Z", "example.com.", (*APEX, *records))
    return Answerer([zone], lambda _: True, ENDPOINTS.get)


@pytest.mark.parametrize(("kind", "address"), [("A", "127.0.1.1"), ("AAAA", "::1")])
def test_a_resolver_adds_the_addresses_of_an_endpoint_that_route53_leaves_out(
    kind: str, address: str
) -> None:
    answerer = at_aws((replace(cname("www", EAST), ttl_seconds=10),))

    told = answerer.answer("www.example.com", kind, "us-east-1")
    resolved = answerer.resolve("www.example.com", kind, "us-east-1")

    assert [(r.type, r.ttl_seconds) for r in told.records] == [("CNAME", 10)]
    assert told.endpoint == EAST
    assert [(r.name, r.type, r.ttl_seconds, r.values) for r in resolved.records] == [
        ("www.example.com.", "CNAME", 10, (EAST,)),
        (EAST, kind, 60, (address,)),
    ]


def test_the_host_name_of_an_endpoint_is_resolved_but_not_by_route53() -> None:
    answerer = at_aws(())

    assert answerer.answer(EAST, "A", "us-east-1").code == "REFUSED"
    assert values(answerer.resolve(EAST, "A", "us-east-1")) == ("127.0.1.1",)
    assert answerer.resolve("elsewhere.test", "A", "us-east-1").code == "REFUSED"


def test_an_endpoint_without_an_address_of_the_type_is_resolved_to_its_cname_alone() -> None:
    answer = at_aws((cname("www", WEST),)).resolve("www.example.com", "AAAA", "us-east-1")

    assert [record.type for record in answer.records] == ["CNAME"]


def test_an_alias_of_a_cname_answers_with_it_under_its_own_name_and_ttl() -> None:
    behind = replace(cname("behind", EAST), ttl_seconds=20)
    above = replace(alias("www", "behind.example.com.", zone="Z"), type="CNAME")

    (record,) = ask((above, behind)).records

    assert record == Records("www.example.com.", "CNAME", 20, (EAST,))


# --- aliases ---------------------------------------------------------------------------------


def test_an_alias_to_an_endpoint_answers_its_addresses_for_sixty_seconds() -> None:
    answer = ask((alias("www", EAST),))
    assert [(r.name, r.type, r.ttl_seconds, r.values) for r in answer.records] == [
        ("www.example.com.", "A", 60, ("127.0.1.1",))
    ]
    assert answer.endpoint == EAST


@pytest.mark.parametrize(("target", "expected"), [(EAST, ("::1",)), (WEST, ())])
def test_an_aaaa_alias_answers_ipv6_addresses_where_there_are_any(
    target: str, expected: tuple[str, ...]
) -> None:
    answer = ask((replace(alias("www", target), type="AAAA"),), kind="AAAA")
    assert (answer.code, values(answer)) == ("NOERROR", expected)
    assert answer.authority[0].type == ("NS" if expected else "SOA")


def test_an_alias_to_an_unknown_endpoint_is_servfail_and_not_absence() -> None:
    answer = ask((alias("www", "d-gone.execute-api.us-east-1.amazonaws.com."),))
    assert answer.code == "SERVFAIL"
    assert "d-gone" in (answer.reason or "")


def test_an_alias_to_a_record_of_the_zone_answers_as_that_record_with_its_ttl() -> None:
    records = (alias("www", "other.example.com.", zone="Z"), a("other", "192.0.2.1"))
    answer = ask(records)
    assert [(r.name, r.ttl_seconds, r.values) for r in answer.records] == [
        ("www.example.com.", 300, ("192.0.2.1",))
    ]


def test_an_alias_is_followed_only_for_its_own_type() -> None:
    records = (alias("www", "other.example.com.", zone="Z"), a("other", "192.0.2.1"))
    answer = ask(records, kind="AAAA")
    assert (answer.code, answer.records) == ("NOERROR", ())


def test_a_wildcard_alias_to_the_apex_answers_like_the_apex() -> None:
    apex = RecordSet("example.com.", "A", ttl_seconds=7, values=("192.0.2.1",))
    assert values(ask((apex, alias("*", "example.com.", zone="Z")), "any.example.com")) == (
        "192.0.2.1",
    )


def test_aliases_in_a_circle_are_servfail() -> None:
    records = (
        alias("www", "other.example.com.", zone="Z"),
        alias("other", "www.example.com.", zone="Z"),
    )
    answer = ask(records)
    assert answer.code == "SERVFAIL"
    assert "circle" in (answer.reason or "")


# --- failover --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unhealthy", "expected"),
    [
        ("", "127.0.1.1"),
        ("hc-2", "127.0.1.1"),
        ("hc-1", "127.0.1.2"),
        ("hc-1 hc-2", "127.0.1.1"),
    ],
)
@pytest.mark.parametrize("secondary_first", [False, True])
def test_failover_prefers_the_primary_unless_only_the_secondary_is_healthy(
    unhealthy: str, expected: str, secondary_first: bool
) -> None:
    primary = alias(
        "www", EAST, evaluate=True, policy="failover", failover="PRIMARY", health_check_id="hc-1"
    )
    secondary = alias(
        "www", WEST, evaluate=True, policy="failover", failover="SECONDARY", health_check_id="hc-2"
    )
    group = (secondary, primary) if secondary_first else (primary, secondary)
    assert values(ask(group, unhealthy=unhealthy)) == (expected,)


def test_a_secondary_without_a_health_check_serves_while_the_primary_is_unhealthy() -> None:
    group = (
        a("www", "192.0.2.1", policy="failover", failover="PRIMARY", health_check_id="hc"),
        a("www", "192.0.2.2", policy="failover", failover="SECONDARY"),
    )
    assert values(ask(group, unhealthy="hc")) == ("192.0.2.2",)


@pytest.mark.parametrize(
    ("unhealthy", "expected"),
    [
        ("", {"192.0.2.1", "192.0.2.2"}),
        ("h1", {"192.0.2.2"}),
        ("h1 h2", {"192.0.2.3"}),
        ("h1 h2 h3", {"192.0.2.1", "192.0.2.2"}),
    ],
)
def test_failover_aliases_inherit_the_health_of_the_records_they_point_to(
    unhealthy: str, expected: set[str]
) -> None:
    # GIVEN two weighted primaries behind the primary alias and one secondary
    weighted: Policy = "weighted"
    records = (
        alias(
            "www", "p.example.com.", evaluate=True, zone="Z", policy="failover", failover="PRIMARY"
        ),
        alias(
            "www",
            "s.example.com.",
            evaluate=True,
            zone="Z",
            policy="failover",
            failover="SECONDARY",
        ),
        a("p", "192.0.2.1", policy=weighted, weight=1, health_check_id="h1"),
        a("p", "192.0.2.2", policy=weighted, weight=1, health_check_id="h2"),
        a("s", "192.0.2.3", health_check_id="h3"),
    )
    found = {values(ask(records, unhealthy=unhealthy, seed=seed))[0] for seed in range(40)}
    assert found == expected


# --- weighted --------------------------------------------------------------------------------


def weighted_group(weights: tuple[int, ...], checked: str) -> tuple[RecordSet, ...]:
    """Make records .1, .2, … of the given weights; `checked` marks who has a check with y."""
    return tuple(
        a(
            "www",
            f"192.0.2.{index}",
            policy="weighted",
            weight=weight,
            set_identifier=str(index),
            health_check_id=f"h{index}" if checked[index - 1] == "y" else None,
        )
        for index, weight in enumerate(weights, 1)
    )


@pytest.mark.parametrize(
    ("weights", "checked", "unhealthy", "served"),
    [
        ((1, 1, 0), "yyy", "h1 h2", "3"),
        ((1, 1, 0), "yyy", "h1 h2 h3", "12"),
        ((1, 1, 0), "yyy", "h1 h3", "2"),
        ((1, 1, 0), "yyy", "h3", "12"),
        ((1, 1, 0), "yyy", "", "12"),
        ((1, 1, 0), "yyn", "", "12"),
        ((1, 1, 0), "yyn", "h1 h2", "3"),
        ((1, 1, 0), "yyn", "h1", "2"),
        ((0, 0, 0), "nnn", "", "123"),
        ((0, 0, 0), "yyy", "h1", "23"),
        ((0, 0, 0), "yyy", "h1 h2 h3", "123"),
        ((5, 1, 3), "ynn", "h1", "23"),
    ],
)
def test_weights_and_health_decide_who_is_served(
    weights: tuple[int, ...], checked: str, unhealthy: str, served: str
) -> None:
    group = weighted_group(weights, checked)
    found = {
        values(ask(group, unhealthy=unhealthy, seed=seed))[0].rpartition(".")[2]
        for seed in range(60)
    }
    assert found == set(served)


@pytest.mark.parametrize(
    ("unhealthy", "share_of_first"), [("", 10 / 50), ("h3", 10 / 30), ("h2 h3", 1.0)]
)
def test_answers_are_distributed_by_weight_among_the_healthy(
    unhealthy: str, share_of_first: float
) -> None:
    zone = Zone("Z", "example.com.", APEX + weighted_group((10, 20, 20), "yyy"))
    down = set(unhealthy.split())
    world = Answerer([zone], lambda check: check not in down, ENDPOINTS.get, random.Random(7))
    count = Counter(values(world.answer("www.example.com", "A", "x"))[0] for _ in range(6000))
    assert count["192.0.2.1"] / 6000 == pytest.approx(share_of_first, abs=0.02)


# --- latency ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("client", "unhealthy", "expected"),
    [
        ("us-east-2", "", "us-east-1"),
        ("eu-central-1", "", "eu-west-1"),
        ("ap-northeast-1", "", "ap-southeast-1"),
        ("eu-west-1", "eu-west-1", "us-east-1"),
        ("ap-southeast-2", "ap-southeast-1 eu-west-1", "us-east-1"),
        ("eu-west-2", "us-east-1 eu-west-1 ap-southeast-1", "eu-west-1"),
        ("mars-north-1", "", "ap-southeast-1"),
    ],
)
def test_latency_records_answer_with_the_nearest_healthy_region(
    client: str, unhealthy: str, expected: str
) -> None:
    group = tuple(
        a("www", region, policy="latency", region=region, health_check_id=region)
        for region in ("us-east-1", "eu-west-1", "ap-southeast-1")
    )
    assert values(ask(group, unhealthy=unhealthy, region=client)) == (expected,)


def test_a_region_is_nearest_to_itself() -> None:
    assert nearest_first("eu-west-1", ["us-east-1", "eu-west-1", "eu-west-2"])[0] == "eu-west-1"


def tree(evaluate: bool) -> tuple[RecordSet, ...]:
    """Make the developer guide's tree: latency aliases over weighted records."""
    regions = {"us": "us-east-1", "ap": "ap-southeast-2"}
    tops = tuple(
        alias(
            "www",
            f"{name}.example.com.",
            evaluate=evaluate,
            zone="Z",
            policy="latency",
            region=region,
        )
        for name, region in regions.items()
    )
    leaves = tuple(
        a(name, f"{name}-{n}", policy="weighted", weight=1, health_check_id=f"{name}{n}")
        for name in regions
        for n in (1, 2)
    )
    return tops + leaves


@pytest.mark.parametrize(
    ("evaluate", "unhealthy", "expected"),
    [
        (True, "", {"us-1", "us-2"}),
        (True, "us1", {"us-2"}),
        (True, "us1 us2", {"ap-1", "ap-2"}),
        (True, "us1 us2 ap1", {"ap-2"}),
        (True, "us1 us2 ap1 ap2", {"us-1", "us-2"}),
        (False, "us1 us2", {"us-1", "us-2"}),
    ],
)
def test_a_branch_without_healthy_records_is_left_only_when_its_alias_evaluates_health(
    evaluate: bool, unhealthy: str, expected: set[str]
) -> None:
    found = {values(ask(tree(evaluate), unhealthy=unhealthy, seed=s))[0] for s in range(40)}
    assert found == expected


def test_a_health_check_on_an_alias_closes_its_whole_branch() -> None:
    records = tree(evaluate=True)
    checked = (replace(records[0], health_check_id="top"), *records[1:])
    assert values(ask(checked, unhealthy="top"))[0].startswith("ap-")


# --- multivalue, unsupported -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "down", "expected"), [(3, 0, 3), (3, 1, 2), (3, 3, 3), (12, 0, 8), (12, 12, 8)]
)
def test_multivalue_answers_up_to_eight_healthy_records(
    count: int, down: int, expected: int
) -> None:
    group = tuple(
        a(
            "www",
            f"192.0.2.{n}",
            policy="multivalue",
            set_identifier=str(n),
            health_check_id=f"h{n}",
        )
        for n in range(count)
    )
    answer = ask(group, unhealthy=" ".join(f"h{n}" for n in range(down)))
    assert len(values(answer)) == expected
    if down < count:
        assert not {f"192.0.2.{n}" for n in range(down)} & set(values(answer))


def test_an_unsupported_policy_is_servfail_with_the_reason() -> None:
    answer = ask((a("www", "192.0.2.1", policy="unsupported", set_identifier="geo"),))
    assert answer.code == "SERVFAIL"
    assert "geolocation" in (answer.reason or "")


# --- invariants ------------------------------------------------------------------------------


@st.composite
def groups(draw: st.DrawFn) -> tuple[RecordSet, ...]:
    """Draw a group of any policy, some members with health checks, some aliases."""
    policy: Policy = draw(
        st.sampled_from(["simple", "failover", "weighted", "latency", "multivalue"])
    )
    size = 1 if policy == "simple" else 2 if policy == "failover" else draw(st.integers(1, 4))
    regions = ("us-east-1", "eu-west-1", "ap-south-1", "sa-east-1")
    members: list[RecordSet] = []
    for index in range(size):
        fields: dict[str, Any] = {
            "policy": policy,
            "set_identifier": str(index),
            "failover": ("PRIMARY", "SECONDARY")[index] if policy == "failover" else None,
            "weight": draw(st.integers(0, 3)) if policy == "weighted" else None,
            "region": regions[index] if policy == "latency" else None,
            "health_check_id": draw(st.sampled_from([None, "h0", "h1", "h2"])),
        }
        kind = draw(st.sampled_from(["value", "endpoint", "record"]))
        if kind == "value" or policy == "multivalue":
            members.append(a("www", f"192.0.2.{index}", **fields))
        elif kind == "endpoint":
            members.append(alias("www", EAST, evaluate=draw(st.booleans()), **fields))
        else:
            target = "leaf.example.com."
            members.append(alias("www", target, evaluate=draw(st.booleans()), zone="Z", **fields))
    leaves = weighted_group((1, 0), "yy")
    return (*members, *(replace(leaf, name="leaf.example.com.") for leaf in leaves))


@given(groups(), st.sets(st.sampled_from(["h0", "h1", "h2"])), st.integers(0, 99))
def test_a_name_never_gets_an_empty_answer_because_of_health(
    records: tuple[RecordSet, ...], down: set[str], seed: int
) -> None:
    answer = ask(records, unhealthy=" ".join(down), seed=seed)
    assert answer.code == "NOERROR"
    assert values(answer)


@given(groups(), st.sets(st.sampled_from(["h0", "h1", "h2"])), st.integers(0, 99))
def test_an_unhealthy_record_is_chosen_only_when_every_record_is_unhealthy(
    records: tuple[RecordSet, ...], down: set[str], seed: int
) -> None:
    first = ask(records, unhealthy=" ".join(down), seed=seed).chosen[0]
    group = [record for record in records if record.name == first.name]

    def healthy(record: RecordSet) -> bool:
        if record.health_check_id in down:
            return False
        inherits = record.alias and record.alias.evaluate_target_health
        return not (inherits and record.alias.hosted_zone_id == "Z" and {"h1", "h2"} <= down)  # type: ignore[union-attr]

    if first.policy != "simple" and any(map(healthy, group)):
        assert healthy(first)
