"""Which stacks an environment consists of, and where each part of it is.

With the layout `single`, everything is in one stack. With `regional` there is one for the data,
one for each Region and one for the routing, so that a deployment changes one Region at a time, and
a Region can be deployed while another one is lost.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

from cdktf import TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider
from constructs import Construct

from constructs_lib.fixed import Fixed, FixedSettings
from constructs_lib.route53.routing_records import ALIAS_TTL_SECONDS
from constructs_lib.settings import Settings
from constructs_lib.settings.stack_names import DATA, ROUTING, stack_name
from constructs_lib.terraform_configuration import configure, provider_aliases, provider_of


@dataclass(frozen=True)
class Place:
    """A stack in which a part of the environment is.

    Attributes:
        stack: The stack.
        providers: `{region: provider}` that the stack has.
    """

    stack: TerraformStack
    providers: Mapping[str, AwsProvider]

    def scope(self, *path: str) -> Construct:
        """A scope in the stack, so that what is created in it has the address of that path.

        Args:
            path: Ids of the constructs that lead there.
        """
        scope: Construct = self.stack
        for id in path:
            scope = cast(Construct, scope.node.try_find_child(id)) or Construct(scope, id)
        return scope


@dataclass(frozen=True)
class Layout:
    """Where the parts of an environment are.

    Attributes:
        data: The table, the key, the zone and the certificates.
        regions: `{region: what serves there}`.
        routing: Health checks and records, and what needs every Region.
        stacks: All stacks, in the order in which they are deployed.
    """

    data: Place
    regions: Mapping[str, Place]
    routing: Place
    stacks: Sequence[TerraformStack]

    @property
    def is_regional(self) -> bool:
        """Whether there is more than one stack."""
        return len(self.stacks) > 1


def create_layout(last: TerraformStack, settings: Settings, *, hint: str = "") -> Layout:
    """Create the stacks of an environment, with backends and providers.

    They depend on each other, as cdktf understands it: the data first, then one Region after the
    other with the primary last, then the routing.

    Args:
        last: The stack that is deployed last: the only one with the layout `single`.
        settings: The environment.
        hint: Where to read how to change what is fixed: in the plan's error that refuses it.
    """
    fixed = _fixed(settings, hint)

    def place(stack: TerraformStack, part: str, regions: Iterable[str]) -> Place:
        configure(stack, settings, part)
        aliases = provider_aliases(settings)
        providers = {
            region: provider_of(stack, settings, region, aliases[region]) for region in regions
        }
        FixedSettings(stack, "fixed", environment=settings.name, settings=fixed)
        return Place(stack, providers)

    def sibling(part: str, regions: Iterable[str]) -> Place:
        return place(TerraformStack(app, stack_name(settings, part)), part, regions)

    app = cast(Construct, last.node.scope)
    if settings.layout == "single":
        everywhere = place(last, "", settings.regions)
        return Layout(everywhere, dict.fromkeys(settings.regions, everywhere), everywhere, (last,))
    data = sibling(DATA, settings.regions)
    regions = {region: sibling(region, [region]) for region in settings.regions}
    routing = place(last, ROUTING, [settings.primary_region])
    # A release that fails in the secondary never reaches the primary.
    stacks = [data.stack, *(regions[r].stack for r in reversed(settings.regions)), last]
    for earlier, later in pairwise(stacks):
        later.add_dependency(earlier)
    return Layout(data, regions, routing, stacks)


def _routing(settings: Settings) -> str:
    """The routing policy, and that CNAME records have it if they do.

    Route 53 refuses a CNAME record beside address records of its name, and Terraform changes one
    record at a time: it would fail half-way between the two.
    """
    if settings.domain.ttl_seconds == ALIAS_TTL_SECONDS:
        return settings.routing_policy
    return f"{settings.routing_policy} by CNAME records (ttl_seconds below {ALIAS_TTL_SECONDS})"


def _fixed(settings: Settings, hint: str) -> dict[str, Fixed]:
    """What a change of the file must not change in a stack that is deployed."""
    other = "deploy another environment beside this one, and move the customers"
    remedies = {
        "regions": "replace the second Region or add one at the end, step by step; to serve from "
        "another one, evacuate the others, which needs no deployment",
        "table.name": "restore a backup into a new table step by step",
    }
    if settings.table.consistency == "strong":
        # Only a table without items becomes strongly consistent, and its Regions stay.
        remedies = {}
    remedies["routing_policy"] = (
        f"if it is ttl_seconds, exchange the records step by step; else {other}"
    )
    return {
        name: Fixed(value, f"{remedies.get(name, other)}. {hint}".rstrip())
        for name, value in {
            "regions": ", ".join(settings.regions),
            "routing_policy": _routing(settings),
            "api.name": settings.api.name,
            "api.stage": settings.api.stage,
            "table.name": _table(settings),
            "domain.zone_name": settings.domain.zone_name,
            "domain.record_name": settings.domain.record_name,
            "domain.create_zone": str(settings.domain.create_zone).lower(),
            "encryption.customer_managed_key": str(
                settings.encryption.customer_managed_key
            ).lower(),
        }.items()
    }


def _table(settings: Settings) -> str:
    """What the table is: its name, and how it is consistent if that is not the default.

    Without a value of its own, which environments that are deployed would not have, a change from
    or to strong consistency is refused in both directions.
    """
    table = settings.table
    if table.consistency != "strong":
        return table.name
    witness = f", witness in {table.witness_region}" if table.witness_region else ""
    return f"{table.name} (strongly consistent{witness})"
