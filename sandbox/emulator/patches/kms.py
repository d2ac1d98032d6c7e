"""Patches of KMS."""

from __future__ import annotations

import json
import re
from typing import Any

from sandbox.emulator import module, replace

_AWS_ALIAS = re.compile(r"(?:arn:aws:kms:[a-z0-9-]+:\d{12}:)?(alias/aws/(?P<service>[a-z0-9-]+))")
_AWS_MANAGED = "_aws_managed"


def aws_managed_keys_are_made_on_first_use() -> None:
    """``DescribeKey`` of ``alias/aws/<service>`` names an AWS managed key.

    AWS: makes the key and binds the alias on first use, so the answer is never "not found".
    MiniStack 1.5.33: knows no alias that nobody created; ``aws_dynamodb_table_replica`` without a
    its own key waits three minutes for it, then fails.

    Source: https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html
    """
    kms = module("services.kms")

    def describing(original: Any) -> Any:
        def describe_key(data: dict[str, Any]) -> Any:
            alias = _AWS_ALIAS.fullmatch(data.get("KeyId", ""))
            if alias and kms._resolve_key(alias[1]) is None:
                _make_managed_key(kms, alias[1], alias["service"])
            return original(data)

        return describe_key

    def showing(original: Any) -> Any:
        def key_metadata(record: dict[str, Any]) -> Any:
            metadata = original(record)
            return {**metadata, "KeyManager": "AWS"} if record.get(_AWS_MANAGED) else metadata

        return key_metadata

    replace(kms, "_describe_key", describing)
    replace(kms, "_key_metadata", showing)


def _make_managed_key(kms: Any, alias: str, service: str) -> None:
    answer = kms._create_key({"Description": f"Default key that protects my {service} data"})
    key_id = json.loads(answer[2])["KeyMetadata"]["KeyId"]
    kms._create_alias({"AliasName": alias, "TargetKeyId": key_id})
    kms._keys[key_id][_AWS_MANAGED] = True
