"""What Terraform's provider calls for what stores, observes and protects."""

from collections.abc import Mapping

from ops.iam.grants import ROLE, equals, read, service_linked_role, write
from ops.iam.policy import ANYWHERE, Grant

_BUCKET = "s3:::{aws_s3_bucket}"
_KEY = "kms:{region}:{account}:key/*"
_LOG_GROUP = "logs:{region}:{account}:log-group:{aws_cloudwatch_log_group}"
_TABLE = "dynamodb:{region}:{account}:table/{aws_dynamodb_table}"
_REPLICA_ACTIONS = (
    "UpdateTable CreateTable CreateTableReplica DeleteTable DeleteTableReplica Scan Query GetItem "
    "PutItem UpdateItem DeleteItem BatchWriteItem"
)
_REPLICATION_ROLE = service_linked_role(
    "replication.dynamodb.amazonaws.com", "AWSServiceRoleForDynamoDBReplication"
)
_TOPIC = "sns:{region}:{account}:{aws_sns_topic}"

STORING: Mapping[str, tuple[Grant, ...]] = {
    "aws_cloudwatch_dashboard": (
        read(
            "cloudwatch",
            "GetDashboard",
            "cloudwatch::{account}:dashboard/{aws_cloudwatch_dashboard}",
        ),
        write(
            "cloudwatch",
            "PutDashboard DeleteDashboards",
            "cloudwatch::{account}:dashboard/{aws_cloudwatch_dashboard}",
        ),
    ),
    "aws_cloudwatch_log_group": (
        read("logs", "DescribeLogGroups", ANYWHERE),
        # Some actions know a group with `:*` at its end, some without.
        read("logs", "ListTagsForResource", _LOG_GROUP, f"{_LOG_GROUP}:*"),
        write(
            "logs",
            "CreateLogGroup DeleteLogGroup PutRetentionPolicy TagResource UntagResource",
            _LOG_GROUP,
            f"{_LOG_GROUP}:*",
        ),
    ),
    "aws_cloudwatch_log_resource_policy": (
        read("logs", "DescribeResourcePolicies", ANYWHERE),
        write("logs", "PutResourcePolicy DeleteResourcePolicy", ANYWHERE),
    ),
    "aws_cloudwatch_metric_alarm": (
        # Limited to an alarm, it returns nothing of composite ones.
        read("cloudwatch", "DescribeAlarms", ANYWHERE),
        read(
            "cloudwatch",
            "ListTagsForResource",
            "cloudwatch:{region}:{account}:alarm:{aws_cloudwatch_metric_alarm}",
        ),
        write(
            "cloudwatch",
            "PutMetricAlarm DeleteAlarms TagResource UntagResource",
            "cloudwatch:{region}:{account}:alarm:{aws_cloudwatch_metric_alarm}",
        ),
    ),
    "aws_dynamodb_table": (
        read(
            "dynamodb",
            "DescribeTable DescribeContinuousBackups DescribeTimeToLive ListTagsOfResource",
            _TABLE,
        ),
        # Whether its key is that of DynamoDB in this account.
        read("kms", "DescribeKey", _KEY),
        write(
            "dynamodb",
            "CreateTable UpdateTable DeleteTable UpdateContinuousBackups TagResource UntagResource",
            _TABLE,
        ),
    ),
    "aws_dynamodb_table_replica": (
        read("dynamodb", "DescribeTable DescribeContinuousBackups ListTagsOfResource", _TABLE),
        read("kms", "DescribeKey", _KEY),
        # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2gt_IAM.html
        write("dynamodb", _REPLICA_ACTIONS, _TABLE),
        _REPLICATION_ROLE,
    ),
    # Of a strongly consistent table, which has no resource of its own for a replica.
    "aws_dynamodb_table.replica": (
        write("dynamodb", _REPLICA_ACTIONS, _TABLE),
        _REPLICATION_ROLE,
    ),
    # https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables.tutorial.html
    "aws_dynamodb_table.global_table_witness": (
        write(
            "dynamodb",
            f"{_REPLICA_ACTIONS} CreateGlobalTableWitness DeleteGlobalTableWitness",
            _TABLE,
            "dynamodb:{witness}:{account}:table/{aws_dynamodb_table}",
        ),
    ),
    "aws_iam_policy": (
        read("iam", "GetPolicy GetPolicyVersion", "iam::{account}:policy/{aws_iam_policy}"),
        write(
            "iam",
            "CreatePolicy DeletePolicy CreatePolicyVersion DeletePolicyVersion ListPolicyVersions "
            "TagPolicy UntagPolicy",
            "iam::{account}:policy/{aws_iam_policy}",
        ),
    ),
    "data.aws_caller_identity": (),
    "data.aws_iam_policy_document": (),
    "aws_iam_role": (
        read("iam", "GetRole ListRolePolicies ListAttachedRolePolicies GetRolePolicy", ROLE),
        write(
            "iam",
            "CreateRole DeleteRole UpdateRole UpdateRoleDescription UpdateAssumeRolePolicy "
            "TagRole UntagRole ListInstanceProfilesForRole",
            ROLE,
        ),
    ),
    "aws_iam_role_policy": (
        read("iam", "GetRolePolicy", ROLE),
        write("iam", "PutRolePolicy DeleteRolePolicy", ROLE),
    ),
    "aws_iam_role_policy_attachment": (
        read("iam", "ListAttachedRolePolicies", ROLE),
        write("iam", "AttachRolePolicy DetachRolePolicy", ROLE),
    ),
    "aws_kms_alias": (
        read("kms", "ListAliases", ANYWHERE),
        write(
            "kms",
            "CreateAlias UpdateAlias DeleteAlias",
            "kms:{region}:{account}:{aws_kms_alias}",
            _KEY,
        ),
    ),
    "aws_kms_key": (
        read("kms", "DescribeKey GetKeyPolicy GetKeyRotationStatus ListResourceTags", _KEY),
        write("kms", "CreateKey", ANYWHERE),
        write(
            "kms",
            "TagResource UntagResource PutKeyPolicy EnableKeyRotation UpdateKeyDescription",
            _KEY,
        ),
        # Ids of keys are not known in advance; tags count some minutes after they are set.
        write(
            "kms",
            "ScheduleKeyDeletion",
            _KEY,
            condition=equals("aws:ResourceTag/environment", "{environment}"),
        ),
        # What uses the key asks on behalf of the caller.
        write(
            "kms",
            "CreateGrant Decrypt DescribeKey Encrypt GenerateDataKey",
            _KEY,
            condition=equals(
                "kms:ViaService",
                "dynamodb.{region}.amazonaws.com",
                "s3.{region}.amazonaws.com",
            ),
        ),
        service_linked_role(
            "mrk.kms.amazonaws.com", "AWSServiceRoleForKeyManagementServiceMultiRegionKeys"
        ),
    ),
    "aws_kms_replica_key": (write("kms", "ReplicateKey", _KEY),),
    "aws_s3_bucket": (
        # GetBucketAbac and ListTagsForResource: from version 6.23 of the provider on.
        read(
            "s3",
            "GetAccelerateConfiguration GetBucketAbac GetBucketAcl GetBucketCORS "
            "GetBucketLogging GetBucketObjectLockConfiguration GetBucketPolicy "
            "GetBucketRequestPayment GetBucketTagging GetBucketVersioning GetBucketWebsite "
            "GetEncryptionConfiguration GetLifecycleConfiguration GetReplicationConfiguration "
            "ListBucket ListTagsForResource",
            _BUCKET,
        ),
        write(
            "s3",
            "CreateBucket DeleteBucket PutBucketTagging TagResource UntagResource "
            "ListBucketVersions",
            _BUCKET,
        ),
        # `force_destroy` empties it.
        write("s3", "DeleteObject DeleteObjectVersion", f"{_BUCKET}/*"),
    ),
    "aws_s3_bucket_policy": (
        read("s3", "GetBucketPolicy", _BUCKET),
        write("s3", "PutBucketPolicy DeleteBucketPolicy", _BUCKET),
    ),
    "aws_s3_bucket_public_access_block": (
        read("s3", "GetBucketPublicAccessBlock", _BUCKET),
        write("s3", "PutBucketPublicAccessBlock", _BUCKET),
    ),
    "aws_s3_bucket_server_side_encryption_configuration": (
        read("s3", "GetEncryptionConfiguration", _BUCKET),
        write("s3", "PutEncryptionConfiguration", _BUCKET),
    ),
    "aws_s3_object": (
        read("s3", "ListBucket", _BUCKET),
        read("s3", "GetObject GetObjectTagging", f"{_BUCKET}/*"),
        write("s3", "ListBucketVersions", _BUCKET),
        write(
            "s3",
            "PutObject DeleteObject DeleteObjectVersion",
            f"{_BUCKET}/*",
        ),
    ),
    "aws_sns_topic": (
        read("sns", "GetTopicAttributes ListTagsForResource", _TOPIC),
        write(
            "sns", "CreateTopic DeleteTopic SetTopicAttributes TagResource UntagResource", _TOPIC
        ),
    ),
    "aws_sns_topic_subscription": (
        read("sns", "GetSubscriptionAttributes", ANYWHERE),
        write("sns", "Subscribe", _TOPIC),
        write("sns", "Unsubscribe", ANYWHERE),
    ),
    "terraform_data": (),
    # The state of another stack, which is among those that Terraform keeps.
    "data.terraform_remote_state": (),
}
"""`{type of resource or data source, or type.argument if only that needs it: what is called}`."""
