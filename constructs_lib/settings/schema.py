"""The environment file: one `environments/<name>.toml`.

Reads and validates a file without importing cdktf or the provider bindings, in a fraction of a
second. All errors of a file are reported together, each with what is allowed and the fix.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from constructs_lib.dynamodb.consistency import Consistency
from constructs_lib.route53.routing_records import ALIAS_TTL_SECONDS, HEAVIEST
from constructs_lib.settings.errors import (
    SettingsError,
    Violation,
    field_violations,
    name_violations,
    unknown_key_violation,
)
from constructs_lib.settings.validation import OWN_TAGS, cross_violations

RetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
]  # fmt: skip
"""Days that CloudWatch Logs can keep a log group.

Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
"""

PROVISIONED_MAX = 10_000
DOMAIN_PATTERN = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$"
EMAIL_PATTERN = r"^[A-Za-z0-9._%+'/=!#&*?^~-]+@([A-Za-z0-9-]+\.)+[A-Za-z]{2,63}$"
"""Without braces: Terraform would read an expression."""
PROOF_PATTERN = r"^[a-z][a-z-]*(:[a-z0-9-]+(\+[a-z0-9-]+)*)?$"
"""A fault of a drill, and the Regions that are lost."""
PLANS_MAX = 300
"""Usage plans of an account and Region.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
"""
CUSTOMERS_MAX = 1000
"""Customers of an environment; with two keys each, far below API Gateway's 10,000 keys."""
TAG_PATTERN = r"^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$"
"""What the service models of IAM, ACM, CloudWatch Logs, SNS and WAFv2 allow in keys and values.

Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html
"""


def _setting(description: str, *, allowed: str, fix: str, **constraints: Any) -> Any:
    """One key of the file: what it means, what is allowed, and how to fix an error."""
    return Field(
        description=description, json_schema_extra={"allowed": allowed, "fix": fix}, **constraints
    )


class _Section(BaseModel):
    """A table of the file: unknown keys are errors, and nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ApiSettings(_Section):
    """The REST API that every Region serves."""

    name: str = _setting(
        "Prefix of every API, function, role and log group; names stay within 64 characters.",
        allowed="1 to 12 lowercase letters, digits and hyphens, starting with a letter",
        fix='shorten it or replace the other characters, for example name = "orders"',
        pattern=r"^[a-z][a-z0-9-]{0,11}$",
    )
    stage: str = _setting(
        "Name of the stage, and the base path on the domain: both URLs end in the same path.",
        allowed="1 to 32 letters, digits, hyphens and underscores",
        fix='use a version, for example stage = "v1"',
        default="v1",
        pattern=r"^[A-Za-z0-9_-]{1,32}$",
    )
    rate_per_second: float = _setting(
        "Steady requests per second of each method, of all customers together, in each Region.",
        allowed="a number above 0 and up to 10000, the default quota of an account in a Region; "
        "up to 2500 in Regions where it is less",
        fix="set the rate you expect at peak, for example rate_per_second = 100.0",
        default=100.0,
        gt=0,
        le=10000,
    )
    burst: int = _setting(
        "Requests of each method that may arrive at once, in each Region.",
        allowed="a whole number from 1 to 5000, the default quota of an account in a Region; up to "
        "1250 in Regions where it is less",
        fix="set about twice the rate, for example burst = 200",
        default=200,
        ge=1,
        le=5000,
    )
    clock_tolerance_seconds: int = _setting(
        "How far in the future a time that clients send may be, as clocks may be fast; functions "
        "read it as CLOCK_TOLERANCE_SECONDS.",
        allowed="a whole number from 1 to 86400",
        fix="set clock_tolerance_seconds = 300, and have clocks that are further off corrected",
        default=300,
        ge=1,
        le=86400,
    )
    log_retention_days: RetentionDays = _setting(
        "Days that function logs and access logs are kept.",
        allowed="1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, "
        "2557, 2922, 3288 or 3653",
        fix="take the next longer of the allowed values, for example log_retention_days = 30",
        default=30,
    )
    access_logs: bool = _setting(
        "Write one JSON line per request. API Gateway needs its account-wide log role for it.",
        allowed="true or false",
        fix="write access_logs = true or access_logs = false, without quotes",
        default=True,
    )
    manage_account_log_role: bool = _setting(
        "Create the role that lets API Gateway write logs and set it for the whole account in "
        "each Region. It belongs to the account: leave it false where something else sets it. From "
        "version 6 of the provider on, destroying the environment clears it for every API of the "
        "Region.",
        allowed="true or false",
        fix="write manage_account_log_role = true or = false, without quotes",
        default=False,
    )
    tracing: bool = _setting(
        "Trace requests and functions with AWS X-Ray.",
        allowed="true or false",
        fix="write tracing = true or tracing = false, without quotes",
        default=True,
    )
    execute_api_endpoint: bool = _setting(
        "Respond at the host name that AWS gives the API in each Region, too. With false, each "
        "Region needs its own name: domain.regional_names.",
        allowed="true, or false together with domain.regional_names = true",
        fix="write execute_api_endpoint = true or = false, without quotes",
        default=True,
    )


class PlanSettings(_Section):
    """Limits of a plan; they apply to each API key separately, in each Region."""

    rate_per_second: float = _setting(
        "Steady requests per second of each API key, in each Region.",
        allowed="a number above 0 and up to 10000, not above that of [api]",
        fix="set the rate that is sold, for example rate_per_second = 50.0",
        gt=0,
        le=10000,
    )
    burst: int = _setting(
        "Requests of each API key that may arrive at once, in each Region.",
        allowed="a whole number from 1 to 5000, not above that of [api]",
        fix="set about twice the rate, for example burst = 100",
        ge=1,
        le=5000,
    )
    monthly_quota: int | None = _setting(
        "Requests of each API key in a month, in each Region; none by default.",
        allowed="a whole number from 1 to 2147483647",
        fix="for example monthly_quota = 1000000, or leave it out for no quota",
        default=None,
        ge=1,
        le=2147483647,
    )
    daily_quota: int | None = _setting(
        "The same for a day; a plan has at most one of the two.",
        allowed="a whole number from 1 to 2147483647",
        fix="for example daily_quota = 10000, or leave it out for no quota",
        default=None,
        ge=1,
        le=2147483647,
    )


class CustomerSettings(_Section):
    """A customer: with an API key that is valid in every Region."""

    name: str = _setting(
        "Name of the customer; part of the names of the keys.",
        allowed="1 to 32 lowercase letters, digits and hyphens, starting with a letter",
        fix='replace the other characters, for example name = "acme"',
        pattern=r"^[a-z][a-z0-9-]{0,31}$",
    )
    plan: str = _setting(
        "Name of the customer's plan.",
        allowed="the name of a plan in this file",
        fix='for example plan = "standard", with a table [plans.standard]',
    )
    keys: tuple[Annotated[int, Field(ge=1, le=9999)], ...] = _setting(
        "Numbers of the valid API keys: one, or two while a key is rotated.",
        allowed="one or two different whole numbers from 1 to 9999",
        fix="for example keys = [1]",
        default=(1,),
        min_length=1,
        max_length=2,
    )


class TableSettings(_Section):
    """The DynamoDB global table."""

    name: str = _setting(
        "Name of the table, the same in every Region.",
        allowed="3 to 255 letters, digits, underscores, hyphens and dots",
        fix='for example name = "orders"',
        pattern=r"^[A-Za-z0-9_.-]{3,255}$",
    )
    deletion_protection: bool = _setting(
        "Refuse to delete the table or a replica, in every Region.",
        allowed="true or false",
        fix="write deletion_protection = true or = false, without quotes",
        default=True,
    )
    point_in_time_recovery: bool = _setting(
        "Keep continuous backups of the last 35 days, in every Region.",
        allowed="true or false",
        fix="write point_in_time_recovery = true or = false, without quotes",
        default=True,
    )
    consistency: Consistency = _setting(
        "Between the Regions: eventual (a write reaches the others within about a second, and the "
        "last writer of an item wins) or strong (a write is stored in two Regions before it is "
        "acknowledged, and every Region reads it). Strong needs exactly three Regions, or two and "
        "witness_region, and version 6.22 or newer of the AWS provider.",
        allowed='"eventual" or "strong"; fixed once it is deployed',
        fix='set consistency = "eventual"',
        default="eventual",
    )
    witness_region: str | None = _setting(
        "With strong consistency and two Regions, a third one that stores what is written, and "
        "serves nothing. None by default.",
        allowed="an AWS Region of the same Region set that is none of regions; fixed once it is "
        "deployed",
        fix='for example witness_region = "us-east-2", or leave it out',
        default=None,
    )


class DomainSettings(_Section):
    """The domain name that customers call."""

    zone_name: str = _setting(
        "Name of the public hosted zone.",
        allowed="a lowercase domain name without a trailing dot",
        fix='for example zone_name = "example.com"',
        pattern=DOMAIN_PATTERN,
    )
    record_name: str = _setting(
        "Fully qualified name of the API, within the zone.",
        # https://docs.aws.amazon.com/acm/latest/userguide/acm-limits.html
        allowed="a lowercase domain name within zone_name, without a trailing dot, of up to 64 "
        "characters, which is what a certificate's common name takes",
        fix='for example record_name = "api.example.com"',
        pattern=DOMAIN_PATTERN,
        max_length=64,
    )
    create_zone: bool = _setting(
        "Create the hosted zone (true) or look up one that exists (false).",
        allowed="true or false",
        fix="write create_zone = true or create_zone = false, without quotes",
        default=False,
    )
    regional_names: bool = _setting(
        "Give each Region its own name, <region>.<record_name>, for health checks and for direct "
        "access.",
        allowed="true or false",
        fix="write regional_names = true or regional_names = false, without quotes",
        default=False,
    )
    accelerated_recovery: bool = _setting(
        "Make changes of the zone possible again within about an hour of an outage of us-east-1, "
        "where Route 53's control plane is. Failover does not need it. It needs version 6.25 or "
        "newer of the AWS provider.",
        allowed="true or false; true with create_zone = true only",
        fix="write accelerated_recovery = true or = false, without quotes",
        default=False,
    )
    query_logging: bool = _setting(
        "Log the DNS queries for the zone, all its names included, in CloudWatch Logs in "
        "us-east-1.",
        allowed="true or false",
        fix="write query_logging = true or query_logging = false, without quotes",
        default=False,
    )
    ttl_seconds: int = _setting(
        "Seconds that a resolver may keep an answer, and so the last part of a failover. With 60, "
        "A and AAAA alias records answer the name; with less, CNAME records do, for which Route 53 "
        "bills every query.",
        allowed=f"a whole number from 1 to {ALIAS_TTL_SECONDS}; {ALIAS_TTL_SECONDS} if record_name "
        "is zone_name. Between 60 and less, a deployed environment changes by steps only",
        fix=f"set ttl_seconds = {ALIAS_TTL_SECONDS}, or 10 for a shorter recovery time",
        default=ALIAS_TTL_SECONDS,
        ge=1,
        le=ALIAS_TTL_SECONDS,
    )


class HealthCheckSettings(_Section):
    """How Route 53 watches each Region."""

    interval_seconds: Literal[10, 30] = _setting(
        "Seconds between two requests of one health checker.",
        allowed="30 (standard) or 10 (fast, at a higher price)",
        fix="set interval_seconds = 30 or interval_seconds = 10",
        default=30,
    )
    failure_threshold: int = _setting(
        "Consecutive results that change the state of a health check, in both directions. With 1, "
        "one response that is late for nearly all checkers is a failover.",
        allowed="a whole number from 1 to 10",
        fix="set failure_threshold = 3",
        default=3,
        ge=1,
        le=10,
    )
    reserved_concurrency: int | None = _setting(
        "Concurrent invocations that are kept for each of the two functions that health checks "
        "call, whatever the customers' functions use, and the most that each gets; taken from the "
        "account's quota in each Region, which must allow it: a new account has 10 in all, and the "
        "functions would exist without the deployment knowing them. None by default.",
        # https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
        allowed="a whole number from 1 to 450: of the usual quota of 1000, two functions take it "
        "and 100 stay for all others",
        fix="set reserved_concurrency = 10, or leave it out where the account's quota is small",
        default=None,
        ge=1,
        le=450,
    )


class CapacitySettings(_Section):
    """What a Region has ready before customers come."""

    provisioned_concurrency: int = _setting(
        "Environments that are kept ready for each function that customers call: none of their "
        "requests starts one, which takes up to a second. They are billed by the hour.",
        allowed="a whole number from 0 to 10000; all together leave 100 of concurrency_quota",
        fix="set about the requests a second of an operation times the seconds that one takes, for "
        "example provisioned_concurrency = 2",
        default=0,
        ge=0,
        le=PROVISIONED_MAX,
    )
    operations: dict[str, Annotated[int, Field(ge=0, le=PROVISIONED_MAX)]] = _setting(
        "The same for single operations, in the place of provisioned_concurrency.",
        allowed="a whole number from 0 to 10000 for each, by the name of the operation; not above "
        "what is reserved for it",
        fix="for example operations = { get_weather = 20 }",
        default={},
    )
    concurrency_quota: int = _setting(
        "Lambda's quota of concurrent executions of the account in this Region: what is reserved "
        "and provisioned must leave 100 of it. It sets nothing; verify compares quotas.",
        # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
        allowed="a whole number from 1 to 1000000",
        fix="see aws lambda get-account-settings --region REGION",
        default=1000,
        ge=1,
        le=1_000_000,
    )


class EncryptionSettings(_Section):
    """Encryption at rest of data and logs."""

    customer_managed_key: bool = _setting(
        "Encrypt the table, its replicas, the log groups and the functions' code with a KMS key of "
        "this account: a multi-Region key with a replica in each Region. With false, with keys "
        "that AWS owns. A replica that cannot use its key for 20 hours becomes a separate table.",
        allowed="true or false; fixed once it is deployed",
        fix="write customer_managed_key = true or = false, without quotes",
        default=False,
    )


class WebAclSettings(_Section):
    """An AWS WAF web ACL in front of the API, in each Region."""

    requests_per_five_minutes: int = _setting(
        "Requests of one IP address within five minutes, after which it is blocked for a while.",
        # https://docs.aws.amazon.com/waf/latest/developerguide/waf-rule-statement-type-rate-based.html
        allowed="a whole number from 10 to 2000000000",
        fix="for example requests_per_five_minutes = 2000",
        default=2000,
        ge=10,
        le=2000000000,
    )
    action: Literal["block", "count"] = _setting(
        "What happens to a request that a rule matches: it is blocked, or only counted.",
        allowed='"block" or "count"',
        fix='set action = "block"',
        default="block",
    )


class MonitoringSettings(_Section):
    """Alarms and the dashboard; failover does not depend on them."""

    alarms: bool = _setting(
        "Create CloudWatch alarms on health checks, APIs, functions, the table, replication, and "
        "the secondary Region serving customers, and an SNS topic in each Region for them.",
        allowed="true or false",
        fix="write alarms = true or alarms = false, without quotes",
        default=False,
    )
    emails: tuple[Annotated[str, Field(pattern=EMAIL_PATTERN, max_length=254)], ...] = _setting(
        "Who is notified of alarms; each confirms a mail that AWS sends for every topic.",
        allowed="a list of e-mail addresses in quotes, each once, in ASCII and of up to 254 "
        "characters, together with alarms = true",
        fix='for example emails = ["on-call@example.com"]',
        default=(),
    )
    dashboard: bool = _setting(
        "Create a CloudWatch dashboard with all Regions side by side.",
        allowed="true or false",
        fix="write dashboard = true or dashboard = false, without quotes",
        default=False,
    )


class DrillsSettings(_Section):
    """What failover drills need that AWS Fault Injection Service injects; nothing else uses it."""

    fault_injection_service: bool = _setting(
        "Create in each Region an experiment template of AWS Fault Injection Service that pauses "
        "the replication of the table, with its role and log group. Nothing runs until a drill "
        "starts it.",
        allowed="true or false; true only together with alarms = true in [monitoring] and an "
        "eventually consistent table",
        fix="write fault_injection_service = true or fault_injection_service = false, without "
        "quotes",
        default=False,
    )
    experiment_minutes: int = _setting(
        "How long an experiment lasts if neither the drill nor an alarm stops it before.",
        # https://docs.aws.amazon.com/fis/latest/userguide/fis-actions-reference.html
        allowed="a whole number from 10, as replication may continue for 5 minutes, to 120",
        fix="for example experiment_minutes = 30",
        default=30,
        ge=10,
        le=120,
    )


class ObjectivesSettings(_Section):
    """What a failover must keep, and which drills must prove it; nothing is deployed for it."""

    rto_seconds: float | None = _setting(
        "Recovery time objective: longest time from the first failed request until another Region "
        "serves. Drills pass or fail by it; without it, by what the health checks and the time to "
        "live add up to.",
        allowed="a number up to 86400, not below interval_seconds x failure_threshold of "
        "[health_check] + ttl_seconds of [domain]",
        fix="for example rto_seconds = 180, or leave it out",
        default=None,
        gt=0,
        le=86400,
    )
    rpo_seconds: float | None = _setting(
        "Recovery point objective: how long before the fault a write may have been acknowledged "
        "that is lost, or not there yet when another Region takes over. Drills pass or fail by it. "
        "None by default.",
        allowed="a number above 0 and up to 86400",
        fix="for example rpo_seconds = 5, or leave it out",
        default=None,
        gt=0,
        le=86400,
    )
    proofs: tuple[Annotated[str, Field(pattern=PROOF_PATTERN, max_length=128)], ...] = _setting(
        "Faults of which a drill must have passed, for `ops readiness`. One without a Region means "
        "the primary with failover routing, else each Region. Default: every fault that a drill "
        "can inject into the environment.",
        allowed="a list of different names such as switch, or of names with the Regions that are "
        "lost, such as switch:us-west-2 or refuse:us-east-1+us-west-2",
        fix='for example proofs = ["switch"], or leave it out',
        default=(),
    )
    proof_days: int = _setting(
        "Days after which a drill no longer counts.",
        allowed="a whole number from 1 to 3650",
        fix="set proof_days = 90",
        default=90,
        ge=1,
        le=3650,
    )
    sign_records: bool = _setting(
        "Sign the records of drills with a KMS key of this account, in the secondary Region. "
        "Without it, whoever may write all records may invent them.",
        allowed="true or false",
        fix="write sign_records = true or sign_records = false, without quotes",
        default=False,
    )


class LocalBackend(_Section):
    """Terraform state in a file beside the synthesized output: for trials, not for a team."""

    type: Literal["local"]


class S3Backend(_Section):
    """Terraform state in Amazon S3, locked by a lock file in the same bucket."""

    type: Literal["s3"]
    bucket: str = _setting(
        "Name of the bucket that holds the state.",
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
        allowed="3 to 63 lowercase letters, digits and hyphens, in parts that dots join",
        fix='for example bucket = "example-terraform-state"',
        pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$",
        min_length=3,
        max_length=63,
    )
    key: str = _setting(
        "Key of the state object in the bucket.",
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
        allowed="up to 1024 letters, digits and !_.*'()=+@:- in parts that single slashes join",
        fix='for example key = "failover-api/production.tfstate"',
        pattern=r"^[A-Za-z0-9!_.*'()=+@:-]+(/[A-Za-z0-9!_.*'()=+@:-]+)*$",
        max_length=1024,
    )
    region: str = _setting(
        "Region of the bucket; not the primary Region, whose loss the state must survive.",
        allowed="an AWS Region other than the first of regions",
        fix='for example region = "us-west-2"',
    )


Backend = Annotated[LocalBackend | S3Backend, Field(discriminator="type")]


def _not_reserved(tag_key: str) -> str:
    if tag_key.lower().startswith("aws:"):
        raise ValueError("keys that start with aws: belong to AWS")
    return tag_key


class Settings(_Section):
    """One validated environment file.

    `name` is the file's name without `.toml`; it names the stacks.
    """

    name: str
    regions: tuple[str, ...] = _setting(
        "Regions in order; the first is the primary.",
        allowed="two or more different AWS Regions",
        fix='for example regions = ["us-east-1", "us-west-2"]',
        min_length=2,
    )
    routing_policy: Literal["failover", "latency", "weighted"] = _setting(
        "How DNS chooses a Region: failover (the first healthy one in the order of regions), "
        "latency (the nearest healthy one) or weighted (healthy ones in proportion to weights).",
        allowed='"failover", "latency" or "weighted"',
        fix='set routing_policy = "failover"',
        default="failover",
    )
    weights: dict[str, Annotated[int, Field(ge=0, le=HEAVIEST)]] = _setting(
        "With weighted routing, the weight of each Region: its share of the DNS answers is its "
        "weight out of the sum of the healthy ones. A Region of weight 0 serves only while every "
        "other one is unhealthy. Without it, all weigh the same.",
        # https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/resource-record-sets-values-weighted.html
        allowed=f"a whole number from 0 to {HEAVIEST} for each of regions, one of them above 0; "
        'with routing_policy = "weighted" only',
        fix="for example weights = { us-east-1 = 90, us-west-2 = 10 }",
        default={},
    )
    failback: Literal["automatic", "manual"] = _setting(
        "With failover routing, what happens when a Region that failed over is healthy again: it "
        "serves again (automatic), or it stays out of service until an operator restores it with "
        "`python -m ops switch restore REGION` (manual).",
        allowed='"automatic" or "manual"; "manual" with routing_policy = "failover" only',
        fix='set failback = "automatic"',
        default="automatic",
    )
    fence_writes: bool = _setting(
        "Let an evacuated Region refuse writes with 503 and `Retry-After`, once DNS routes nobody "
        "there any more or as `python -m ops switch evacuate --fence` says, so that nothing is "
        "acknowledged there that the Regions in service may never see. Reads are served.",
        allowed="true or false",
        fix="write fence_writes = true or fence_writes = false, without quotes",
        default=False,
    )
    layout: Literal["single", "regional"] = _setting(
        "How many stacks, each with its own state, the environment is: one (single), or one for "
        "the data, one for each Region and one for the routing (regional). Regions are then "
        "deployed one after the other, and each also while another one is lost.",
        allowed='"single" or "regional"; an environment that is deployed changes it step by step',
        fix='set layout = "single" for a trial, or layout = "regional" for production',
        default="single",
    )
    allowed_account_ids: tuple[Annotated[str, Field(pattern=r"^[0-9]{12}$")], ...] = _setting(
        "AWS accounts that Terraform may change; empty allows every account.",
        allowed="a list of 12-digit account ids in quotes",
        fix='for example allowed_account_ids = ["111122223333"]',
        default=(),
    )
    api: ApiSettings = _setting(
        "The REST API.", allowed="a table", fix='add [api] with name = "orders"'
    )
    table: TableSettings = _setting(
        "The global table.", allowed="a table", fix='add [table] with name = "orders"'
    )
    domain: DomainSettings = _setting(
        "The domain.", allowed="a table", fix="add [domain] with zone_name and record_name"
    )
    health_check: HealthCheckSettings = _setting(
        "The health checks.",
        allowed="a table",
        fix="write [health_check]",
        default=HealthCheckSettings(),
    )
    capacity: dict[str, CapacitySettings] = _setting(
        "What single Regions have ready before customers come, such as the secondary before a "
        "failover, by Region.",
        allowed="tables [capacity.<region>], each of one of regions",
        fix="for example [capacity.us-west-2] with provisioned_concurrency = 2",
        default={},
    )
    encryption: EncryptionSettings = _setting(
        "Encryption at rest.",
        allowed="a table",
        fix="write [encryption]",
        default=EncryptionSettings(),
    )
    web_acl: WebAclSettings | None = _setting(
        "An AWS WAF web ACL in front of each Region; none without this table.",
        allowed="a table",
        fix="write [web_acl], or remove it for none",
        default=None,
    )
    monitoring: MonitoringSettings = _setting(
        "Alarms and the dashboard.",
        allowed="a table",
        fix="write [monitoring]",
        default=MonitoringSettings(),
    )
    drills: DrillsSettings = _setting(
        "What drills on AWS need.",
        allowed="a table",
        fix="write [drills]",
        default=DrillsSettings(),
    )
    objectives: ObjectivesSettings | None = _setting(
        "RTO and RPO, and the drills that must prove them; none without this table.",
        allowed="a table",
        fix="write [objectives], or remove it for none",
        default=None,
    )
    plans: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")], PlanSettings] = _setting(
        "Plans that are sold, by name.",
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
        allowed=f"up to {PLANS_MAX} tables [plans.<name>]; names of 1 to 32 lowercase letters, "
        "digits and hyphens, starting with a letter",
        fix="for example [plans.standard] with rate_per_second = 50.0 and burst = 100",
        default={},
        max_length=PLANS_MAX,
    )
    customers: tuple[CustomerSettings, ...] = _setting(
        "Who has API keys.",
        allowed=f"up to {CUSTOMERS_MAX} tables [[customers]], each with name and plan: Terraform "
        "needs minutes for so many",
        fix='for example [[customers]] with name = "acme" and plan = "standard"',
        default=(),
        max_length=CUSTOMERS_MAX,
    )
    tags: dict[
        Annotated[
            str,
            Field(pattern=TAG_PATTERN, min_length=1, max_length=128),
            AfterValidator(_not_reserved),
        ],
        Annotated[str, Field(pattern=TAG_PATTERN, max_length=256)],
    ] = _setting(
        "Tags of every resource that takes tags, beside environment, which is always set.",
        # https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeTagsForResource.html
        allowed="up to 8 pairs of strings (Route 53 takes 10 tags, of which the stack sets 2) of "
        "letters, digits, spaces and _.:/=+@- without combining marks; keys of 1 to 128 characters "
        "that do not start with aws: and differ in more than case from each other and from "
        f"{', '.join(OWN_TAGS)}; values of up to 256 characters",
        fix='keep what you report or charge by, for example team = "platform"',
        default={},
        max_length=8,
    )
    backend: Backend = _setting(
        "Where Terraform keeps its state.",
        allowed='type = "local" or type = "s3"',
        fix='add [backend] with type = "local", or "s3" with bucket, key and region',
    )

    @property
    def primary_region(self) -> str:
        """The first Region: with failover routing, it serves all traffic while it is healthy."""
        return self.regions[0]


def load(path: Path) -> Settings:
    """Read one environment file.

    Args:
        path: The TOML file; its name without `.toml` becomes the name of the environment.

    Returns:
        The validated settings.

    Raises:
        SettingsError: The file is missing, is not TOML, or has errors; all are listed.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.toml"))) or "none"
        raise SettingsError(path, [
            Violation("", "the environment file does not exist", f"one of: {known}",
                  "name an existing environment or write this file from example.toml"),
        ]) from None  # fmt: skip
    except OSError as error:
        raise SettingsError(path, [
            Violation("", f"cannot be read: {error.strerror}", "a file that you may read",
                  "rename or remove it if it is not an environment, or make it readable"),
        ]) from None  # fmt: skip
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(path, [
            Violation("", f"not a TOML file: {error}", "TOML 1.0 in UTF-8",
                  "fix the line; strings need double quotes"),
        ]) from None  # fmt: skip

    violations = [*name_violations(path.stem), *cross_violations(values)]
    try:
        settings = Settings.model_validate({**_with_tuples(values), "name": path.stem})
    except ValidationError as error:
        violations = [*field_violations(error, Settings), *violations]
    if "name" in values:
        violations.append(unknown_key_violation(("name",), Settings))
    if violations:
        raise SettingsError(path, violations)
    return settings


def _with_tuples(value: Any) -> Any:
    """TOML arrays as tuples: a strict model takes nothing else for one, and stays hashable."""
    if isinstance(value, dict):
        return {key: _with_tuples(inner) for key, inner in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value
