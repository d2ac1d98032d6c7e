"""What the operator's commands call on AWS.

One line for each kind of call, so that a command that calls more gets another line; a test compares
them with what the commands call in the sandbox.
"""

from collections.abc import Mapping

from ops.iam.policy import ANYWHERE, Conditions, Grant
from ops.verify.health_states import METRICS_REGION

_SECONDARY_TABLE = "dynamodb:{secondary}:{account}:table/{table}"
_TABLES = "dynamodb:{region}:{account}:table/{table}"
_EXPERIMENTS = "fis:{region}:{experiment_account}:experiment/*"
_OWN_PARTITIONS: Conditions = {
    "ForAllValues:StringLike": {
        "dynamodb:LeadingKeys": ("{partition}", "operations-lock", "api-key-*", "verify*")
    }
}
"""Items of evacuations, the lock, claimed keys and `verify`; no item of the API.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
"""


def _through_dynamodb(region: str) -> Grant:
    """A table with a key of the account asks KMS on behalf of the caller."""
    return Grant(
        "kms",
        "Decrypt DescribeKey",
        (f"kms:{{{region}}}:{{account}}:key/*",),
        {"StringEquals": {"kms:ViaService": (f"dynamodb.{{{region}}}.amazonaws.com",)}},
    )


_STATE_BUCKET, _RECORDS = "s3:::{state_bucket}", "s3:::{state_bucket}/{releases}"
_NEW_OBJECT: Conditions = {"Null": {"s3:if-none-match": ("false",)}}
"""The request must refuse to replace an object.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes-enforce.html
"""
RECORDS = (
    # That an object does not exist is said only to whoever may list the bucket.
    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    Grant("s3", "ListBucket", (_STATE_BUCKET,)),
    # What was released, and what drills have left.
    Grant("s3", "GetObject", (f"{_RECORDS}history.json", f"{_RECORDS}drills/*")),
    Grant("kms", "GetPublicKey", ("{records_key}",)),
)
"""Records of drills, beside the state; nothing if that is in files."""

SWITCH = (
    Grant("sts", "GetCallerIdentity", (ANYWHERE,)),
    Grant("dynamodb", "DescribeTable", (_SECONDARY_TABLE,)),
    # Evacuations, in every replica, and the lock.
    Grant("dynamodb", "GetItem PutItem UpdateItem DeleteItem", (_TABLES,), _OWN_PARTITIONS),
    # How long DNS takes to follow, and which Regions would take over.
    Grant("route53", "GetHealthCheck", ("route53:::healthcheck/{evacuation_check}",)),
    Grant("route53", "GetHealthCheckStatus", ("route53:::healthcheck/{endpoint_check}",)),
    _through_dynamodb("region"),
)
VERIFY = (
    Grant("sts", "GetCallerIdentity", (ANYWHERE,)),
    Grant("acm", "DescribeCertificate", ("{certificate}",)),
    Grant(
        "apigateway",
        "GET",
        (
            "apigateway:{api}",
            "apigateway:{api}/*",
            # With values: whether each Region accepts the same keys.
            "apigateway:{region}::/apikeys",
            "apigateway:{region}::/usageplans",
            "apigateway:{region}::/usageplans/*",
            "apigateway:{region}::/account",
            "apigateway:{region}::/domainnames/{record}",
        ),
    ),
    # Of Route 53's health checks, which all are in one Region.
    Grant(
        "cloudwatch",
        "GetMetricStatistics",
        (ANYWHERE,),
        {"StringEquals": {"aws:RequestedRegion": (METRICS_REGION,)}},
    ),
    # What each Region has used; the action knows no resources.
    Grant("cloudwatch", "GetMetricData", (ANYWHERE,)),
    Grant("dynamodb", "DescribeTable DescribeContinuousBackups DescribeTimeToLive", (_TABLES,)),
    # Quotas of the account.
    Grant("dynamodb", "DescribeLimits", (ANYWHERE,)),
    Grant("lambda", "GetAccountSettings", (ANYWHERE,)),
    # The lock is read; an item is written and removed to measure replication.
    Grant("dynamodb", "GetItem PutItem DeleteItem", (_TABLES,), _OWN_PARTITIONS),
    # The names end in `*`, so that their aliases and versions are included.
    Grant(
        "lambda",
        "GetAlias GetFunctionConfiguration GetFunctionConcurrency GetProvisionedConcurrencyConfig",
        ("lambda:{function}",),
    ),
    Grant(
        "route53", "GetHealthCheck GetHealthCheckStatus", ("route53:::healthcheck/{health_check}",)
    ),
    Grant(
        "route53",
        "GetHostedZone ListQueryLoggingConfigs ListResourceRecordSets",
        ("route53:::hostedzone/{zone}",),
    ),
    # What drills start, and whether one of them still runs.
    Grant("fis", "GetExperimentTemplate", ("fis:{experiment_template}",)),
    Grant("fis", "ListExperiments", (ANYWHERE,)),
    Grant("iam", "GetRole", ("iam::{experiment_account}:role/*-drills-{region}",)),
    # The state of the replicas' keys, whose ids only DynamoDB knows.
    Grant("kms", "DescribeKey", ("kms:{region}:{account}:key/*",)),
    _through_dynamodb("region"),
)
DRILL = (
    *SWITCH,
    # Before and after a drill.
    *VERIFY,
    Grant(
        "lambda",
        "GetFunctionConcurrency PutFunctionConcurrency DeleteFunctionConcurrency",
        ("lambda:{health_function}",),
    ),
    # As a publisher, at a location of its own.
    Grant("execute-api", "Invoke", ("execute-api:{invoked}/*",)),
    # Experiments of the environment's templates; each gets a tag with the environment's name.
    Grant(
        "fis",
        "StartExperiment",
        ("fis:{experiment_template}", _EXPERIMENTS),
        {"StringEquals": {"aws:RequestTag/environment": ("{environment}",)}},
    ),
    Grant(
        "fis",
        "TagResource",
        (_EXPERIMENTS,),
        {"StringEquals": {"aws:RequestTag/environment": ("{environment}",)}},
    ),
    Grant(
        "fis",
        "GetExperiment StopExperiment",
        (_EXPERIMENTS,),
        {"StringEquals": {"aws:ResourceTag/environment": ("{environment}",)}},
    ),
    Grant(
        "iam",
        "CreateServiceLinkedRole",
        ("iam::{experiment_account}:role/aws-service-role/fis.amazonaws.com/AWSServiceRoleForFIS",),
        {"StringEquals": {"iam:AWSServiceName": ("fis.amazonaws.com",)}},
    ),
    # A record of the drill: a new one only, and what names the last one. None is deleted.
    *RECORDS,
    Grant("s3", "PutObject", (f"{_RECORDS}drills/0*",), _NEW_OBJECT),
    Grant("s3", "PutObject", (f"{_RECORDS}drills/head.json",)),
    Grant("kms", "Sign", ("{records_key}",)),
)
READINESS = (
    Grant("sts", "GetCallerIdentity", (ANYWHERE,)),
    Grant("dynamodb", "DescribeTable", (_SECONDARY_TABLE,)),
    *RECORDS,
    # What is deployed now, to compare it with what was when a drill passed.
    Grant("apigateway", "GET", ("apigateway:{api}", "apigateway:{api}/*")),
    Grant("lambda", "GetFunctionConfiguration GetFunctionConcurrency", ("lambda:{function}",)),
    Grant("route53", "GetHealthCheck", ("route53:::healthcheck/{endpoint_check}",)),
)
RECONCILE = (
    Grant("sts", "GetCallerIdentity", (ANYWHERE,)),
    Grant("dynamodb", "DescribeTable DescribeTimeToLive Scan BatchGetItem", (_TABLES,)),
    # What was written in the last 24 hours, in each Region.
    Grant("dynamodb", "DescribeStream GetShardIterator GetRecords", (f"{_TABLES}/stream/*",)),
    _through_dynamodb("region"),
)
"""Comparing replicas: reads every item, and writes none."""

RECONCILE_APPLY = (
    Grant("sts", "GetCallerIdentity", (ANYWHERE,)),
    Grant("dynamodb", "DescribeTable", (_SECONDARY_TABLE,)),
    # The items that a reviewed plan names.
    Grant("dynamodb", "GetItem PutItem DeleteItem", (_TABLES,)),
    # The lock.
    Grant("dynamodb", "UpdateItem", (_SECONDARY_TABLE,), _OWN_PARTITIONS),
    _through_dynamodb("region"),
)
"""Carrying out a plan."""

RELEASE = (
    # The account is checked before anything changes.
    Grant("sts", "GetCallerIdentity", (ANYWHERE,)),
    Grant("dynamodb", "DescribeTable", (_SECONDARY_TABLE,)),
    # The lock, and the primary's evacuation if the secondary serves all customers for a while.
    Grant(
        "dynamodb", "GetItem PutItem UpdateItem DeleteItem", (_SECONDARY_TABLE,), _OWN_PARTITIONS
    ),
    _through_dynamodb("secondary"),
    # The gate: what each Region serves, and transactions as a publisher.
    Grant("apigateway", "GET", ("apigateway:{api}", "apigateway:{api}/*")),
    Grant("execute-api", "Invoke", ("execute-api:{invoked}/*",)),
    # Shares of requests for new versions; the names end in `*`, as above.
    Grant(
        "lambda",
        "GetAlias GetProvisionedConcurrencyConfig ListVersionsByFunction UpdateAlias",
        ("lambda:{function}",),
    ),
    # Alarms, and errors of new versions.
    Grant("cloudwatch", "DescribeAlarms GetMetricData", (ANYWHERE,)),
    # Releases and their history, beside the state; not the records of drills there.
    Grant(
        "s3",
        "GetObject PutObject DeleteObject",
        (f"{_RECORDS}history.json", f"{_RECORDS}kept/*"),
    ),
)
"""What `ops deploy` calls beside Terraform."""
OPERATOR: Mapping[str, tuple[Grant, ...]] = {
    "switch": SWITCH,
    "verify": VERIFY,
    "drill": DRILL,
    "reconcile": RECONCILE,
    "reconcile-apply": RECONCILE_APPLY,
    "readiness": READINESS,
}
"""`{command: what it calls}`."""
