"""The `FailoverDns` construct: one name in front of every Region."""

from constructs_lib.route53.failover_dns import (
    AliasTarget,
    FailoverDns,
    HealthCheck,
    RegionalEndpoint,
)

__all__ = ["AliasTarget", "FailoverDns", "HealthCheck", "RegionalEndpoint"]
