"""Options of `FailoverDns`: the Regions behind a name, and their health checks."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from cdktf import ITerraformDependable, TerraformProvider
from constructs import Construct


@dataclass(frozen=True)
class HealthCheck:
    """How Route 53 checks a Region.

    Attributes:
        path: Path that returns 2xx or 3xx within 2 seconds while the Region is healthy.
        evacuation_path: Path that returns 2xx or 3xx in another Region while an operator wants a
            Region out of service, with `{region}` where that Region's name belongs; None if no
            Region can be evacuated.
        interval_seconds: 30, or 10 at a higher price. Checks of evacuations keep what they were
            created with.
        failure_threshold: Consecutive results that change the state, 1 to 10.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-creating-values.html
    """

    path: str
    evacuation_path: str | None = None
    interval_seconds: int = 30
    failure_threshold: int = 3


class AliasTarget(Protocol):
    """What an alias record points to: `RegionalApi.domain`, for one."""

    @property
    def host_name(self) -> str:
        """Host name of the target: the regional one of a custom domain name."""

    @property
    def zone_id(self) -> str:
        """Hosted zone id of that host name."""


@dataclass(frozen=True)
class RegionalEndpoint:
    """One Region behind the name.

    Attributes:
        region: The Region.
        target: Target of the name's alias records.
        health_check_host: Host name that the health check calls. The domain
            name's regional host name returns 403 unless the custom domain is asked for, so give
            the API's own host name, or the Region's own name.
        own_target: Target of the Region's own name; None for no such name.
        ready: What must exist before the Region responds at `health_check_host`, if that is a name
            that a deployed stack can get later: a check that is moved there sooner would find a
            healthy Region unhealthy. All of it is created before it is destroyed, as the check is.
    """

    region: str
    target: AliasTarget
    health_check_host: str
    own_target: AliasTarget | None = None
    ready: Sequence[ITerraformDependable] = ()


@dataclass(frozen=True)
class RoutingHome:
    """Where health checks and records are created, if not beside the zone.

    Attributes:
        scope: The construct that owns them, in another stack.
        provider: Provider of Route 53 in that stack.
    """

    scope: Construct
    provider: TerraformProvider
