"""From the synthesized JSON of a stack to the content of its diagram.

Resources are identified by type, connected by the references between them, and belong to the Region
of their provider. No name is parsed.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any

from constructs_lib.outputs import failover_role
from ops.diagram.edges import edges_of, serving_records
from ops.diagram.model import ZONES, Kind, Model, Node, Region, Type
from ops.diagram.resources import Resource, Resources

_LOG_GROUP = "aws_cloudwatch_log_group"


def read(stack: Mapping[str, Any]) -> Model:
    """Read the content of a stack's diagram.

    Args:
        stack: The parsed JSON of the stack.

    Returns:
        The same for the same JSON.
    """
    resources = Resources(stack)
    nodes = (*_global_nodes(resources), *_regional_nodes(resources))
    used, roles = {node.region for node in nodes}, _roles(resources)
    return Model(
        regions=tuple(Region(r, roles.get(r, "")) for r in resources.regions if r in used),
        nodes=nodes,
        edges=edges_of(resources, nodes),
    )


def _global_nodes(resources: Resources) -> Iterator[Node]:
    yield Node(Kind.CUSTOMERS, (), ("customers",))
    serving = serving_records(resources)
    records = [r for r in resources.of(Type.RECORD) if r not in serving]
    routing = [r for r in records if "alias" in r.arguments or _policy(r)]
    for zone in resources.of(*ZONES):
        validations = [
            r for r in records
            if r not in routing and zone in resources.behind(r.arguments["zone_id"], ZONES)
        ]  # fmt: skip
        yield _global_node(
            Kind.ZONE,
            [zone, *validations, *serving],
            zone.arguments["name"],
            "hosted zone",
            *_count(validations, "validation record"),
            *_options(resources, zone),
            *_count(serving, "serving record"),
        )
    for group in _grouped(routing, lambda r: _target_regions(resources, r)):
        by_name = _grouped(group, lambda r: (r.arguments["name"], _policy(r)))
        lines = [line for named in by_name for line in _record_lines(named)]
        kind = Kind.RECORDS if _target_regions(resources, group[0]) else Kind.ALIASES
        yield _global_node(kind, group, *lines)
    for check in resources.of(Type.HEALTH_CHECK):
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

    for group in by_region(Type.DOMAIN):
        names = [domain.arguments["domain_name"] for domain in group]
        noun = "custom domains" if len(group) > 1 else "custom domain"
        yield _node(Kind.DOMAINS, group, *names, noun)
    for group in by_region(Type.CERTIFICATE):
        yield _node(Kind.CERTIFICATES, group, *_count(group, "certificate"))
    for api in resources.of(Type.API):
        stages = [
            stage for stage in resources.of(Type.STAGE)
            if api in resources.behind(stage.arguments["rest_api_id"], [Type.API])
        ]  # fmt: skip
        names = [f"stage {stage.arguments['stage_name']}" for stage in stages]
        yield _node(Kind.API, [api, *stages], "REST API", *names)
    for web_acl in resources.of(Type.WEB_ACL):
        yield _node(Kind.WEB_ACL, [web_acl], "web ACL")
    for group in by_region(Type.PLAN, Type.API_KEY):
        plans = [r for r in group if r.type == Type.PLAN]
        keys = [r for r in group if r.type == Type.API_KEY]
        yield _node(Kind.PLANS, group, *_count(plans, "usage plan"), *_count(keys, "API key"))
    for group in by_region(Type.FUNCTION):
        yield _node(Kind.FUNCTIONS, group, *_count(group, "function"))
    for table in resources.of(Type.TABLE):
        witness = table.arguments.get("global_table_witness", {}).get("region_name")
        yield _node(
            Kind.TABLE,
            [table],
            table.arguments["name"],
            "table",
            *(["strongly consistent"] if table.arguments.get("replica") else []),
            *([f"witness in {witness}"] if witness else []),
        )
    for replica in resources.of(Type.REPLICA):
        (table,) = resources.behind(replica.arguments["global_table_arn"], [Type.TABLE])
        yield _node(Kind.TABLE, [replica], table.arguments["name"], "replica")
    for group in by_region(Type.ALARM, Type.TOPIC):
        alarms = [r for r in group if r.type == Type.ALARM]
        topics = [r for r in group if r.type == Type.TOPIC]
        yield _node(Kind.ALARMS, group, *_count(alarms, "alarm"), *_count(topics, "SNS topic"))
    for key in resources.of(Type.KEY, Type.REPLICA_KEY):
        if key.arguments.get("key_usage") == "SIGN_VERIFY":
            # Of the records of drills: nothing that serves depends on it.
            continue
        lines = ("KMS key", "replica") if key.type == Type.REPLICA_KEY else ("KMS key",)
        yield _node(Kind.KEY, [key], *lines)


def _options(resources: Resources, zone: Resource) -> Iterator[str]:
    """What else a hosted zone has."""
    if zone.arguments.get("enable_accelerated_recovery"):
        yield "accelerated recovery"
    for log in resources.of("aws_route53_query_log"):
        if zone in resources.behind(log.arguments["zone_id"], ZONES):
            (group,) = resources.behind(log.arguments["cloudwatch_log_group_arn"], [_LOG_GROUP])
            yield f"query log in {group.region}"


def _roles(resources: Resources) -> dict[str, str]:
    """`{region: role}` in the order of failover, which follows aliases; empty without failover."""
    by_name: dict[str, dict[str, Resource]] = {}
    serving = serving_records(resources)
    for record in resources.of(Type.RECORD):
        if "failover_routing_policy" in record.arguments and record not in serving:
            by_name.setdefault(record.arguments["name"], {})[_policy(record)] = record
    targets = {_alias_of(r) for pair in by_name.values() for r in pair.values()}
    order: list[str] = []
    names = [name for name in by_name if name not in targets]
    for name in names:
        for policy in ("primary", "secondary"):
            record = by_name[name][policy]
            order += _target_regions(resources, record)
            if (behind := _alias_of(record)) in by_name:
                names.append(behind)
    return {region: failover_role(place) for place, region in enumerate(dict.fromkeys(order))}


def _target_regions(resources: Resources, record: Resource) -> tuple[str, ...]:
    return tuple(r.region for r in resources.behind(_target(record), [Type.DOMAIN]))


def _target(record: Resource) -> Any:
    return record.arguments.get("alias") or record.arguments["records"]


def _alias_of(record: Resource) -> str:
    """The name that it is an alias of; empty for a CNAME record."""
    return str(record.arguments.get("alias", {}).get("name", ""))


def _policy(record: Resource) -> str:
    if policy := record.arguments.get("failover_routing_policy"):
        return str(policy["type"].lower())
    if policy := record.arguments.get("weighted_routing_policy"):
        return f"weight {policy['weight']}"
    return "latency" if "latency_routing_policy" in record.arguments else ""


def _record_lines(records: Sequence[Resource]) -> tuple[str, str]:
    types = " and ".join(record.arguments["type"] for record in records)
    policy = _policy(records[0])
    ttls = {f"{r.arguments['ttl']} s" for r in records if "ttl" in r.arguments}
    return records[0].arguments["name"], ", ".join(filter(None, (types, *ttls, policy)))


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
