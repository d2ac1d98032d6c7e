"""The outputs of a stack, typed: written by `FailoverApiStack`, read by the operator's tool.

Plain values only, so that this module can be imported where neither cdktf nor a provider is
installed.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, cast

from constructs_lib.route53.routing_records import ALIAS_TTL_SECONDS

RoutingPolicy = Literal["failover", "latency", "weighted"]


class OutputsError(ValueError):
    """Outputs that are missing or of another form; the message names them."""


def failover_role(place: int) -> str:
    """What a Region is called with failover routing.

    Args:
        place: Its place in the order of the Regions, from 0.

    Returns:
        `primary`, `secondary`, `3rd`, `4th` and so on.
    """
    if place < 2:
        return ("primary", "secondary")[place]
    tens, ones = divmod(place + 1, 10)
    return f"{place + 1}{'th' if tens == 1 else _ENDINGS.get(ones, 'th')}"


_ENDINGS = {1: "st", 2: "nd", 3: "rd"}


@dataclass(frozen=True)
class EvacuationOutput:
    """How a Region is taken out of service.

    Attributes:
        path: URL path that returns 200 in another Region while a Region is evacuated, with the
            stage, and with `{region}` where that Region's name belongs.
        item: Primary key of the item that evacuates a Region, `{attribute: text}`, with `{region}`
            in one of the texts.
        health_check_ids: The Route 53 health checks that call the path, by Region that they are
            about, then by Region that they ask.
    """

    path: str
    item: Mapping[str, str]
    health_check_ids: Mapping[str, Mapping[str, str]]

    def path_of(self, region: str) -> str:
        """The path that is about a Region.

        Args:
            region: The Region.
        """
        return self.path.format(region=region)

    def key_of(self, region: str) -> dict[str, str]:
        """Primary key of the item that evacuates a Region.

        Args:
            region: The Region.
        """
        return {name: text.format(region=region) for name, text in self.item.items()}

    @property
    def all_health_check_ids(self) -> dict[tuple[str, str], str]:
        """`{(region, observer): id}` of the health checks."""
        return {
            (region, observer): id
            for region, ids in self.health_check_ids.items()
            for observer, id in ids.items()
        }


@dataclass(frozen=True)
class FailbackOutput:
    """How a Region that failed over is kept out of service until it is restored.

    Attributes:
        names: The names whose A records say which Region is answered: the one to ask first, then
            those that its records are aliases of, in order.
        addresses: What names each Region there, `{region: address}`.
        none_healthy: The address that says that no Region is healthy.
        ttl_seconds: Time to live of these records.
        mark: Primary key of the item that notes that a Region serves, `{attribute: text}`, with
            `{region}` in one of the texts.
    """

    names: tuple[str, ...]
    addresses: Mapping[str, str]
    none_healthy: str
    ttl_seconds: int
    mark: Mapping[str, str]

    def mark_of(self, region: str) -> dict[str, str]:
        """Primary key of the item that notes that a Region serves.

        Args:
            region: The Region.
        """
        return {name: text.format(region=region) for name, text in self.mark.items()}


@dataclass(frozen=True)
class FencingOutput:
    """How an evacuated Region refuses writes.

    Attributes:
        after_seconds: How long after the evacuation DNS routes nobody there any more.
    """

    after_seconds: int


@dataclass(frozen=True)
class CustomerOutput:
    """A customer.

    Attributes:
        name: Name of the customer.
        plan: Name of the plan.
        keys: Names of the API keys, the oldest first.
    """

    name: str
    plan: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class ObjectivesOutput:
    """What a failover must keep, and which drills must prove it.

    Attributes:
        rto_seconds: Recovery time objective; None for none.
        rpo_seconds: Recovery point objective; None for none.
        proofs: Faults of which a drill must have passed, each with the Regions that are lost after
            a colon, if it names any; empty for every one that can be injected.
        proof_days: Days after which a drill no longer counts.
    """

    rto_seconds: float | None = None
    rpo_seconds: float | None = None
    proofs: tuple[str, ...] = ()
    proof_days: int = 90


@dataclass(frozen=True)
class StateOutput:
    """Where the Terraform state is in Amazon S3; releases and records of drills are beside it.

    Attributes:
        bucket: Name of the bucket.
        key: Key of the state in the environment file.
        region: Region of the bucket.
    """

    bucket: str
    key: str
    region: str


def _output(description: str, *, optional: bool = False) -> Any:
    metadata = {"description": description}
    return field(default=None, metadata=metadata) if optional else field(metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """Everything that a stack outputs; mappings are keyed by Region unless said otherwise."""

    environment: str = _output("Name of the environment")
    regions: tuple[str, ...] = _output("Regions in order, the primary first")
    api_url: str = _output("URL that customers call")
    record_name: str = _output("Name that customers resolve")
    routing_policy: RoutingPolicy = _output("How DNS chooses a Region")
    weights: Mapping[str, int] | None = _output(
        "With weighted routing, the weight of the records by Region", optional=True
    )
    failover_names: tuple[str, ...] | None = _output(
        "With failover routing and more than two Regions, the names that secondary records are "
        "aliases of, in order",
        optional=True,
    )
    ttl_seconds: int | None = _output(
        "Time to live of the CNAME records that answer the name; none with alias records",
        optional=True,
    )
    health_path: str = _output("Path that health checks call")
    primary_api_endpoint: str = _output("URL in the primary Region alone")
    secondary_api_endpoint: str = _output("URL in the secondary Region alone")
    region_urls: Mapping[str, str] = _output("URL by Region")
    api_ids: Mapping[str, str] = _output("API Gateway id by Region")
    domain_targets: Mapping[str, str] = _output("Host name behind the domain by Region")
    certificate_arns: Mapping[str, str] = _output("Certificate of the domain by Region")
    health_functions: Mapping[str, str] = _output("Function that health checks call, by Region")
    customers: tuple[CustomerOutput, ...] = _output(
        "Customers in order, with plan and names of their keys"
    )
    api_key_ids: Mapping[str, Mapping[str, str]] = _output("API keys by name, then Region")
    publisher_policy_arn: str | None = _output(
        "Policy for the role of a publisher: it allows the signed operations", optional=True
    )
    table_name: str = _output("Table in every Region")
    table_arns: Mapping[str, str] = _output("ARN of the table by Region")
    consistency: Literal["strong"] | None = _output(
        "With a strongly consistent table, `strong`", optional=True
    )
    witness_region: str | None = _output(
        "With a strongly consistent table of two Regions, the Region of its witness", optional=True
    )
    zone_name: str = _output("Name of the hosted zone")
    zone_id: str = _output("Id of the hosted zone")
    name_servers: tuple[str, ...] = _output("Name servers to delegate the zone to")
    accelerated_recovery: bool | None = _output(
        "With a zone that has accelerated recovery, true", optional=True
    )
    query_log_group_arn: str | None = _output(
        "With query logging, ARN of the log group of the zone's queries", optional=True
    )
    health_check_ids: Mapping[str, str] = _output("Health check of the records, by Region")
    endpoint_health_check_ids: Mapping[str, str] = _output(
        "Health check that calls the Region, by Region"
    )
    evacuation: EvacuationOutput | None = _output(
        "How a Region is evacuated: by an item in the other Regions' replicas", optional=True
    )
    failback: FailbackOutput | None = _output(
        "With manual failback, how a Region that failed over stays out of service", optional=True
    )
    fencing: FencingOutput | None = _output(
        "With fenced writes, how an evacuated Region refuses writes", optional=True
    )

    experiment_template_ids: Mapping[str, Mapping[str, str]] | None = _output(
        "With AWS Fault Injection Service, experiment templates by fault of a drill, then Region",
        optional=True,
    )
    objectives: ObjectivesOutput | None = _output(
        "With objectives, RTO and RPO, and the drills that must prove them", optional=True
    )
    records_key_arn: str | None = _output(
        "With signed records of drills, ARN of the KMS key that signs them", optional=True
    )
    state: StateOutput | None = _output(
        "With a state in S3, where it is: releases and records of drills are beside it",
        optional=True,
    )

    @property
    def primary(self) -> str:
        """The Region that serves while it is healthy."""
        return self.regions[0]

    @property
    def secondary(self) -> str:
        """The Region that takes over."""
        return self.regions[1]

    @property
    def routed_names(self) -> tuple[str, ...]:
        """The names with records that route: the one that customers resolve, then those behind."""
        return (self.record_name, *(self.failover_names or ()))

    @property
    def record_types(self) -> tuple[str, ...]:
        """Types of the records that route."""
        return ("A", "AAAA") if self.ttl_seconds is None else ("CNAME",)

    @property
    def answer_ttl_seconds(self) -> int:
        """Time to live of the answer that names a Region."""
        return ALIAS_TTL_SECONDS if self.ttl_seconds is None else self.ttl_seconds

    @property
    def roles(self) -> Mapping[str, str]:
        """`{region: role}`, such as `primary`; empty where DNS does not order the Regions."""
        if self.routing_policy != "failover":
            return {}
        return {region: failover_role(place) for place, region in enumerate(self.regions)}

    @property
    def account_id(self) -> str:
        """The AWS account, as the ARN of the table names it."""
        return self.table_arns[self.secondary].split(":")[4]

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Outputs":
        """Read what `terraform output -json` or `to_json` gave.

        Args:
            values: `{name: value}`; names that this version does not know are left out.

        Raises:
            OutputsError: One that is required is missing, or one has another form.
        """
        known: dict[str, Any] = {each.name: values.get(each.name) for each in fields(cls)}
        optional = {each.name for each in fields(cls) if each.default is None}
        if missing := [
            name for name, value in known.items() if value is None and name not in optional
        ]:
            raise OutputsError(f"missing outputs: {', '.join(missing)}")
        try:
            evacuation, failback = known["evacuation"], known["failback"]
            fencing = known["fencing"]
            objectives, state = known["objectives"], known["state"]
            outputs = cls(
                **known
                | {
                    "regions": tuple(known["regions"]),
                    "name_servers": tuple(known["name_servers"]),
                    "customers": tuple(
                        CustomerOutput(each["name"], each["plan"], tuple(each["keys"]))
                        for each in cast(list[dict[str, Any]], known["customers"])
                    ),
                    "failover_names": tuple(known["failover_names"] or ()) or None,
                    "evacuation": EvacuationOutput(**evacuation) if evacuation else None,
                    "failback": FailbackOutput(**failback | {"names": tuple(failback["names"])})
                    if failback
                    else None,
                    "fencing": FencingOutput(**fencing) if fencing else None,
                    "objectives": ObjectivesOutput(
                        **objectives | {"proofs": tuple(objectives.get("proofs") or ())}
                    )
                    if objectives
                    else None,
                    "state": StateOutput(**state) if state else None,
                }
            )
            # It is read from the others, which may be of another form.
            _ = outputs.account_id
        except (TypeError, KeyError, IndexError, AttributeError) as error:
            raise OutputsError(f"outputs of another form: {error!r}") from error
        return outputs

    def to_json(self) -> dict[str, Any]:
        """As JSON values: `{name: value}`, without those that are None."""
        return {name: _plain(value) for name, value in asdict(self).items() if value is not None}

    @classmethod
    def descriptions(cls) -> dict[str, str]:
        """What each output means: `{name: description}`."""
        return {each.name: str(each.metadata["description"]) for each in fields(cls)}


def _plain(value: Any) -> Any:
    """A value with lists for tuples, as JSON and jsii know them."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, tuple | list) else value
