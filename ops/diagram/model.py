"""The content of a diagram: nodes in their Regions, and the edges between them."""

from dataclasses import dataclass
from enum import Enum, StrEnum


class Type(StrEnum):
    """Types of the resources that are in the diagram, each resource once."""

    ZONE = "aws_route53_zone"
    ZONE_DATA = "data.aws_route53_zone"
    RECORD = "aws_route53_record"
    HEALTH_CHECK = "aws_route53_health_check"
    DOMAIN = "aws_api_gateway_domain_name"
    CERTIFICATE = "aws_acm_certificate"
    API = "aws_api_gateway_rest_api"
    STAGE = "aws_api_gateway_stage"
    WEB_ACL = "aws_wafv2_web_acl"
    PLAN = "aws_api_gateway_usage_plan"
    API_KEY = "aws_api_gateway_api_key"
    FUNCTION = "aws_lambda_function"
    TABLE = "aws_dynamodb_table"
    REPLICA = "aws_dynamodb_table_replica"
    KEY = "aws_kms_key"
    REPLICA_KEY = "aws_kms_replica_key"
    ALARM = "aws_cloudwatch_metric_alarm"
    TOPIC = "aws_sns_topic"


ZONES = (Type.ZONE, Type.ZONE_DATA)
DRAWN = frozenset(Type)


class Kind(Enum):
    """Kind of a node."""

    CUSTOMERS = "customers"
    ZONE = "hosted zone"
    ALIASES = "records that are aliases of names in the zone"
    RECORDS = "records that route to one Region"
    CALCULATED_CHECK = "calculated health check"
    HEALTH_CHECK = "health check"
    CERTIFICATES = "certificates of one Region"
    DOMAINS = "custom domains of one Region"
    WEB_ACL = "web ACL"
    API = "REST API and its stage"
    PLANS = "usage plans and API keys of one Region"
    FUNCTIONS = "functions of one Region"
    TABLE = "table or replica"
    KEY = "KMS key"
    ALARMS = "alarms of one Region, and the topic that they notify"


class Flow(Enum):
    """Meaning of an edge."""

    REQUEST = "requests go from tail to head"
    HEALTH = "the tail is healthy if the head is"
    REPLICATION = "both ends hold the same"
    USE = "the head uses the tail"


@dataclass(frozen=True)
class Node:
    """An icon and the text below it.

    Attributes:
        kind: What it is.
        addresses: The resources that it represents.
        lines: The text, the most important line first.
        region: The Region that it is in; empty if it is global.
    """

    kind: Kind
    addresses: tuple[str, ...]
    lines: tuple[str, ...]
    region: str = ""

    @property
    def id(self) -> str:
        """Its unique id."""
        return self.addresses[0] if self.addresses else self.kind.value


@dataclass(frozen=True)
class Edge:
    """A line between two nodes.

    Attributes:
        flow: What it means.
        tail: Id of the node that it begins at.
        head: Id of the node that it ends at.
    """

    flow: Flow
    tail: str
    head: str


@dataclass(frozen=True)
class Region:
    """A box.

    Attributes:
        name: Name of the Region.
        role: "primary", "secondary", "3rd" and so on; empty where every Region serves.
    """

    name: str
    role: str


@dataclass(frozen=True)
class Model:
    """The diagram of one stack, without layout.

    Attributes:
        regions: The Regions in order.
        nodes: The nodes, Region by Region.
        edges: The edges.
    """

    regions: tuple[Region, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def heads(self, node: Node) -> list[Node]:
        """List the nodes that edges from a node end at.

        Args:
            node: The node.
        """
        ids = {edge.head for edge in self.edges if edge.tail == node.id}
        return [n for n in self.nodes if n.id in ids]

    def tails(self, node: Node) -> list[Node]:
        """List the nodes that edges to a node begin at.

        Args:
            node: The node.
        """
        ids = {edge.tail for edge in self.edges if edge.head == node.id}
        return [n for n in self.nodes if n.id in ids]
