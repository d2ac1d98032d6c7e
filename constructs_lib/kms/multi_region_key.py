"""One customer-managed KMS key for data and logs: a multi-Region key, replicated to every Region.

A replica works while the primary key's Region is down: encryption never reaches across Regions. The
key policy lets IAM decide in this account, and CloudWatch use the key for log groups and alarms of
this account; which roles may use the key through DynamoDB is granted where the table is.

Limits: https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-overview.html
"""

from collections.abc import Mapping
from typing import Any

from cdktf import TerraformProvider
from cdktf_cdktf_provider_aws.data_aws_caller_identity import DataAwsCallerIdentity
from cdktf_cdktf_provider_aws.data_aws_iam_policy_document import (
    DataAwsIamPolicyDocument,
    DataAwsIamPolicyDocumentStatement,
    DataAwsIamPolicyDocumentStatementCondition,
    DataAwsIamPolicyDocumentStatementPrincipals,
)
from cdktf_cdktf_provider_aws.kms_alias import KmsAlias
from cdktf_cdktf_provider_aws.kms_key import KmsKey
from cdktf_cdktf_provider_aws.kms_replica_key import KmsReplicaKey
from constructs import Construct

DELETION_WINDOW_DAYS = 30
"""Days in which a deletion can be cancelled; the longest that KMS takes."""

_LOGS_ACTIONS = (
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
)


class MultiRegionKey(Construct):
    """A symmetric key with the same key material in every Region, rotated every year."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        providers: Mapping[str, TerraformProvider],
        account_id: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create the key, its replicas and an alias in each Region.

        Args:
            scope: The construct that owns the key.
            id: Unique within `scope`; it is part of every resource address.
            name: Name of the alias, without `alias/`.
            providers: `{region: provider}`, in order; the first holds the primary key, every
                further one a replica.
            account_id: The account, 12 digits; None asks the first Region whenever Terraform plans,
                which then cannot plan while that Region is down.
            tags: Tags of the keys.

        Raises:
            ValueError: No Region is given.

        Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
        """
        super().__init__(scope, id)
        if not providers:
            raise ValueError("providers is empty: give at least {home region: provider}")
        home_region, home_provider = next(iter(providers.items()))
        account_id = (
            account_id or DataAwsCallerIdentity(self, "account", provider=home_provider).account_id
        )
        arguments: dict[str, dict[str, Any]] = {
            region: {
                "provider": provider,
                "description": f"Data and logs of {name} in {region}",
                "policy": self._policy(region, provider, account_id),
                "deletion_window_in_days": DELETION_WINDOW_DAYS,
                "tags": dict(tags or {}),
            }
            for region, provider in providers.items()
        }
        self.primary = KmsKey(
            self, "key", multi_region=True, enable_key_rotation=True, **arguments[home_region]
        )
        self.primary.override_logical_id(f"{id}_key")
        self.arns: dict[str, str] = {home_region: self.primary.arn}
        """`{region: ARN}` of the key in each Region; tokens, known at deployment."""
        for region in list(providers)[1:]:
            replica = KmsReplicaKey(
                self,
                f"replica_{region}",
                primary_key_arn=self.primary.arn,
                **arguments[region],
            )
            replica.override_logical_id(f"{id}_{region}")
            self.arns[region] = replica.arn
        for region, provider in providers.items():
            KmsAlias(
                self,
                f"alias_{region}",
                provider=provider,
                name=f"alias/{name}",
                target_key_id=self.arns[region],
            )

    def _policy(self, region: str, provider: TerraformProvider, account_id: str) -> str:
        """JSON of the key policy: a replica has one of its own, as it serves another Region."""
        return DataAwsIamPolicyDocument(
            self,
            f"policy_{region}",
            provider=provider,
            statement=[
                # Without it nobody could ever change the key: KMS would refuse this policy.
                # https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html
                DataAwsIamPolicyDocumentStatement(
                    sid="AccountDecidesByIam",
                    actions=["kms:*"],
                    # In a key policy this is the key itself.
                    resources=["*"],
                    principals=[
                        DataAwsIamPolicyDocumentStatementPrincipals(
                            type="AWS", identifiers=[f"arn:aws:iam::{account_id}:root"]
                        )
                    ],
                ),
                DataAwsIamPolicyDocumentStatement(
                    sid="LogGroupsOfThisAccount",
                    actions=list(_LOGS_ACTIONS),
                    resources=["*"],
                    principals=[
                        DataAwsIamPolicyDocumentStatementPrincipals(
                            type="Service", identifiers=[f"logs.{region}.amazonaws.com"]
                        )
                    ],
                    condition=[
                        DataAwsIamPolicyDocumentStatementCondition(
                            test="ArnLike",
                            variable="kms:EncryptionContext:aws:logs:arn",
                            values=[f"arn:aws:logs:{region}:{account_id}:log-group:*"],
                        )
                    ],
                ),
                # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
                DataAwsIamPolicyDocumentStatement(
                    sid="AlarmsOfThisAccount",
                    actions=["kms:Decrypt", "kms:GenerateDataKey"],
                    resources=["*"],
                    principals=[
                        DataAwsIamPolicyDocumentStatementPrincipals(
                            type="Service", identifiers=["cloudwatch.amazonaws.com"]
                        )
                    ],
                    condition=[
                        DataAwsIamPolicyDocumentStatementCondition(
                            test="StringEquals",
                            variable="aws:SourceAccount",
                            values=[account_id],
                        )
                    ],
                ),
            ],
        ).json
