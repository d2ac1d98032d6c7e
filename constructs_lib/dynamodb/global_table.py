"""One DynamoDB global table: the table in its home Region and a replica in every other Region.

Creates an on-demand `aws_dynamodb_table` and one `aws_dynamodb_table_replica` per further Region,
each under the provider of its own Region, because backups, deletion protection and tags are
settings of each replica and are off wherever they are not set. With strong consistency, replicas
are blocks of the table: AWS creates all of them with it, and the separate resource cannot. It
creates no functions, roles or items; grants add policies to roles that others own.

Limits: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GlobalTables.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cdktf import Fn, TerraformProvider, TerraformResourceLifecycle
from cdktf_cdktf_provider_aws.data_aws_iam_policy_document import (
    DataAwsIamPolicyDocument,
    DataAwsIamPolicyDocumentStatement,
    DataAwsIamPolicyDocumentStatementCondition,
)
from cdktf_cdktf_provider_aws.dynamodb_table import (
    DynamodbTable,
    DynamodbTableAttribute,
    DynamodbTableGlobalSecondaryIndex,
    DynamodbTableGlobalTableWitness,
    DynamodbTablePointInTimeRecovery,
    DynamodbTableReplica,
    DynamodbTableServerSideEncryption,
    DynamodbTableTtl,
)
from cdktf_cdktf_provider_aws.dynamodb_table_replica import (
    DynamodbTableReplicaA,
    DynamodbTableReplicaTimeouts,
)
from cdktf_cdktf_provider_aws.iam_role import IamRole
from cdktf_cdktf_provider_aws.iam_role_policy import IamRolePolicy
from constructs import Construct

from constructs_lib.dynamodb.consistency import Consistency, placement_errors

REPLICA_TIMEOUT = "6h"
"""How long Terraform waits for a replica, which takes hours for a large table.

Its default is half an hour, after which the replica exists and is not in the state.

Source: https://github.com/hashicorp/terraform-provider-aws/issues/44649
"""

READ_ACTIONS = (
    "dynamodb:BatchGetItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:GetItem",
    "dynamodb:Query",
    "dynamodb:Scan",
)
"""Actions on a table that read it.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazondynamodb.html
"""

WRITE_ACTIONS = (
    "dynamodb:BatchWriteItem",
    "dynamodb:DeleteItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
)
"""Actions on a table that write it; same source."""

_KEY_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "read": ("kms:Decrypt", "kms:DescribeKey"),
    "write": (
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:Encrypt",
        "kms:GenerateDataKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    ),
}
"""What DynamoDB does with a customer-managed key on behalf of whoever reads or writes.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/encryption.usagenotes.html
"""


@dataclass(frozen=True)
class Key:
    """A key attribute.

    Attributes:
        name: Name of the attribute, 1 to 255 bytes.
        type: `S` (string), `N` (number) or `B` (binary).
    """

    name: str
    type: Literal["S", "N", "B"] = "S"


@dataclass(frozen=True)
class GlobalSecondaryIndex:
    """A global secondary index, present in every Region, that projects all attributes.

    Attributes:
        name: Name of the index, 3 to 255 characters.
        partition_key: Its partition key.
        sort_key: Its sort key, if it has one.
    """

    name: str
    partition_key: Key
    sort_key: Key | None = None


class GlobalTable(Construct):
    """A DynamoDB global table (version 2019.11.21), eventually or strongly consistent.

    Eventual: a write is acknowledged by one Region and reaches the others typically within a
    second; the last writer of an item wins. Strong: a write is stored in two Regions before it is
    acknowledged, strongly consistent reads return it in every Region, and of two writes of an item
    at once in two Regions one is refused with `ReplicatedWriteConflictException`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        name: str,
        providers: Mapping[str, TerraformProvider],
        partition_key: Key,
        sort_key: Key | None = None,
        ttl_attribute: str | None = None,
        indexes: Sequence[GlobalSecondaryIndex] = (),
        point_in_time_recovery: bool = True,
        deletion_protection: bool = True,
        kms_key_arns: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        consistency: Consistency = "eventual",
        witness_region: str | None = None,
    ) -> None:
        """Create the table and its replicas.

        Args:
            scope: The construct that owns the table.
            id: Unique within `scope`; it is part of every resource address.
            name: Name of the table, the same in every Region; 3 to 255 characters of
                `a-z A-Z 0-9 _ - .`.
            providers: `{region: provider}`, in order; the first is the table's home Region, every
                further one gets a replica.
            partition_key: The partition key.
            sort_key: The sort key; without it, an item is identified by the partition key alone.
            ttl_attribute: Attribute with the second (Unix time) after which DynamoDB deletes an
                item; without it nothing expires.
            indexes: Global secondary indexes.
            point_in_time_recovery: Continuous backups of 35 days, in every Region.
            deletion_protection: Refuse to delete the table, in every Region: AWS refuses it, and
                Terraform every plan that would destroy the table or a replica.
            kms_key_arns: `{region: ARN}` of the key that encrypts the table there, one for every
                Region; None for keys that AWS owns. A replica's key is fixed once it is made.
            tags: Tags of the table and of every replica, beside the providers' default tags.
            consistency: Between the Regions; `strong` needs version 6.22 or newer of the provider,
                and exactly three Regions of one Region set, or two and `witness_region`. It is
                fixed once the table exists.
            witness_region: With strong consistency and two Regions, the one that stores what is
                written, and serves nothing.

        Raises:
            ValueError: No Region is given, or one is given no key while others are; the Regions
                cannot be strongly consistent, or something else is asked for that DynamoDB does not
                have then.

        Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_reqs_bestpractices.html
        """
        super().__init__(scope, id)
        if not providers:
            raise ValueError("providers is empty: give at least {home region: provider}")
        if kms_key_arns and (without := sorted(set(providers) - set(kms_key_arns))):
            raise ValueError(
                f"kms_key_arns has no key for {', '.join(without)}: a replica is encrypted with a "
                "key of its own Region, so give one for each"
            )
        is_strong = consistency == "strong"
        _check_consistency(list(providers), consistency, witness_region, ttl_attribute)
        (home_region, home_provider), *further = providers.items()
        self._kms_key_arns = dict(kms_key_arns or {})
        self._providers = dict(providers)
        self._has_indexes = bool(indexes)
        keys = [partition_key, sort_key]
        keys += [key for index in indexes for key in (index.partition_key, index.sort_key)]

        self.table = DynamodbTable(
            self,
            "table",
            provider=home_provider,
            name=name,
            billing_mode="PAY_PER_REQUEST",
            hash_key=partition_key.name,
            range_key=sort_key.name if sort_key else None,
            attribute=[
                DynamodbTableAttribute(name=key.name, type=key.type)
                for key in dict.fromkeys(key for key in keys if key)
            ],
            global_secondary_index=[
                DynamodbTableGlobalSecondaryIndex(
                    name=index.name,
                    hash_key=index.partition_key.name,
                    range_key=index.sort_key.name if index.sort_key else None,
                    projection_type="ALL",
                )
                for index in indexes
            ]
            or None,
            ttl=DynamodbTableTtl(enabled=True, attribute_name=ttl_attribute)
            if ttl_attribute
            else None,
            # Eventually consistent replicas are fed by the stream; DynamoDB asks for both images.
            stream_enabled=None if is_strong else True,
            stream_view_type=None if is_strong else "NEW_AND_OLD_IMAGES",
            point_in_time_recovery=DynamodbTablePointInTimeRecovery(enabled=point_in_time_recovery),
            # false is the key that AWS owns: always encrypted, without a charge per request.
            server_side_encryption=DynamodbTableServerSideEncryption(
                enabled=bool(kms_key_arns), kms_key_arn=self._kms_key_arns.get(home_region)
            ),
            deletion_protection_enabled=deletion_protection,
            tags=dict(tags or {}),
            replica=[
                DynamodbTableReplica(
                    region_name=region,
                    consistency_mode="STRONG",
                    kms_key_arn=self._kms_key_arns.get(region),
                    point_in_time_recovery=point_in_time_recovery,
                    deletion_protection_enabled=deletion_protection,
                    propagate_tags=True,
                )
                for region, _ in further
            ]
            if is_strong
            else None,
            global_table_witness=DynamodbTableGlobalTableWitness(region_name=witness_region)
            if witness_region
            else None,
            lifecycle=TerraformResourceLifecycle(
                # Eventually consistent replicas are resources of their own; the table must not try
                # to remove them.
                ignore_changes=None if is_strong else ["replica"],
                prevent_destroy=deletion_protection or None,
            ),
        )
        self.table.override_logical_id(id)

        self._arns = {home_region: self.table.arn}
        self.replicas: dict[str, DynamodbTableReplicaA] = {}
        """`{region: replica}` of an eventually consistent table."""
        for region, provider in further:
            if is_strong:
                # A block has no name that an expression could refer to.
                arn = Fn.replace(self.table.arn, f":{home_region}:", f":{region}:")
                self._arns[region] = arn
                continue
            replica = DynamodbTableReplicaA(
                self,
                f"replica_{region}",
                provider=provider,
                global_table_arn=self.table.arn,
                kms_key_arn=self._kms_key_arns.get(region),
                point_in_time_recovery=point_in_time_recovery,
                deletion_protection_enabled=deletion_protection,
                tags=dict(tags or {}),
                # DynamoDB adds one replica at a time.
                depends_on=list(self.replicas.values())[-1:] or None,
                lifecycle=TerraformResourceLifecycle(prevent_destroy=True)
                if deletion_protection
                else None,
                timeouts=DynamodbTableReplicaTimeouts(
                    create=REPLICA_TIMEOUT, update=REPLICA_TIMEOUT, delete=REPLICA_TIMEOUT
                ),
            )
            replica.override_logical_id(f"{id}_{region}")
            self.replicas[region] = replica
            self._arns[region] = replica.arn

    @property
    def table_name(self) -> str:
        """Name of the table in every Region; a token, known at deployment."""
        return self.table.name

    @property
    def arns(self) -> dict[str, str]:
        """`{region: ARN}` of the table and its replicas; tokens, known at deployment."""
        return dict(self._arns)

    def grant(
        self,
        role: IamRole,
        *,
        region: str,
        actions: Sequence[str],
        write_partitions: Sequence[str] = (),
    ) -> None:
        """Let a role use the table in one Region, and in no other.

        Args:
            role: The role; it gets an inline policy for reading, one for writing, or both.
            region: Region of this table whose replica the role may use.
            actions: Some or all of `READ_ACTIONS` and `WRITE_ACTIONS`; nothing is granted if there
                are none.
            write_partitions: Partition keys of the items that the role may write; empty for all.

        Raises:
            ValueError: The table is not in `region`, or an action is none of these.
        """
        self._require_replica(region)
        if unknown := sorted(set(actions) - {*READ_ACTIONS, *WRITE_ACTIONS}):
            raise ValueError(
                f"cannot grant {unknown} on a table; allowed: "
                f"{', '.join((*READ_ACTIONS, *WRITE_ACTIONS))}"
            )
        for kind, allowed in (("read", READ_ACTIONS), ("write", WRITE_ACTIONS)):
            if granted := sorted(set(actions) & set(allowed)):
                self._grant(
                    kind, role, region, granted, write_partitions if kind == "write" else ()
                )

    def grant_get_item(
        self, role: IamRole, *, region: str, partitions: Sequence[str], id: str
    ) -> None:
        """Let a role read single items of some partitions in one Region, and nothing else.

        Args:
            role: The role; it gets an inline policy.
            region: Region of this table whose replica the role may use.
            partitions: Partition keys of the items.
            id: What the policy is for: part of its address and its name.

        Raises:
            ValueError: The table is not in `region`, or there is no partition: all items would be
                granted.
        """
        self._require_replica(region)
        if not partitions:
            raise ValueError("partitions is empty: name the partition keys of the items to read")
        self._grant("read", role, region, ["dynamodb:GetItem"], partitions, id=id)

    def grant_read(self, role: IamRole, *, region: str) -> None:
        """Let a role read the table in one Region: `grant` with `READ_ACTIONS`."""
        self.grant(role, region=region, actions=READ_ACTIONS)

    def grant_write(self, role: IamRole, *, region: str) -> None:
        """Let a role write the table in one Region: `grant` with `WRITE_ACTIONS`."""
        self.grant(role, region=region, actions=WRITE_ACTIONS)

    def _require_replica(self, region: str) -> None:
        if region not in self._arns:
            raise ValueError(
                f"region {region!r} holds no replica of this table; it is in "
                f"{', '.join(self._arns)}: add a provider for the Region or grant in one of these"
            )

    def _grant(
        self,
        kind: str,
        role: IamRole,
        region: str,
        actions: Sequence[str],
        partitions: Sequence[str],
        *,
        id: str = "",
    ) -> None:
        name = id or kind
        arn = self._arns[region]
        statements = [
            DataAwsIamPolicyDocumentStatement(
                actions=list(actions),
                resources=[arn, f"{arn}/index/*"] if self._has_indexes else [arn],
                # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
                condition=[
                    DataAwsIamPolicyDocumentStatementCondition(
                        test="ForAllValues:StringEquals",
                        variable="dynamodb:LeadingKeys",
                        values=list(partitions),
                    )
                ]
                if partitions
                else None,
            )
        ]
        if region in self._kms_key_arns:
            statements.append(
                DataAwsIamPolicyDocumentStatement(
                    actions=list(_KEY_ACTIONS[kind]),
                    resources=[self._kms_key_arns[region]],
                    # Through DynamoDB in this Region only; the key itself opens nothing.
                    condition=[
                        DataAwsIamPolicyDocumentStatementCondition(
                            test="StringEquals",
                            variable="kms:ViaService",
                            values=[f"dynamodb.{region}.amazonaws.com"],
                        )
                    ],
                )
            )
        # A grant lives beside the role it serves, so that its address names both.
        provider = role.provider or self._providers[region]
        document = DataAwsIamPolicyDocument(
            role,
            f"table_{name}",
            provider=provider,
            statement=statements,
        )
        IamRolePolicy(
            role,
            f"table_{name}_policy",
            provider=provider,
            name=f"table-{name}",
            # The id is the name, and unknown when the role is replaced: its policies go with it.
            role=role.id,
            policy=document.json,
        )


def _check_consistency(
    regions: Sequence[str],
    consistency: Consistency,
    witness_region: str | None,
    ttl_attribute: str | None,
) -> None:
    """Refuse what DynamoDB refuses of the consistency.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
    """
    if consistency != "strong":
        if witness_region:
            raise ValueError(
                f"witness_region is {witness_region!r}, and consistency is {consistency!r}: only a "
                "strongly consistent table has a witness"
            )
        return
    for about, problem, allowed, fix in placement_errors(regions, witness_region or ""):
        raise ValueError(f"{about} {problem}; allowed: {allowed}; {fix}")
    if ttl_attribute:
        raise ValueError(
            f"ttl_attribute is {ttl_attribute!r}: a strongly consistent table deletes no item by "
            "itself; leave it out, and delete what has expired"
        )
