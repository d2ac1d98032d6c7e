"""The `FailoverDns` construct: one name in front of every Region."""

from constructs_lib.route53.failover_dns import FailoverDns, HealthCheck, RegionalEndpoint

__all__ = ["FailoverDns", "HealthCheck", "RegionalEndpoint"]
