"""How an API behaves in a Region: plain values, grouped by what they are about."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdktf import TerraformProvider
    from cdktf_cdktf_provider_aws.acm_certificate import AcmCertificate
    from constructs import Construct


ALIAS_NAME = "live"
"""Name of the alias of every function that API Gateway calls."""


class ReleasedBy(Enum):
    """Who points the functions' alias to a new version, and so gives it requests."""

    TERRAFORM = "terraform"
    """The apply that publishes a version gives it all requests, and removes the weight of another
    version."""
    OPERATOR = "operator"
    """The first apply points the alias to version 1. From then on, Terraform publishes versions and
    the operator points the alias to them: a share of requests can go to a new one first."""


@dataclass(frozen=True, kw_only=True)
class Throttling:
    """What each method serves before it responds with 429, in each Region.

    Attributes:
        rate_per_second: Steady requests per second.
        burst: Requests that may arrive at once.
    """

    rate_per_second: float = 100.0
    burst: int = 200


@dataclass(frozen=True, kw_only=True)
class Logging:
    """What is logged and traced.

    Attributes:
        retention_days: Days that logs are kept.
        access_logs: Write one JSON line per request. API Gateway needs its account-wide log role
            for it.
        manage_account_log_role: Create that role and set it; it belongs to the whole account.
        tracing: Trace sampled requests with X-Ray.
    """

    retention_days: int = 30
    access_logs: bool = True
    manage_account_log_role: bool = False
    tracing: bool = True


@dataclass(frozen=True)
class CertificateHome:
    """Where a certificate is created, if not beside the domain name.

    Attributes:
        scope: The construct that owns it, in whatever stack its validation record is.
        provider: Provider of the Region in that stack.
    """

    scope: "Construct"
    provider: "TerraformProvider"


@dataclass(frozen=True)
class CustomDomain:
    """A domain name that an API responds to.

    Attributes:
        name: The fully qualified domain name.
        validate: Gets the name, the certificate's resource and the Region's provider, and returns
            the ARN of the certificate once it is issued: `FailoverDns.validate_certificate`.
        certificate_home: Where the certificate is created; None for beside the domain name.
    """

    name: str
    validate: "Callable[[str, AcmCertificate, TerraformProvider], str]"
    certificate_home: CertificateHome | None = None


@dataclass(frozen=True, kw_only=True)
class HostNames:
    """At which host names an API responds.

    Attributes:
        shared: Domain name that is the same in every Region.
        regional: Domain name of one Region alone, for health checks and direct access.
        execute_api: Respond at the host name that AWS gives the API, too.

    Raises:
        ValueError: There is none.
    """

    shared: CustomDomain | None = None
    regional: CustomDomain | None = None
    execute_api: bool = True

    def __post_init__(self) -> None:
        if not (self.shared or self.regional or self.execute_api):
            raise ValueError(
                "execute_api is False and no domain is given, so nobody could call the API: give "
                "a domain, or leave execute_api True"
            )
