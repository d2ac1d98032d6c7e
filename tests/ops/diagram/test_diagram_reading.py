"""The diagram shows what is in the JSON."""

import json
import re
from collections import Counter

import pytest
from cdktf import App
from repository_files import REPOSITORY
from synthesis import Synthesized, in_one_stack

import weather_api.stack
from ops.diagram.model import DRAWN, Flow, Kind
from ops.diagram.reading import read

pytestmark = pytest.mark.unit

EXAMPLE = REPOSITORY / "environments" / "example.toml"


def addresses(stack):
    """Addresses of everything that a stack declares."""
    return [
        f"{prefix}{type}.{logical_id}"
        for prefix, kind in (("", "resource"), ("data.", "data"))
        for type, declared in stack.get(kind, {}).items()
        for logical_id in declared
    ]


def nodes(model, kind, region=""):
    return [n for n in model.nodes if n.kind is kind and n.region == region]


def edges(model, flow):
    """Kind and Region of both ends of every edge of a flow."""
    by_id = {node.id: node for node in model.nodes}
    ends = [(by_id[e.tail], by_id[e.head]) for e in model.edges if e.flow is flow]
    return [((t.kind, t.region), (h.kind, h.region)) for t, h in ends]


def reached(model, node, flow):
    """Every node that edges of a flow reach."""
    found, waiting = [], [node]
    while waiting:
        ids = {e.head for e in model.edges if e.tail == waiting[0].id and e.flow is flow}
        waiting = [*waiting[1:], *(n for n in model.nodes if n.id in ids and n not in found)]
        found += [n for n in model.nodes if n.id in ids and n not in found]
    return found


def test_every_resource_of_a_drawn_type_is_in_one_node(stack, model):
    drawn = Counter(address for node in model.nodes for address in node.addresses)

    # The key of the records of drills serves nobody.
    expected = [a for a in addresses(stack) if a != "aws_kms_key.records_key"]
    assert drawn == Counter(a for a in expected if a.rpartition(".")[0] in DRAWN)


def test_node_ids_are_unique(model):
    assert max(Counter(node.id for node in model.nodes).values()) == 1


def test_every_node_but_alarms_is_connected(model):
    ends = {end for edge in model.edges for end in (edge.tail, edge.head)}

    assert {n.id for n in model.nodes if n.kind is not Kind.ALARMS} == ends


def test_records_that_say_which_region_is_answered_change_the_zone_only(stacks):
    manual, automatic = read(stacks["manual"]), read(stacks["failover"])

    (zone,) = nodes(manual, Kind.ZONE)
    assert "6 serving records" in zone.lines
    assert Counter(edges(manual, Flow.HEALTH)) == Counter(edges(automatic, Flow.HEALTH))
    assert Counter(edges(manual, Flow.REQUEST)) == Counter(edges(automatic, Flow.REQUEST))
    assert manual.regions == automatic.regions


@pytest.mark.parametrize(
    ("name", "regions"),
    [
        ("example", [("us-east-1", "primary"), ("us-west-2", "secondary")]),
        ("latency", [("eu-west-1", ""), ("us-west-1", ""), ("ap-southeast-2", "")]),
        ("weighted", [("eu-west-1", ""), ("us-west-1", ""), ("ap-southeast-2", "")]),
        (
            "failover",
            [("eu-west-1", "primary"), ("us-west-1", "secondary"), ("ap-southeast-2", "3rd")],
        ),
        ("orders", [("eu-central-1", ""), ("eu-west-1", ""), ("ap-southeast-2", "")]),
    ],
)
def test_regions_are_in_order_with_their_roles(stacks, name, regions):
    model = read(stacks[name])
    serving = {node.region for node in model.nodes if node.kind is Kind.API}

    assert [(r.name, r.role) for r in model.regions if r.name in serving] == regions


def test_a_region_with_alarms_only_is_shown(stacks):
    # GIVEN three Regions without us-east-1, where all metrics of Route 53 are
    model = read(stacks["latency"])

    assert [n.kind for n in model.nodes if n.region == "us-east-1"] == [Kind.ALARMS]
    assert model.regions[-1].name == "us-east-1"


def test_what_is_behind_the_secondary_record_is_reached_by_it_alone(stacks):
    model = read(stacks["failover"])
    (aliases,) = nodes(model, Kind.ALIASES)
    assert aliases.lines == ("weather.example.com", "A and AAAA, secondary")

    for role, region in (("primary", "us-west-1"), ("secondary", "ap-southeast-2")):
        (behind,) = [n for n in model.heads(aliases) if f"A and AAAA, {role}" in n.lines]
        assert "failover-2.weather.example.com" in behind.lines
        assert [h.region for h in model.heads(behind) if h.region] == [region]
    assert len(model.heads(aliases)) == 2


def test_cname_records_show_their_time_to_live_and_reach_the_same(stacks):
    model = read(stacks["cname"])
    (aliases,) = nodes(model, Kind.ALIASES)
    assert aliases.lines == ("weather.example.com", "CNAME, secondary")

    lines = [line for node in nodes(model, Kind.RECORDS) for line in node.lines if "CNAME" in line]
    assert sorted(lines) == [*2 * ["CNAME, 10 s, primary"], "CNAME, 10 s, secondary"]
    assert model.regions == read(stacks["failover"]).regions


def test_records_show_their_weight(stacks):
    lines = {line for n in nodes(read(stacks["weighted"]), Kind.RECORDS) for line in n.lines}

    assert "A and AAAA, weight 1" in lines


def test_requests_reach_the_table_of_each_region_and_never_cross(model):
    (customers,) = nodes(model, Kind.CUSTOMERS)
    reach = reached(model, customers, Flow.REQUEST)
    serving = {node.region for node in model.nodes if node.kind is Kind.API}

    for region in serving:
        path = [n.kind for n in reach if n.region == region]
        assert path == [Kind.DOMAINS, Kind.API, Kind.FUNCTIONS, Kind.TABLE]
    for tail, head in edges(model, Flow.REQUEST):
        assert tail[1] in ("", head[1])


def test_every_copy_of_the_table_replicates_with_it(model):
    tables = [n for n in model.nodes if n.kind is Kind.TABLE]
    (table,) = [n for n in tables if n.lines[1] == "table"]

    assert [(e.tail, e.head) for e in model.edges if e.flow is Flow.REPLICATION] == [
        (table.id, copy.id) for copy in tables if copy is not table
    ]


def test_the_records_of_a_region_have_its_own_health_check(stacks):
    model = read(stacks["orders"])
    for records in nodes(model, Kind.RECORDS):
        (domain,) = [n for n in reached(model, records, Flow.REQUEST) if n.kind is Kind.DOMAINS]
        (check, api) = reached(model, records, Flow.HEALTH)
        assert check.lines == ("health check", "GET /live/ping")
        assert (api.kind, api.region) == (Kind.API, domain.region)


def test_the_primary_serves_if_it_is_healthy_and_not_evacuated(example):
    (records,) = [r for r in nodes(example, Kind.RECORDS) if "primary" in r.lines[1]]
    checks = {
        (n.region, *n.lines): [h.region for h in reached(example, n, Flow.HEALTH)]
        for n in reached(example, records, Flow.HEALTH)
        if n.kind in (Kind.CALCULATED_CHECK, Kind.HEALTH_CHECK)
    }

    assert checks.pop(("", "calculated check", "2 of 2 healthy"))
    assert checks == {
        ("", "health check", "GET /v1/health"): ["us-east-1"],
        ("", "inverted check", "GET /v1/health/evacuations/us-east-1"): ["us-west-2"],
    }


@pytest.mark.parametrize(
    ("name", "called"),
    [("example", Kind.API), ("hardened", Kind.DOMAINS), ("latency", Kind.DOMAINS)],
)
def test_health_checks_point_to_what_they_call(stacks, name, called):
    ends = edges(read(stacks[name]), Flow.HEALTH)

    assert {head[0] for tail, head in ends if tail[0] is Kind.HEALTH_CHECK} == {called}


def test_what_protects_or_limits_a_region_is_in_it(stacks):
    guards = Counter(edges(read(stacks["hardened"]), Flow.USE))

    assert guards == {
        ((tail, region), (head, region)): 1
        for region in ("us-east-1", "us-west-2")
        for tail, head in (
            (Kind.CERTIFICATES, Kind.DOMAINS),
            (Kind.WEB_ACL, Kind.API),
            (Kind.PLANS, Kind.API),
            (Kind.KEY, Kind.TABLE),
        )
    }


@pytest.mark.parametrize(
    ("kind", "absent", "present"),
    [
        (Kind.WEB_ACL, "local", "example"),
        (Kind.KEY, "example", "hardened"),
        (Kind.ALARMS, "local", "example"),
        (Kind.PLANS, "orders", "example"),
        (Kind.CALCULATED_CHECK, "orders", "example"),
    ],
)
def test_what_is_disabled_is_not_shown(stacks, kind, absent, present):
    assert kind not in {n.kind for n in read(stacks[absent]).nodes}
    assert kind in {n.kind for n in read(stacks[present]).nodes}


def test_resources_are_counted(stacks):
    lines = {n.kind: n.lines for n in read(stacks["hardened"]).nodes if n.region == "us-west-2"}

    assert lines[Kind.FUNCTIONS] == ("9 functions",)
    assert lines[Kind.PLANS] == ("3 usage plans", "4 API keys")
    assert lines[Kind.CERTIFICATES] == ("2 certificates",)
    assert lines[Kind.DOMAINS] == (
        "weather.example.com", "us-west-2.weather.example.com", "custom domains",
    )  # fmt: skip


def renamed(stack):
    """The same stack, every resource named after its number."""
    names = {address: f"r{i}" for i, address in enumerate(addresses(stack))}

    def other(address):
        type, _, id = address[0].rpartition(".")
        return f"{type}.{names.get(address[0], id)}"

    text = json.dumps({k: v for k, v in stack.items() if k != "//"})
    new = json.loads(re.sub(r"\b(?:data\.)?aws_\w+\.[\w-]+", other, text))
    for prefix, kind in (("", "resource"), ("data.", "data")):
        new[kind] = {
            type: {names[f"{prefix}{type}.{id}"]: v for id, v in declared.items()}
            for type, declared in new[kind].items()
        }
    return new


def test_names_have_no_meaning(stack, model):
    other = read(renamed(stack))

    assert not {n.id for n in other.nodes} & {a for n in model.nodes for a in n.addresses}
    assert [(n.kind, n.region, n.lines) for n in other.nodes] == [
        (n.kind, n.region, n.lines) for n in model.nodes
    ]
    for flow in Flow:
        assert edges(other, flow) == edges(model, flow)


def test_functions_access_a_table_only_if_a_policy_allows_it(stacks):
    stack = stacks["example"]
    resources = {k: v for k, v in stack["resource"].items() if k != "aws_iam_role_policy"}

    ends = edges(read(stack | {"resource": resources}), Flow.REQUEST)

    assert not [tail for tail, head in ends if head[0] is Kind.TABLE]


def with_strong_consistency(folder, regions, witness=""):
    """The example, strongly consistent, with what else a zone can have."""
    text = EXAMPLE.read_text()
    for old, new in {
        '["us-east-1", "us-west-2"]': regions,
        'consistency = "eventual"': f'consistency = "strong"\n{witness}',
        "create_zone = false": "create_zone = true",
        "accelerated_recovery = false": "accelerated_recovery = true",
        "query_logging = false": "query_logging = true",
        "customer_managed_key = false": "customer_managed_key = true",
    }.items():
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "strong.toml").write_text(text)
    stack = weather_api.stack.build_stack(App(), in_one_stack(folder / "strong.toml"))
    return read(Synthesized(stack).json)


def test_replicas_that_are_blocks_of_the_table_are_in_their_regions(tmp_path):
    regions = ("eu-central-1", "eu-west-1", "eu-west-2")
    model = with_strong_consistency(tmp_path, json.dumps(regions))

    tables = {region: nodes(model, Kind.TABLE, region) for region in regions}
    assert [[node.lines[1:] for node in found] for found in tables.values()] == [
        [("table", "strongly consistent")],
        [("replica",)],
        [("replica",)],
    ]
    # Each Region's functions, keys and nothing else are connected to its own.
    assert {edge for edge in edges(model, Flow.REQUEST) if edge[1][0] is Kind.TABLE} == {
        ((Kind.FUNCTIONS, region), (Kind.TABLE, region)) for region in regions
    }
    assert {
        edge
        for edge in edges(model, Flow.USE)
        if edge[0][0] is Kind.TABLE or edge[1][0] is Kind.TABLE
    } == {((Kind.KEY, region), (Kind.TABLE, region)) for region in regions}
    assert {head for _, head in edges(model, Flow.REPLICATION)} == {
        (Kind.TABLE, region) for region in regions[1:]
    }


def test_a_witness_and_what_a_zone_has_are_named(tmp_path):
    model = with_strong_consistency(
        tmp_path, '["us-east-1", "us-west-2"]', 'witness_region = "us-east-2"'
    )

    (table,) = nodes(model, Kind.TABLE, "us-east-1")
    assert table.lines[1:] == ("table", "strongly consistent", "witness in us-east-2")
    assert [region.name for region in model.regions] == ["us-east-1", "us-west-2"]
    (zone,) = nodes(model, Kind.ZONE)
    assert zone.lines[-2:] == ("accelerated recovery", "query log in us-east-1")
