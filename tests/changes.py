"""Every change of an environment file that the suite of changes makes, in its order.

A change is of the file as the changes before it left it. `before` says what else it needs; what is
not so already is applied first.
"""

import copy
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import tomlkit
from repository_files import REPOSITORY

from constructs_lib import Operation
from scripts.changes import (
    APPLIED,
    NEEDS_STEPS,
    PROGRAM,
    REFUSED_BY_PLAN,
    REFUSED_BY_SETTINGS,
)

REMOVED = object()
Operations = Callable[[tuple[Operation, ...]], tuple[Operation, ...]]
ARCHITECTURE = "../explanation/architecture.md"
DEPLOY = "../how-to/deploy-changes.md"
EXCHANGE = "../how-to/recovery-time.md#change-ttl_seconds-on-an-environment-that-serves"
ANOTHER = f"{ARCHITECTURE}#what-is-fixed-once-a-stack-is-deployed"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change.

    Attributes:
        setting: Dotted key, as the table has it; `PROGRAM` for a change of the operations.
        change: What is changed, in words.
        after: `{dotted key: value}` of the file; `REMOVED` for none.
        before: The same, of what must be deployed before.
        outcome: What must come of it.
        steps: Link from the table to the steps.
        note: What else the table says.
        loses: Whether requests of the customer may get no 200: the note says why.
        operations: The operations after the change.
    """

    setting: str
    change: str
    after: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] = field(default_factory=dict)
    outcome: str = APPLIED
    steps: str = ""
    note: str = ""
    loses: bool = False
    operations: Operations = lambda operations: operations

    @property
    def id(self) -> str:
        """Name of the test."""
        return f"{self.setting}: {self.change}"


def first_file() -> dict[str, Any]:
    """The values of the file that is deployed first."""
    shipped = tomllib.loads((REPOSITORY / "environments" / "local.toml").read_text())
    # Region endpoints know the names that the first deployment has.
    return edited(shipped, {"domain.regional_names": True})


def edited(values: Mapping[str, Any], edits: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a file with some changed.

    Args:
        values: The values.
        edits: `{dotted key: value}`; `REMOVED` for none.
    """
    changed = copy.deepcopy(dict(values))
    for key, value in edits.items():
        *tables, name = key.split(".")
        table = changed
        for each in tables:
            table = table.setdefault(each, {})
        if value is REMOVED:
            table.pop(name, None)
        else:
            table[name] = copy.deepcopy(value)
    return changed


def text_of(values: Mapping[str, Any]) -> str:
    """A file with these values."""
    return tomlkit.dumps(values)


def _customers(*added: Mapping[str, Any], **visitor: Any) -> list[dict[str, Any]]:
    """The customers: `demo`, who calls all the while; `visitor`, who is changed; and more."""
    seen = {"name": "visitor", "plan": "trial"} | visitor
    return [{"name": "demo", "plan": "standard"}, seen, *map(dict, added)]


def _without(name: str) -> Operations:
    return lambda operations: tuple(each for each in operations if each.name != name)


def _with_parameter(old: str, new: str) -> Operations:
    return lambda operations: tuple(
        replace(each, path=each.path.replace(f"{{{old}}}", f"{{{new}}}")) for each in operations
    )


def _refused(setting: str, change: str, after: Mapping[str, Any], **more: Any) -> Change:
    return Change(setting=setting, change=change, after=after, outcome=REFUSED_BY_PLAN, **more)


_TOP = (
    _refused(
        "regions", "the two swapped", {"regions": ["us-west-2", "us-east-1"]},
        steps="../how-to/failover-and-failback.md",
    ),
    _refused(
        "regions", "the second replaced", {"regions": ["us-east-1", "eu-west-1"]},
        steps="../how-to/replace-the-second-region.md",
    ),
    _refused(
        "regions", "a third one added", {"regions": ["us-east-1", "us-west-2", "eu-west-1"]},
        steps=f"{DEPLOY}#add-a-region",
    ),
    _refused(
        "routing_policy", "`failover` to `latency`", {"routing_policy": "latency"}, steps=ANOTHER
    ),
    Change(
        setting="weights", change="set without weighted routing", outcome=REFUSED_BY_SETTINGS,
        after={"weights": {"us-east-1": 90, "us-west-2": 10}},
    ),
    Change(
        setting="failback", change="`manual` without failover routing",
        outcome=REFUSED_BY_SETTINGS,
        after={"routing_policy": "latency", "failback": "manual"},
    ),
    Change(
        setting="failback", change="`automatic` to `manual`", after={"failback": "manual"},
        steps="../how-to/failover-and-failback.md#manual-failback",
    ),
    Change(
        setting="failback", change="`manual` to `automatic`",
        after={"failback": "automatic"}, before={"failback": "manual"},
        note="A Region that has failed over stays out of service until it is restored.",
    ),
    Change(
        setting="fence_writes", change="`false` to `true`", after={"fence_writes": True},
        steps="../how-to/failover-and-failback.md#fenced-writes",
    ),
    Change(
        setting="fence_writes", change="`true` to `false`",
        after={"fence_writes": False}, before={"fence_writes": True},
        note="An evacuated Region accepts writes again.",
    ),
    Change(
        setting="allowed_account_ids", change="another account added",
        after={"allowed_account_ids": ["000000000000", "111122223333"]},
    ),
    _refused(
        "allowed_account_ids", "another account instead",
        {"allowed_account_ids": ["111122223333"]},
    ),
)  # fmt: skip

_API = (
    _refused("api.name", "changed", {"api.name": "climate"}, steps=ANOTHER),
    _refused("api.stage", "`v1` to `v2`", {"api.stage": "v2"}, steps=ANOTHER),
    Change(
        setting="api.rate_per_second", change="raised", after={"api.rate_per_second": 150.0},
        note="For a moment, methods with limits of their own have those of the others.",
    ),
    Change(
        setting="api.rate_per_second", change="below that of a plan", outcome=REFUSED_BY_SETTINGS,
        after={"api.rate_per_second": 50.0},
    ),
    Change(setting="api.burst", change="raised", after={"api.burst": 300}),
    Change(
        setting="api.clock_tolerance_seconds", change="lowered",
        after={"api.clock_tolerance_seconds": 120},
    ),
    Change(
        setting="api.log_retention_days", change="shortened", after={"api.log_retention_days": 14},
        note="CloudWatch Logs deletes what is older.",
    ),
    Change(
        setting="api.access_logs", change="`true` to `false`", after={"api.access_logs": False},
        before={"api.access_logs": True}, note="Deletes both logs of API Gateway.",
    ),
    Change(
        setting="api.access_logs", change="`false` to `true`", after={"api.access_logs": True},
        before={"api.access_logs": False},
    ),
    Change(
        setting="api.manage_account_log_role", change="`true` to `false`",
        after={"api.manage_account_log_role": False}, before={"api.manage_account_log_role": True},
        note="API Gateway writes no logs until something else sets a role for the account.",
    ),
    Change(
        setting="api.manage_account_log_role", change="`false` to `true`",
        after={"api.manage_account_log_role": True}, before={"api.manage_account_log_role": False},
    ),
    Change(
        setting="api.tracing", change="`true` to `false`", after={"api.tracing": False},
        before={"api.tracing": True},
    ),
    Change(
        setting="api.execute_api_endpoint", change="`false` with names of the Regions",
        after={"api.execute_api_endpoint": False}, before={"domain.regional_names": True},
        note="Whoever calls the host names of AWS gets 403.",
    ),
    Change(
        setting="api.execute_api_endpoint", change="`false` to `true`",
        after={"api.execute_api_endpoint": True}, before={"api.execute_api_endpoint": False},
    ),
    Change(
        setting="api.execute_api_endpoint", change="`false` without names of the Regions",
        after={"api.execute_api_endpoint": False, "domain.regional_names": False},
        outcome=REFUSED_BY_SETTINGS, note="Deploy the names first, then close the endpoint.",
    ),
)  # fmt: skip

_TABLE = (
    _refused(
        "table.name", "changed", {"table.name": "observations"},
        steps="../how-to/restore-to-a-point-in-time.md",
    ),
    Change(
        setting="table.deletion_protection", change="`false` to `true`",
        after={"table.deletion_protection": True}, before={"table.deletion_protection": False},
    ),
    Change(
        setting="table.deletion_protection", change="`true` to `false`",
        after={"table.deletion_protection": False}, before={"table.deletion_protection": True},
    ),
    Change(
        setting="table.point_in_time_recovery", change="`true` to `false`",
        after={"table.point_in_time_recovery": False},
        before={"table.point_in_time_recovery": True},
        note="The backups are lost at once.",
    ),
    Change(
        setting="table.consistency", change="`eventual` to `strong`, in two Regions",
        outcome=REFUSED_BY_SETTINGS, after={"table.consistency": "strong"},
        steps="../how-to/strong-consistency.md",
        note="In three Regions, or with a witness, the plan refuses it, and back as well.",
    ),
    Change(
        setting="table.witness_region", change="set without strong consistency",
        outcome=REFUSED_BY_SETTINGS, after={"table.witness_region": "us-east-2"},
    ),
)  # fmt: skip

_DOMAIN = (
    _refused(
        "domain.zone_name", "changed", {"domain.zone_name": "weather.example.com"}, steps=ANOTHER
    ),
    _refused(
        "domain.record_name", "changed", {"domain.record_name": "api.example.com"}, steps=ANOTHER
    ),
    _refused(
        "domain.create_zone", "`true` to `false`", {"domain.create_zone": False}, steps=ANOTHER
    ),
    Change(
        setting="domain.regional_names", change="`true` to `false`",
        after={"domain.regional_names": False}, before={"domain.regional_names": True},
        note="With a stack for each Region, deploy in reverse order: "
        "[Deploy by Region](../how-to/deploy-by-region.md#remove-something-that-two-stacks-share).",
    ),
    Change(
        setting="domain.regional_names", change="`false` to `true`",
        after={"domain.regional_names": True}, before={"domain.regional_names": False},
    ),
    Change(
        setting="domain.accelerated_recovery", change="set for a zone that is looked up",
        outcome=REFUSED_BY_SETTINGS,
        after={"domain.accelerated_recovery": True, "domain.create_zone": False},
        note="For one that is created: not tried, as the sandbox's provider cannot. AWS needs up "
        "to some hours, and takes no changes of the zone for some minutes of them.",
    ),
    Change(
        setting="domain.query_logging", change="`false` to `true`",
        after={"domain.query_logging": True}, before={"domain.query_logging": False},
    ),
    Change(
        setting="domain.query_logging", change="`true` to `false`",
        after={"domain.query_logging": False}, before={"domain.query_logging": True},
        note="Deletes the log of the queries. Far from `us-east-1`, [one step "
        "before](../how-to/monitoring-and-alarms.md#dns-queries).",
    ),
)  # fmt: skip

_TIME_TO_LIVE = (
    _refused("domain.ttl_seconds", "60 to 10", {"domain.ttl_seconds": 10}, steps=EXCHANGE),
    Change(
        setting="domain.ttl_seconds", change="60 to 10, by the steps",
        after={"domain.ttl_seconds": 10}, before={"domain.ttl_seconds": 60}, outcome=NEEDS_STEPS,
        steps=EXCHANGE, note="Customers get an answer throughout.",
    ),
    Change(
        setting="domain.ttl_seconds", change="10 to 20",
        after={"domain.ttl_seconds": 20}, before={"domain.ttl_seconds": 10},
    ),
    _refused(
        "domain.ttl_seconds", "20 to 60", {"domain.ttl_seconds": 60},
        before={"domain.ttl_seconds": 20}, steps=EXCHANGE,
    ),
    Change(
        setting="domain.ttl_seconds", change="20 to 60, by the steps",
        after={"domain.ttl_seconds": 60}, before={"domain.ttl_seconds": 20}, outcome=NEEDS_STEPS,
        steps=EXCHANGE, note="Customers get an answer throughout.",
    ),
    Change(
        setting="domain.ttl_seconds", change="below 60 for the zone's own name",
        after={"domain.ttl_seconds": 10, "domain.record_name": "example.com"},
        outcome=REFUSED_BY_SETTINGS,
    ),
)  # fmt: skip

_HEALTH_CHECK = (
    Change(
        setting="health_check.interval_seconds", change="10 to 30",
        after={"health_check.interval_seconds": 30}, before={"health_check.interval_seconds": 10},
        note="Checks of evacuations keep the interval that they were created with.",
    ),
    Change(
        setting="health_check.interval_seconds", change="30 to 10",
        after={"health_check.interval_seconds": 10}, before={"health_check.interval_seconds": 30},
    ),
    Change(
        setting="health_check.failure_threshold", change="3 to 2",
        after={"health_check.failure_threshold": 2},
    ),
    Change(
        setting="health_check.reserved_concurrency", change="set",
        after={"health_check.reserved_concurrency": 10},
        note="Refused half-way where the account's quota is too small: look at it first.",
    ),
    Change(
        setting="health_check.reserved_concurrency", change="removed",
        after={"health_check.reserved_concurrency": REMOVED},
        before={"health_check.reserved_concurrency": 10},
    ),
)  # fmt: skip

_SECONDARY = {"capacity.us-west-2": {"operations": {"get_weather": 2}}}

_CAPACITY = (
    Change(
        setting="capacity", change="added for the secondary", after=_SECONDARY,
        steps="../how-to/pre-scale-the-secondary.md",
    ),
    Change(
        setting="capacity", change="of a Region that is none of `regions`",
        outcome=REFUSED_BY_SETTINGS, after={"capacity.eu-west-1": {}},
    ),
    Change(
        setting="capacity.*.operations", change="raised",
        after={"capacity.us-west-2.operations": {"get_weather": 3}}, before=_SECONDARY,
        note="In a deployment of its own: AWS refuses it while the alias moves to a new version.",
    ),
    Change(
        setting="capacity.*.concurrency_quota", change="raised",
        after={"capacity.us-west-2.concurrency_quota": 2000}, before=_SECONDARY,
        note="It is compared with what is reserved and provisioned, and sets nothing.",
    ),
    Change(
        setting="capacity.*.provisioned_concurrency", change="0 to 1",
        after={"capacity.us-west-2.provisioned_concurrency": 1}, before=_SECONDARY,
    ),
    Change(
        setting="capacity", change="removed", after={"capacity": REMOVED}, before=_SECONDARY,
    ),
)  # fmt: skip

_OPTIONS = (
    _refused(
        "encryption.customer_managed_key", "`false` to `true`",
        {"encryption.customer_managed_key": True}, steps=ANOTHER,
    ),
    Change(
        setting="web_acl", change="added",
        after={"web_acl": {"requests_per_five_minutes": 2000000}},
    ),
    Change(
        setting="web_acl.requests_per_five_minutes", change="raised",
        after={"web_acl.requests_per_five_minutes": 3000000},
        before={"web_acl": {"requests_per_five_minutes": 2000000}},
    ),
    Change(
        setting="web_acl.action", change="`block` to `count`",
        after={"web_acl.action": "count"},
        before={"web_acl.requests_per_five_minutes": 3000000},
    ),
    Change(
        setting="web_acl", change="removed", after={"web_acl": REMOVED},
        before={"web_acl.requests_per_five_minutes": 3000000},
    ),
    Change(
        setting="monitoring.alarms", change="`false` to `true`",
        after={"monitoring.alarms": True},
    ),
    Change(
        setting="monitoring.emails", change="added",
        after={"monitoring.emails": ["on-call@example.com"]}, before={"monitoring.alarms": True},
        note="AWS sends each address a mail to confirm.",
    ),
    Change(
        setting="monitoring.emails", change="without alarms",
        after={"monitoring.alarms": False, "monitoring.emails": ["on-call@example.com"]},
        outcome=REFUSED_BY_SETTINGS,
    ),
    Change(
        setting="monitoring.emails", change="removed", after={"monitoring.emails": REMOVED},
        before={"monitoring.alarms": True, "monitoring.emails": ["on-call@example.com"]},
    ),
    Change(
        setting="monitoring.alarms", change="`true` to `false`",
        after={"monitoring.alarms": False}, before={"monitoring.alarms": True},
    ),
    Change(
        setting="monitoring.dashboard", change="`false` to `true`",
        after={"monitoring.dashboard": True}, before={"monitoring.dashboard": False},
    ),
    Change(
        setting="monitoring.dashboard", change="`true` to `false`",
        after={"monitoring.dashboard": False}, before={"monitoring.dashboard": True},
    ),
)  # fmt: skip

_DRILLS = (
    Change(
        setting="drills.fault_injection_service", change="`false` to `true`",
        after={"drills.fault_injection_service": True}, before={"monitoring.alarms": True},
        note="No experiment runs until a drill starts it.",
    ),
    Change(
        setting="drills.experiment_minutes", change="changed",
        after={"drills.experiment_minutes": 20},
        before={"monitoring.alarms": True, "drills.fault_injection_service": True},
        note="Experiments that run keep their duration.",
    ),
    Change(
        setting="drills.fault_injection_service", change="`true` to `false`",
        after={"drills.fault_injection_service": False},
        before={"monitoring.alarms": True, "drills.fault_injection_service": True},
        note="An experiment that runs is not stopped.",
    ),
    Change(
        setting="drills.fault_injection_service", change="without alarms",
        after={"monitoring.alarms": False, "drills.fault_injection_service": True},
        outcome=REFUSED_BY_SETTINGS,
    ),
)  # fmt: skip

_OBJECTIVES = (
    Change(
        setting="objectives", change="added", after={"objectives": {"rto_seconds": 160}},
        note="Only outputs change: export the descriptor again.",
    ),
    Change(
        setting="objectives.rto_seconds", change="changed",
        after={"objectives.rto_seconds": 180}, before={"objectives.rto_seconds": 160},
    ),
    Change(
        setting="objectives.rto_seconds", change="below what health checks and DNS add up to",
        after={"objectives.rto_seconds": 60}, outcome=REFUSED_BY_SETTINGS,
    ),
    Change(
        setting="objectives.rpo_seconds", change="added", after={"objectives.rpo_seconds": 5},
    ),
    Change(
        setting="objectives.proofs", change="added", after={"objectives.proofs": ["switch"]},
    ),
    Change(
        setting="objectives.proof_days", change="90 to 30",
        after={"objectives.proof_days": 30}, before={"objectives.rto_seconds": 180},
    ),
    Change(
        setting="objectives.sign_records", change="`false` to `true`",
        after={"objectives.sign_records": True}, before={"objectives.rto_seconds": 180},
        note="Records of before remain unsigned, and prove nothing from then on: drill again.",
    ),
    Change(
        setting="objectives.sign_records", change="`true` to `false`",
        after={"objectives.sign_records": False},
        before={"objectives.rto_seconds": 180, "objectives.sign_records": True},
        note="Deletes the key, after 30 days. Signatures are still checked with the public half, "
        "if it was kept.",
    ),
    Change(
        setting="objectives", change="removed", after={"objectives": REMOVED},
        before={"objectives.rto_seconds": 180},
    ),
)  # fmt: skip

_PLANS = (
    Change(
        setting="plans", change="one added",
        after={"plans.bulk": {"rate_per_second": 20.0, "burst": 40}},
    ),
    Change(
        setting="plans.*.rate_per_second", change="changed",
        after={"plans.standard.rate_per_second": 90.0},
    ),
    Change(setting="plans.*.burst", change="changed", after={"plans.standard.burst": 190}),
    Change(
        setting="plans.*.monthly_quota", change="added",
        after={"plans.standard.monthly_quota": 1000000},
    ),
    Change(
        setting="plans.*.daily_quota", change="changed", after={"plans.trial.daily_quota": 2000}
    ),
    Change(
        setting="plans.*.daily_quota", change="a monthly one instead",
        after={"plans.trial.daily_quota": REMOVED, "plans.trial.monthly_quota": 50000},
    ),
    Change(
        setting="plans", change="one removed that no customer has",
        after={"plans.bulk": REMOVED},
        before={"plans.bulk": {"rate_per_second": 20.0, "burst": 40}},
    ),
    Change(
        setting="plans", change="one removed that a customer has", after={"plans.trial": REMOVED},
        outcome=REFUSED_BY_SETTINGS,
    ),
    Change(
        setting="customers", change="one added",
        after={"customers": _customers({"name": "acme", "plan": "standard"})},
    ),
    Change(
        setting="customers", change="one removed",
        after={"customers": _customers()},
        before={"customers": _customers({"name": "acme", "plan": "standard"})},
        note="The key gets 403.",
    ),
    Change(
        setting="customers[].keys", change="a second one added",
        after={"customers": _customers(keys=[1, 2])}, before={"customers": _customers()},
        steps="../how-to/key-rotation.md",
    ),
    Change(
        setting="customers[].keys", change="the first one removed",
        after={"customers": _customers(keys=[2])}, before={"customers": _customers(keys=[1, 2])},
        note="It gets 403 from then on.", steps="../how-to/key-rotation.md",
    ),
    Change(
        setting="customers[].name", change="renamed",
        after={"customers": _customers(name="guest")}, before={"customers": _customers()},
        note="The old key gets 403, the new one has another value; `ops customers env` refuses to "
        "keep the value.",
        steps="../how-to/customers-and-publishers.md#rename-a-customer",
    ),
    Change(
        setting="customers[].plan", change="that of the customer who calls",
        after={"customers": [{"name": "demo", "plan": "bulk"}]},
        before={
            "plans.bulk": {"rate_per_second": 50.0, "burst": 100},
            "customers": [{"name": "demo", "plan": "standard"}],
        },
        loses=True,
        note="A key is in one plan at a time: for a moment it is in none, and gets 403.",
    ),
)  # fmt: skip

_TAGS = (
    Change(setting="tags", change="one added", after={"tags.team": "platform"}),
    Change(
        setting="tags", change="one removed", after={"tags.team": REMOVED},
        before={"tags.team": "platform"},
    ),
)  # fmt: skip

_OPERATIONS = (
    Change(
        setting=PROGRAM, change="an operation removed", operations=_without("list_observations"),
        note="It stays in the deployed definition, without a function, and returns 500 until each "
        "Region is deployed again.",
        steps=f"{ARCHITECTURE}#what-triggers-a-redeployment",
    ),
    Change(setting=PROGRAM, change="an operation added"),
    Change(
        setting=PROGRAM, change="a parameter of a path renamed",
        operations=_with_parameter("observed_at", "time"),
        note="Deploy functions first that understand both names.",
    ),
)  # fmt: skip

LAYOUT = Change(
    setting="layout", change="`single` to `regional`", outcome=NEEDS_STEPS,
    steps="../how-to/deploy-by-region.md#change-the-layout-of-an-environment-that-serves",
    note="Without the steps, Terraform begins with empty states, and fails in the first when it "
    "creates the table, which exists.",
)  # fmt: skip

BACKEND = tuple(
    Change(
        setting=f"backend.{key}", change=change, outcome=NEEDS_STEPS,
        steps=f"{DEPLOY}#move-the-state",
        note="Without the steps, `ops customers env` refuses to deploy; Terraform alone begins "
        "with an empty state, and fails half-way when it creates what exists.",
    )
    for key, change in {
        "type": "`local` to `s3`",
        "bucket": "changed",
        "key": "changed",
        "region": "changed, with the bucket",
    }.items()
)  # fmt: skip

CHANGES = (
    *_TOP, *_API, *_TABLE, *_DOMAIN, *_TIME_TO_LIVE, *_HEALTH_CHECK, *_CAPACITY, *_OPTIONS,
    *_DRILLS, *_OBJECTIVES, *_PLANS, *_TAGS, *_OPERATIONS,
)  # fmt: skip
