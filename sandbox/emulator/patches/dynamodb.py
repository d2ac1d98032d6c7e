"""Patches of DynamoDB."""

from __future__ import annotations

import json
import time
from typing import Any

from sandbox.emulator import module, replace

_DEFAULT_DAYS = 35
_CREATION_SECONDS = 1.0


def recovery_period_is_kept() -> None:
    """Point-in-time recovery answers with its period in days.

    AWS: keeps ``RecoveryPeriodInDays``, 1 to 35, 35 when it is not given.
    MiniStack 1.5.33: forgets it, so every plan wants to set it again.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PointInTimeRecoverySpecification.html
    """
    dynamodb = module("services.dynamodb")

    def updating(original: Any) -> Any:
        def update_continuous_backups(data: dict[str, Any]) -> Any:
            answer = original(data)
            wanted = data.get("PointInTimeRecoverySpecification", {})
            name = dynamodb._normalize_table_name(data.get("TableName"))
            if answer[0] == 200 and wanted.get("PointInTimeRecoveryEnabled"):
                # The setting is only ever read as "on or off", so the days can mean "on".
                dynamodb._pitr_settings[name] = wanted.get("RecoveryPeriodInDays") or _DEFAULT_DAYS
            return _with_days(dynamodb, name, answer)

        return update_continuous_backups

    def describing(original: Any) -> Any:
        def describe_continuous_backups(data: dict[str, Any]) -> Any:
            name = dynamodb._normalize_table_name(data.get("TableName"))
            return _with_days(dynamodb, name, original(data))

        return describe_continuous_backups

    replace(dynamodb, "_update_continuous_backups", updating)
    replace(dynamodb, "_describe_continuous_backups", describing)


def replica_has_a_key_of_its_own() -> None:
    """A replica that is made with a KMS key is described with that key.

    AWS: encrypts each replica with the key of its Region.
    MiniStack 1.5.33: describes every replica with the key of the table, so every plan wants to
    replace the replica.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_CreateReplicationGroupMemberAction.html
    """
    dynamodb = module("services.dynamodb")
    responses = module("core.responses")

    def updating(original: Any) -> Any:
        def apply_replica_updates(name: str, table: Any, updates: list[dict[str, Any]]) -> Any:
            error = original(name, table, updates)
            for update in updates:
                created = update.get("Create", {})
                if error is None and (key := created.get("KMSMasterKeyId")):
                    account, region = responses.get_account_id(), created["RegionName"]
                    replica = dynamodb._tables.get_scoped(account, region, name)
                    replica["SSEDescription"] = dynamodb._sse_description_from_spec(
                        {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
                    )
            return error

        return apply_replica_updates

    replace(dynamodb, "_apply_replica_updates", updating)


def new_replica_is_not_active_at_once() -> None:
    """A new replica is ``CREATING`` before it is ``ACTIVE``.

    AWS: for minutes, or hours if the table is large; Terraform's provider waits, and only then
    knows of the replica.
    MiniStack 1.5.33: describes it as active at once. Here it takes a second.

    Source: https://github.com/hashicorp/terraform-provider-aws/issues/40531
    """
    dynamodb = module("services.dynamodb")
    responses = module("core.responses")
    active_at: dict[tuple[str, str, str], float] = {}

    def updating(original: Any) -> Any:
        def apply_replica_updates(name: str, table: Any, updates: list[dict[str, Any]]) -> Any:
            error = original(name, table, updates)
            for region in (u["Create"]["RegionName"] for u in updates if "Create" in u):
                if error is None:
                    replica = (responses.get_account_id(), region, name)
                    active_at[replica] = time.monotonic() + _CREATION_SECONDS
            return error

        return apply_replica_updates

    def describing(original: Any) -> Any:
        def table_description(name: str) -> Any:
            described = original(name)
            for replica in described.get("Replicas", []):
                key = (responses.get_account_id(), replica["RegionName"], name)
                if time.monotonic() < active_at.get(key, 0):
                    replica["ReplicaStatus"] = "CREATING"
            return described

        return table_description

    replace(dynamodb, "_apply_replica_updates", updating)
    replace(dynamodb, "_table_description", describing)


def protected_replica_is_not_deleted() -> None:
    """A replica with deletion protection is not deleted.

    AWS: refuses to delete it, as it refuses to delete a protected table.
    MiniStack 1.5.33: protects tables, and deletes every replica.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/WorkingWithTables.Basics.html#WorkingWithTables.Basics.DeletionProtection
    """
    dynamodb = module("services.dynamodb")
    responses = module("core.responses")

    def updating(original: Any) -> Any:
        def apply_replica_updates(name: str, table: Any, updates: list[dict[str, Any]]) -> Any:
            for region in (u["Delete"].get("RegionName") for u in updates if "Delete" in u):
                replica = dynamodb._tables.get_scoped(responses.get_account_id(), region, name)
                if replica and replica.get("DeletionProtectionEnabled"):
                    return responses.error_response_json(
                        "ValidationException",
                        f"Resource cannot be deleted as it is currently protected against deletion:"
                        f" replica of {name} in {region}. Disable deletion protection first.",
                        400,
                    )
            return original(name, table, updates)

        return apply_replica_updates

    replace(dynamodb, "_apply_replica_updates", updating)


def _with_days(dynamodb: Any, table: str, answer: Any) -> Any:
    status, headers, body = answer
    days = dynamodb._pitr_settings.get(table)
    if status != 200 or not days:
        return answer
    content = json.loads(body)
    recovery = content["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    recovery["RecoveryPeriodInDays"] = int(days)
    return status, headers, json.dumps(content).encode()
