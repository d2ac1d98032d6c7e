"""The table and its replicas: backed up, encrypted and protected, each as the others."""

from collections.abc import Iterator
from typing import Any

from ops.environment import Environment
from ops.verification.comparison import Settings, compared
from ops.verification.finding import Finding, check, judged, region_check
from ops.verification.reaching import client

_FIX = "deploy the stack again; these are settings of every replica by itself"


@region_check("table.protection")
def protection(environment: Environment, region: str) -> Iterator[Finding]:
    """The Region's replica is active, sees all others, and has continuous backups."""
    found = _table(environment, region)
    problems = []
    if found["TableStatus"] not in ("ACTIVE", "UPDATING"):
        problems.append(f"its status is {found['TableStatus']}")
    status = {each["RegionName"]: each.get("ReplicaStatus") for each in found.get("Replicas", ())}
    problems += [
        f"it has no active replica in {other}, but {status.get(other, 'none')}"
        for other in environment.regions
        if other != region and status.get(other) != "ACTIVE"
    ]
    settings = _settings(environment, region)
    if settings["point-in-time recovery"] != "ENABLED":
        problems.append("point-in-time recovery is off: nothing restores what was overwritten")
    yield judged(
        region,
        problems,
        otherwise="active; " + ", ".join(f"{name}: {value}" for name, value in settings.items()),
        fix=_FIX,
    )


@check("table.parity")
def parity(environment: Environment) -> Iterator[Finding]:
    """The table is protected in one Region as in the others."""
    yield from compared(
        environment, _settings, alike="{count} settings of the table alike", fix=_FIX
    )


def _table(environment: Environment, region: str) -> dict[str, Any]:
    found: dict[str, Any] = client(environment, "dynamodb", region).describe_table(
        TableName=environment.outputs["table_name"]
    )["Table"]
    return found


def _settings(environment: Environment, region: str) -> Settings:
    table = _table(environment, region)
    name = environment.outputs["table_name"]
    dynamodb = client(environment, "dynamodb", region)
    backups = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups.get("PointInTimeRecoveryDescription", {})
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    encryption = table.get("SSEDescription", {})
    # Without a key of its own, a table is encrypted with one that AWS owns.
    own_key = encryption.get("Status") in ("ENABLED", "UPDATING")
    return {
        "deletion protection": "on" if table.get("DeletionProtectionEnabled") else "off",
        "point-in-time recovery": recovery.get("PointInTimeRecoveryStatus", "DISABLED"),
        "stream": table.get("StreamSpecification", {}).get("StreamViewType", "off"),
        "encryption": encryption.get("SSEType", "KMS") if own_key else "key that AWS owns",
        "billing": table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED"),
        "expiry": expiry.get("AttributeName", "off"),
    }
