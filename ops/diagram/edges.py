"""The edges of a diagram: which references between resources it shows, and as what."""

from collections.abc import Iterator, Sequence

from ops.diagram.model import DRAWN, ZONES, Edge, Flow, Kind, Node, Type
from ops.diagram.resources import Resource, Resources

_ASSOCIATION = "aws_wafv2_web_acl_association"
_MAPPING = "aws_api_gateway_base_path_mapping"
_PERMISSION = "aws_lambda_permission"
_ROLE = "aws_iam_role"
_TABLES = (Type.TABLE, Type.REPLICA)
_End = tuple[str, ...]
"""One end of an edge: an argument and the types to find behind it."""
_ITSELF: _End = ()
_RULES: tuple[tuple[Flow, str, _End, _End], ...] = (
    # flow, type of the resources that connect two nodes, tail, head
    (Flow.REQUEST, Type.RECORD, _ITSELF, ("alias", Type.DOMAIN)),
    (Flow.REQUEST, Type.RECORD, _ITSELF, ("records", Type.DOMAIN)),
    (Flow.HEALTH, Type.RECORD, _ITSELF, ("health_check_id", Type.HEALTH_CHECK)),
    (Flow.HEALTH, Type.HEALTH_CHECK, _ITSELF, ("child_healthchecks", Type.HEALTH_CHECK)),
    (Flow.HEALTH, Type.HEALTH_CHECK, _ITSELF, ("fqdn", Type.API)),
    (Flow.REQUEST, _MAPPING, ("domain_name", Type.DOMAIN), ("api_id", Type.API, Type.STAGE)),
    (Flow.REQUEST, _PERMISSION, ("source_arn", Type.API), ("function_name", Type.FUNCTION)),
    (Flow.REPLICATION, Type.REPLICA, ("global_table_arn", Type.TABLE), _ITSELF),
    (Flow.USE, Type.DOMAIN, ("regional_certificate_arn", Type.CERTIFICATE), _ITSELF),
    (Flow.USE, _ASSOCIATION, ("web_acl_arn", Type.WEB_ACL), ("resource_arn", Type.STAGE)),
    (Flow.USE, Type.PLAN, _ITSELF, ("api_stages", Type.STAGE)),
    (Flow.USE, Type.TABLE, ("server_side_encryption", Type.KEY), _ITSELF),
    (Flow.USE, Type.REPLICA, ("kms_key_arn", Type.KEY, Type.REPLICA_KEY), _ITSELF),
)


def edges_of(resources: Resources, nodes: Sequence[Node]) -> tuple[Edge, ...]:
    """Find the edges between nodes.

    Args:
        resources: What the stack declares.
        nodes: The nodes that represent it.

    Returns:
        Each edge once, in the same order for the same stack.
    """
    ids = {address: node.id for node in nodes for address in node.addresses}
    edges = (
        *_from_customers(nodes),
        *(Edge(flow, ids[tail], ids[head]) for flow, tail, head in _references(resources)),
    )
    return tuple(dict.fromkeys(edge for edge in edges if edge.tail != edge.head))


def _from_customers(nodes: Sequence[Node]) -> Iterator[Edge]:
    for zone in nodes:
        if zone.kind is Kind.ZONE:
            yield Edge(Flow.REQUEST, Kind.CUSTOMERS.value, zone.id)


def _references(resources: Resources) -> Iterator[tuple[Flow, str, str]]:
    """Flow, address of the tail and of the head."""
    yield from _answers(resources)
    serving = serving_records(resources)
    for flow, type, tail, head in _RULES:
        for resource in resources.of(type):
            if resource in serving:
                continue
            for tail_address in _addresses(resources, resource, tail):
                for head_address in _addresses(resources, resource, head):
                    yield flow, tail_address, head_address
    yield from _checks_of_names(resources)
    yield from _table_access(resources)


def _answers(resources: Resources) -> Iterator[tuple[Flow, str, str]]:
    """A zone answers with its records; with those of a name that is an alias's, by the alias."""
    records = resources.of(Type.RECORD)
    names = {r.address: r.arguments.get("alias", {}).get("name", "") for r in records}
    for record in records:
        if record.arguments["name"] not in names.values():
            for zone in resources.behind(record.arguments["zone_id"], ZONES):
                yield Flow.REQUEST, zone.address, record.address
    for alias, name in names.items():
        for record in records:
            if name == record.arguments["name"]:
                yield Flow.REQUEST, alias, record.address


def serving_records(resources: Resources) -> list[Resource]:
    """The records that say which Region is answered, with manual failback; they route nobody.

    Args:
        resources: The resources of a stack.
    """
    by_policy = [r for r in resources.of(Type.RECORD) if "failover_routing_policy" in r.arguments]
    addresses = [r for r in by_policy if r.arguments["type"] == "A" and "alias" not in r.arguments]
    names = {r.arguments["name"] for r in addresses}
    before: set[str] = set()
    while names != before:
        before = set(names)
        aliases = [r for r in by_policy if r.arguments.get("alias", {}).get("name") in names]
        names |= {r.arguments["name"] for r in aliases}
    return [r for r in by_policy if r.arguments["name"] in names]


def _checks_of_names(resources: Resources) -> Iterator[tuple[Flow, str, str]]:
    """Health checks that call a custom domain by its name, which is plain text."""
    for check in resources.of(Type.HEALTH_CHECK):
        for domain in resources.of(Type.DOMAIN):
            if check.arguments.get("fqdn") == domain.arguments["domain_name"]:
                yield Flow.HEALTH, check.address, domain.address


def _table_access(resources: Resources) -> Iterator[tuple[Flow, str, str]]:
    """Functions access the tables and replicas that the policies of their roles name."""
    policies = resources.of("aws_iam_role_policy")
    for function in resources.of(Type.FUNCTION):
        roles = resources.behind(function.arguments["role"], [_ROLE])
        for policy in policies:
            if resources.behind(policy.arguments["role"], [_ROLE]) == roles:
                for table in resources.behind(policy.arguments["policy"], _TABLES):
                    # A replica that is a block of the table has no address to refer to.
                    here = resources.in_region(table, function.region)
                    yield Flow.REQUEST, function.address, here.address


def _addresses(resources: Resources, resource: Resource, end: _End) -> list[str]:
    if end == _ITSELF:
        return [resource.address]
    argument, *types = end
    found = resources.behind(resource.arguments.get(argument), DRAWN)
    return [r.address for r in found if r.type in types]
