"""From the synthesized JSON of a stack to what its picture shows.

Resources are told apart by type, tied together by the references between them, and stand in the
Region of their provider. No name is taken apart.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

from ops.diagram.edges import edges_of
from ops.diagram.model import (
    ALARM,
    API,
    API_KEY,
    CERTIFICATE,
    DOMAIN,
    FUNCTION,
    HEALTH_CHECK,
    KEY,
    PLAN,
    RECORD,
    REPLICA,
    REPLICA_KEY,
    STAGE,
    TABLE,
    TOPIC,
    WEB_ACL,
    ZONES,
    Kind,
    Model,
    Node,
    Region,
)
from ops.diagram.resources import Resource, Resources


def read(stack: Mapping[str, Any]) -> Model:
    """What the picture of a stack shows.

    Args:
        stack: The parsed JSON of the stack.

    Returns:
        The same for the same JSON.
    """
    resources = Resources(stack)
    nodes = (*_global_nodes(resources), *_regional_nodes(resources))
    used = {node.region for node in nodes}
    return Model(
        regions=tuple(Region(r, _role(resources, r)) for r in resources.regions if r in used),
        nodes=nodes,
        edges=edges_of(resources, nodes),
    )


def _global_nodes(resources: Resources) -> Iterator[Node]:
    yield Node(Kind.CUSTOMERS, (), ("customers",))
    records = resources.of(RECORD)
    aliases = [r for r in records if "alias" in r.arguments]
    for zone in resources.of(*ZONES):
        validations = [
            r for r in records
            if r not in aliases and zone in resources.behind(r.arguments["zone_id"], ZONES)
        ]  # fmt: skip
        yield _global_node(
            Kind.ZONE,
            [zone, *validations],
            zone.arguments["name"],
            "hosted zone",
            *_count(validations, "validation record"),
        )
    for group in _grouped(aliases, lambda r: _target_regions(resources, r)):
        by_name = _grouped(group, lambda r: (r.arguments["name"], _policy(r)))
        lines = [line for named in by_name for line in _record_lines(named)]
        yield _global_node(Kind.RECORDS, group, *lines)
    for check in resources.of(HEALTH_CHECK):
        given = check.arguments
        if children := given.get("child_healthchecks"):
            healthy = f"{given['child_health_threshold']} of {len(children)} healthy"
            yield _global_node(Kind.CALCULATED_CHECK, [check], "calculated check", healthy)
        else:
            name = "inverted check" if given.get("invert_healthcheck") else "health check"
            path = given.get("resource_path")
            yield _global_node(
                Kind.HEALTH_CHECK, [check], name, f"GET {path}" if path else given["type"]
            )


def _regional_nodes(resources: Resources) -> Iterator[Node]:
    def by_region(*types: str) -> list[list[Resource]]:
        return _grouped(resources.of(*types), lambda r: r.region)

    for group in by_region(DOMAIN):
        names = [domain.arguments["domain_name"] for domain in group]
        noun = "custom domains" if len(group) > 1 else "custom domain"
        yield _node(Kind.DOMAINS, group, *names, noun)
    for group in by_region(CERTIFICATE):
        yield _node(Kind.CERTIFICATES, group, *_count(group, "certificate"))
    for api in resources.of(API):
        stages = [
            stage for stage in resources.of(STAGE)
            if api in resources.behind(stage.arguments["rest_api_id"], [API])
        ]  # fmt: skip
        names = [f"stage {stage.arguments['stage_name']}" for stage in stages]
        yield _node(Kind.API, [api, *stages], "REST API", *names)
    for web_acl in resources.of(WEB_ACL):
        yield _node(Kind.WEB_ACL, [web_acl], "web ACL")
    for group in by_region(PLAN, API_KEY):
        plans = [r for r in group if r.type == PLAN]
        keys = [r for r in group if r.type == API_KEY]
        yield _node(Kind.PLANS, group, *_count(plans, "usage plan"), *_count(keys, "API key"))
    for group in by_region(FUNCTION):
        yield _node(Kind.FUNCTIONS, group, *_count(group, "function"))
    for table in resources.of(TABLE):
        yield _node(Kind.TABLE, [table], table.arguments["name"], "table")
    for replica in resources.of(REPLICA):
        (table,) = resources.behind(replica.arguments["global_table_arn"], [TABLE])
        yield _node(Kind.TABLE, [replica], table.arguments["name"], "replica")
    for group in by_region(ALARM, TOPIC):
        alarms = [r for r in group if r.type == ALARM]
        topics = [r for r in group if r.type == TOPIC]
        yield _node(Kind.ALARMS, group, *_count(alarms, "alarm"), *_count(topics, "SNS topic"))
    for key in resources.of(KEY, REPLICA_KEY):
        yield _node(Kind.KEY, [key], "KMS key", *(["replica"] if key.type == REPLICA_KEY else []))


def _role(resources: Resources, region: str) -> str:
    policies = {
        _policy(record)
        for record in resources.of(RECORD)
        if "failover_routing_policy" in record.arguments
        and region in _target_regions(resources, record)
    }
    return " and ".join(sorted(policies))


def _target_regions(resources: Resources, record: Resource) -> tuple[str, ...]:
    return tuple(r.region for r in resources.behind(record.arguments["alias"], [DOMAIN]))


def _policy(record: Resource) -> str:
    if policy := record.arguments.get("failover_routing_policy"):
        return str(policy["type"].lower())
    return "latency" if "latency_routing_policy" in record.arguments else ""


def _record_lines(records: Sequence[Resource]) -> tuple[str, str]:
    types = " and ".join(record.arguments["type"] for record in records)
    policy = _policy(records[0])
    return records[0].arguments["name"], f"{types}, {policy}" if policy else types


def _count(resources: Sequence[Resource], noun: str) -> tuple[str, ...]:
    """A line such as "2 API keys"; none without any."""
    if not resources:
        return ()
    return (f"{len(resources)} {noun}{'s' if len(resources) > 1 else ''}",)


def _grouped(
    resources: Sequence[Resource], key: Callable[[Resource], Hashable]
) -> list[list[Resource]]:
    groups: dict[Hashable, list[Resource]] = {}
    for resource in resources:
        groups.setdefault(key(resource), []).append(resource)
    return list(groups.values())


def _node(kind: Kind, resources: Sequence[Resource], *lines: str) -> Node:
    return Node(kind, tuple(r.address for r in resources), lines, resources[0].region)


def _global_node(kind: Kind, resources: Sequence[Resource], *lines: str) -> Node:
    return Node(kind, tuple(r.address for r in resources), lines)
