"""The hosted zone: accelerated recovery of its control plane, and the log of its queries."""

from collections.abc import Iterator

from botocore.model import StructureShape
from botocore.session import Session, get_session

from ops.environment import Environment
from ops.verify.finding import Finding, check, failed, passed, passed_unless, unknown

_UNDER_WAY = (
    "DISABLING",
    "DISABLING_HOSTED_ZONE_LOCKED",
    "ENABLING",
    "ENABLING_HOSTED_ZONE_LOCKED",
)
_FIX_RECOVERY = (
    "deploy again, or aws route53 update-hosted-zone-features --enable-accelerated-recovery "
    "--hosted-zone-id {zone}. Without it, no record of the zone can be changed while us-east-1 is "
    "lost"
)
_FIX_LOG = "deploy again: it restores the configuration"


@check("zone.recovery")
def recovery(environment: Environment) -> Iterator[Finding]:
    """Report whether the zone has accelerated recovery, and check it if it should have.

    Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_HostedZoneFeatures.html
    """
    outputs = environment.outputs
    route53 = environment.client("route53", environment.primary)
    zone = route53.get_hosted_zone(Id=outputs.zone_id)["HostedZone"]
    if "Features" not in zone and not reports_features(get_session()):
        yield unknown(
            outputs.zone_name,
            "the boto3 of this machine does not report accelerated recovery; a newer one does",
        )
        return
    features = zone.get("Features", {})
    status = features.get("AcceleratedRecoveryStatus", "DISABLED")
    found = f"accelerated recovery: {status}"
    if status in _UNDER_WAY:
        yield unknown(outputs.zone_name, f"{found}, which takes up to some hours")
    elif status.endswith("FAILED") or (outputs.accelerated_recovery and status != "ENABLED"):
        reason = features.get("FailureReasons", {}).get("AcceleratedRecovery", "")
        yield failed(
            outputs.zone_name,
            f"{found}{f' ({reason})' if reason else ''}",
            _FIX_RECOVERY.format(zone=outputs.zone_id),
        )
    else:
        yield passed(outputs.zone_name, found)


@check("zone.query_log")
def query_log(environment: Environment) -> Iterator[Finding]:
    """Check that queries for the zone are logged, if they should be, where the stack has it."""
    outputs = environment.outputs
    found = environment.client("route53", environment.primary).list_query_logging_configs(
        HostedZoneId=outputs.zone_id
    )["QueryLoggingConfigs"]
    groups = [each["CloudWatchLogsLogGroupArn"].removesuffix(":*") for each in found]
    wanted = outputs.query_log_group_arn
    problem = f"queries are not logged in {wanted}, but in {', '.join(groups) or 'none'}"
    yield passed_unless(
        outputs.zone_name,
        [problem] if wanted and wanted.removesuffix(":*") not in groups else [],
        found=f"queries are logged in {', '.join(groups)}" if groups else "queries are not logged",
        fix=_FIX_LOG,
    )


def reports_features(session: Session) -> bool:
    """Whether the SDK passes on what Route 53 says of a zone's features.

    Args:
        session: A session of the SDK.
    """
    zone = session.get_service_model("route53").shape_for("HostedZone")
    return isinstance(zone, StructureShape) and "Features" in zone.members
