"""The edges of a picture: which references between resources it shows, and as what."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ops.diagram.model import (
    API,
    CERTIFICATE,
    DOMAIN,
    DRAWN,
    FUNCTION,
    HEALTH_CHECK,
    KEY,
    PLAN,
    RECORD,
    REPLICA,
    REPLICA_KEY,
    STAGE,
    TABLE,
    WEB_ACL,
    ZONES,
    Edge,
    Flow,
    Kind,
    Node,
)
from ops.diagram.resources import Resource, Resources


@dataclass(frozen=True)
class _End:
    """One end of an edge: what an argument leads to.

    Attributes:
        argument: Name of the argument.
        types: Types to find there.
    """

    argument: str
    types: tuple[str, ...]


_ITSELF = _End("", ())
_RULES = (
    # flow, type of the resources that tie two nodes, tail, head
    (Flow.REQUEST, RECORD, _End("zone_id", ZONES), _ITSELF),
    (Flow.REQUEST, RECORD, _ITSELF, _End("alias", (DOMAIN,))),
    (Flow.HEALTH, RECORD, _ITSELF, _End("health_check_id", (HEALTH_CHECK,))),
    (Flow.HEALTH, HEALTH_CHECK, _ITSELF, _End("child_healthchecks", (HEALTH_CHECK,))),
    (Flow.HEALTH, HEALTH_CHECK, _ITSELF, _End("fqdn", (API,))),
    (
        Flow.REQUEST,
        "aws_api_gateway_base_path_mapping",
        _End("domain_name", (DOMAIN,)),
        _End("api_id", (API, STAGE)),
    ),
    (
        Flow.REQUEST,
        "aws_api_gateway_integration",
        _End("rest_api_id", (API,)),
        _End("uri", (FUNCTION,)),
    ),
    (Flow.REPLICATION, REPLICA, _End("global_table_arn", (TABLE,)), _ITSELF),
    (Flow.USE, DOMAIN, _End("regional_certificate_arn", (CERTIFICATE,)), _ITSELF),
    (
        Flow.USE,
        "aws_wafv2_web_acl_association",
        _End("web_acl_arn", (WEB_ACL,)),
        _End("resource_arn", (STAGE,)),
    ),
    (Flow.USE, PLAN, _ITSELF, _End("api_stages", (STAGE,))),
    (Flow.USE, TABLE, _End("server_side_encryption", (KEY,)), _ITSELF),
    (Flow.USE, REPLICA, _End("kms_key_arn", (KEY, REPLICA_KEY)), _ITSELF),
)
_ROLE = "aws_iam_role"


def edges_of(resources: Resources, nodes: Sequence[Node]) -> tuple[Edge, ...]:
    """The edges between nodes.

    Args:
        resources: What the stack declares.
        nodes: The nodes that stand for it.

    Returns:
        Each edge once, in the same order for the same stack.
    """
    ids = {address: node.id for node in nodes for address in node.addresses}
    edges = (
        *_from_customers(nodes),
        *(Edge(flow, ids[tail], ids[head]) for flow, tail, head in _ties(resources)),
    )
    return tuple(dict.fromkeys(edge for edge in edges if edge.tail != edge.head))


def _from_customers(nodes: Sequence[Node]) -> Iterator[Edge]:
    for zone in nodes:
        if zone.kind is Kind.ZONE:
            yield Edge(Flow.REQUEST, Kind.CUSTOMERS.value, zone.id)


def _ties(resources: Resources) -> Iterator[tuple[Flow, str, str]]:
    """Flow, address of the tail and of the head."""
    for flow, type, tail, head in _RULES:
        for resource in resources.of(type):
            for tail_address in _addresses(resources, resource, tail):
                for head_address in _addresses(resources, resource, head):
                    yield flow, tail_address, head_address
    yield from _checks_of_names(resources)
    yield from _table_access(resources)


def _checks_of_names(resources: Resources) -> Iterator[tuple[Flow, str, str]]:
    """Health checks that call a custom domain by its name, which stands there as text."""
    for check in resources.of(HEALTH_CHECK):
        for domain in resources.of(DOMAIN):
            if check.arguments.get("fqdn") == domain.arguments["domain_name"]:
                yield Flow.HEALTH, check.address, domain.address


def _table_access(resources: Resources) -> Iterator[tuple[Flow, str, str]]:
    """Functions reach the tables and replicas that the policies of their roles name."""
    policies = resources.of("aws_iam_role_policy")
    for function in resources.of(FUNCTION):
        roles = resources.behind(function.arguments["role"], [_ROLE])
        for policy in policies:
            if resources.behind(policy.arguments["role"], [_ROLE]) == roles:
                for table in resources.behind(policy.arguments["policy"], [TABLE, REPLICA]):
                    yield Flow.REQUEST, function.address, table.address


def _addresses(resources: Resources, resource: Resource, end: _End) -> list[str]:
    if end is _ITSELF:
        return [resource.address]
    found = resources.behind(resource.arguments.get(end.argument), DRAWN)
    return [r.address for r in found if r.type in end.types]
