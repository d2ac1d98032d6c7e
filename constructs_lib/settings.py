"""The environment file: one `environments/<name>.toml` is one stack.

Reads and validates a file without importing cdktf or the provider bindings, so that a mistake is
answered in a fraction of a second. All faults of a file are reported together, each with the value
got, what is allowed and the fix.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from constructs_lib.faults import (
    Fault,
    SettingsError,
    field_faults,
    name_faults,
    unknown_key_fault,
)
from constructs_lib.rules import cross_faults

__all__ = ["Settings", "SettingsError", "load"]

RetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
]  # fmt: skip
"""Days that CloudWatch Logs can keep a log group.

Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
"""

DOMAIN_PATTERN = r"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$"
TAG_PATTERN = r"^[\w .:/=+@-]*$"


def _setting(description: str, *, allowed: str, fix: str, **constraints: Any) -> Any:
    """One key of the file: what it means, what is allowed, and how a fault is mended."""
    return Field(
        description=description, json_schema_extra={"allowed": allowed, "fix": fix}, **constraints
    )


class _Section(BaseModel):
    """A table of the file: unknown keys are faults, and nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ApiSettings(_Section):
    """The REST API that every Region serves."""

    name: str = _setting(
        "Prefix of every API, function, role and log group; names stay within 64 characters.",
        allowed="1 to 12 lowercase letters, digits and hyphens, starting with a letter",
        fix='shorten it or replace the other characters, for example name = "weather"',
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
        allowed="a number above 0 and up to 10000 (the default quota of an account and Region)",
        fix="set the rate you expect at peak, for example rate_per_second = 100.0",
        default=100.0,
        gt=0,
        le=10000,
    )
    burst: int = _setting(
        "Requests of each method that may arrive at once, in each Region.",
        allowed="a whole number from 1 to 5000 (the default quota of an account and Region)",
        fix="set about twice the rate, for example burst = 200",
        default=200,
        ge=1,
        le=5000,
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
        "each Region. It belongs to the account: leave it false where something else sets it.",
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
        "Answer at the host name that AWS gives the API in each Region, too. With false, each "
        "Region needs a name of its own: domain.regional_names.",
        allowed="true, or false together with domain.regional_names = true",
        fix="write execute_api_endpoint = true or = false, without quotes",
        default=True,
    )


class PlanSettings(_Section):
    """What a customer of a plan may call; each API key is counted by itself, in each Region."""

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
        "The same for a day; a plan has one of the two at most.",
        allowed="a whole number from 1 to 2147483647",
        fix="for example daily_quota = 10000, or leave it out for no quota",
        default=None,
        ge=1,
        le=2147483647,
    )


class CustomerSettings(_Section):
    """Somebody who reads the weather: with an API key that opens every Region."""

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
        "Numbers of the API keys that open the API now: one, and two while a key is rotated.",
        allowed="one or two different whole numbers from 1 to 9999",
        fix="write keys = [1], or let python -m ops customers rotate write it",
        default=(1,),
        min_length=1,
        max_length=2,
    )


class TableSettings(_Section):
    """The DynamoDB global table."""

    name: str = _setting(
        "Name of the table, the same in every Region.",
        allowed="3 to 255 letters, digits, underscores, hyphens and dots",
        fix='for example name = "weather-observations"',
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
        fix='for example record_name = "weather.example.com"',
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
        "Give each Region a name of its own, <region>.<record_name>, for health checks and for "
        "direct access.",
        allowed="true or false",
        fix="write regional_names = true or regional_names = false, without quotes",
        default=False,
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
        "Consecutive results that change the state of a health check, in both directions.",
        allowed="a whole number from 1 to 10",
        fix="set failure_threshold = 3",
        default=3,
        ge=1,
        le=10,
    )
    reserved_concurrency: int | None = _setting(
        "Concurrent invocations that are kept for each of the two functions that health checks "
        "call, whatever the customers' functions use, and the most that each gets; taken from the "
        "account's quota in each Region. None by default.",
        # https://docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
        allowed="a whole number from 1 to 450: of the usual quota of 1000, two functions take it "
        "and 100 stay for all others",
        fix="set reserved_concurrency = 10, or leave it out where the account's quota is small",
        default=None,
        ge=1,
        le=450,
    )


class EncryptionSettings(_Section):
    """With which key data and logs are encrypted at rest."""

    customer_managed_key: bool = _setting(
        "Encrypt the table, its replicas and the log groups with a KMS key of this account: a "
        "multi-Region key with a replica in each Region. With false, with keys that AWS owns.",
        allowed="true or false; fixed once the stack is deployed",
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
        "What becomes of a request that a rule matches; count only counts it, for a first look.",
        allowed='"block" or "count"',
        fix='set action = "block"',
        default="block",
    )


class MonitoringSettings(_Section):
    """What tells people of a failover; failover itself depends on none of it."""

    alarms: bool = _setting(
        "Create CloudWatch alarms on health checks, APIs, functions, the table, replication, and a "
        "standby that serves, and an SNS topic in each Region for them.",
        allowed="true or false",
        fix="write alarms = true or alarms = false, without quotes",
        default=False,
    )
    emails: tuple[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")], ...] = _setting(
        "Who is told of alarms; each confirms a mail that AWS sends for every topic.",
        allowed="a list of e-mail addresses in quotes, together with alarms = true",
        fix='for example emails = ["on-call@example.com"]',
        default=(),
    )
    dashboard: bool = _setting(
        "Create a CloudWatch dashboard with all Regions side by side.",
        allowed="true or false",
        fix="write dashboard = true or dashboard = false, without quotes",
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
        allowed="3 to 63 lowercase letters, digits, dots and hyphens",
        fix='for example bucket = "example-terraform-state"',
        pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
    )
    key: str = _setting(
        "Key of the state object in the bucket.",
        allowed="1 to 1024 characters that do not start with a slash",
        fix='for example key = "failover-api/production.tfstate"',
        pattern=r"^[^/].{0,1023}$",
    )
    region: str = _setting(
        "Region of the bucket. It must outlive the primary Region, so it is another one.",
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

    `name` is the file's name without `.toml`; it names the stack.
    """

    name: str
    regions: tuple[str, ...] = _setting(
        "Regions in order; the first is the primary.",
        allowed="two or more different AWS Regions; exactly two with failover routing",
        fix='for example regions = ["us-east-1", "us-west-2"]',
        min_length=2,
    )
    routing_policy: Literal["failover", "latency"] = _setting(
        "How DNS chooses a Region: failover (the primary while it is healthy) or latency (the "
        "nearest healthy one).",
        allowed='"failover" or "latency"',
        fix='set routing_policy = "failover"',
        default="failover",
    )
    allowed_account_ids: tuple[Annotated[str, Field(pattern=r"^\d{12}$")], ...] = _setting(
        "AWS accounts that Terraform may change; empty allows every account.",
        allowed="a list of 12-digit account ids in quotes",
        fix='for example allowed_account_ids = ["111122223333"]',
        default=(),
    )
    api: ApiSettings = _setting(
        "The REST API.", allowed="a table", fix='add [api] with name = "weather"'
    )
    table: TableSettings = _setting(
        "The global table.", allowed="a table", fix='add [table] with name = "weather"'
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
    plans: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")], PlanSettings] = _setting(
        "What is sold: limits by the name of the plan.",
        # https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
        allowed="up to 300 tables [plans.<name>]; names of 1 to 32 lowercase letters, digits and "
        "hyphens, starting with a letter",
        fix="for example [plans.standard] with rate_per_second = 50.0 and burst = 100",
        default={},
        max_length=300,
    )
    customers: tuple[CustomerSettings, ...] = _setting(
        "Who may read the weather.",
        allowed="tables [[customers]], each with name and plan",
        fix='for example [[customers]] with name = "acme" and plan = "standard"',
        default=(),
    )
    tags: dict[
        Annotated[
            str,
            Field(pattern=TAG_PATTERN, min_length=1, max_length=128),
            AfterValidator(_not_reserved),
        ],
        Annotated[str, Field(pattern=TAG_PATTERN, max_length=256)],
    ] = _setting(
        "Tags of every resource that takes tags.",
        allowed="up to 40 pairs of strings of letters, digits, spaces and _.:/=+@- ; keys of 1 to "
        "128 characters that do not start with aws:, values of up to 256 characters",
        fix='for example team = "platform"',
        default={},
        max_length=40,
    )
    backend: Backend = _setting(
        "Where Terraform keeps its state.",
        allowed='type = "local" or type = "s3"',
        fix='add [backend] with type = "local", or "s3" with bucket, key and region',
    )

    @property
    def primary_region(self) -> str:
        """The first Region: it serves all traffic of a failover environment while healthy."""
        return self.regions[0]


def load(path: Path) -> Settings:
    """Reads one environment file.

    Args:
        path: The TOML file; its name without `.toml` becomes the name of the stack.

    Returns:
        The validated settings.

    Raises:
        SettingsError: The file is missing, is not TOML, or has faults; all are listed.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.toml"))) or "none"
        raise SettingsError(path, [
            Fault("", "no such environment file", f"one of: {known}",
                  "name an existing environment or write this file from example.toml"),
        ]) from None  # fmt: skip
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(path, [
            Fault("", f"not a TOML file: {error}", "TOML 1.0 in UTF-8",
                  "mend the line; strings need double quotes"),
        ]) from None  # fmt: skip

    faults = [*name_faults(path.stem), *cross_faults(values)]
    try:
        settings = Settings.model_validate({**_with_tuples(values), "name": path.stem})
    except ValidationError as error:
        faults = [*field_faults(error, Settings), *faults]
    if "name" in values:
        faults.append(unknown_key_fault(("name",), Settings))
    if faults:
        raise SettingsError(path, faults)
    return settings


def _with_tuples(value: Any) -> Any:
    """TOML arrays as tuples: a strict model takes nothing else for one, and stays hashable."""
    if isinstance(value, dict):
        return {key: _with_tuples(inner) for key, inner in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value
