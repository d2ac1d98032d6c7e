"""Rules between the keys of an environment file, and between environments.

What one key allows by itself stands with the key, in `settings`.
"""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from constructs_lib.faults import Fault

CERTIFICATE_NAME_LENGTH = 64
"""Characters of a certificate's common name.

Source: https://docs.aws.amazon.com/acm/latest/userguide/acm-limits.html
"""


def cross_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Rules between keys; tolerant of values that are wrong by themselves.

    Args:
        values: The file as TOML reads it.

    Yields:
        Every rule that is broken.
    """
    regions = values.get("regions")
    regions = [r for r in regions if isinstance(r, str)] if isinstance(regions, list) else []
    yield from _regions_faults(values, regions)
    yield from _domain_faults(_table(values, "domain"), _table(values, "api"), regions)
    yield from _monitoring_faults(_table(values, "monitoring"))
    yield from _backend_faults(_table(values, "backend"), regions)
    yield from _plan_faults(_table(values, "plans"), _table(values, "api"))
    yield from _customer_faults(values.get("customers"), _table(values, "plans"))


def _table(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A table of the file; empty where something else stands."""
    table = values.get(name)
    return table if isinstance(table, dict) else {}


def _regions_faults(values: Mapping[str, Any], regions: Sequence[str]) -> Iterator[Fault]:
    for index, region in enumerate(regions):
        yield from _region_faults(f"regions[{index}]", region)
        if region in regions[:index]:
            yield Fault(
                f"regions[{index}]", f'"{region}" stands twice', "different Regions",
                "name another Region: losing one must leave the other",
            )  # fmt: skip
    if values.get("routing_policy", "failover") == "failover" and len(regions) > 2:
        yield Fault(
            "regions", f"got {len(regions)} Regions with failover routing",
            "exactly two: Route 53 knows one primary and one secondary record",
            'keep two Regions, or set routing_policy = "latency"',
        )  # fmt: skip


def _domain_faults(
    domain: Mapping[str, Any], api: Mapping[str, Any], regions: Sequence[str]
) -> Iterator[Fault]:
    zone, record = domain.get("zone_name"), domain.get("record_name")
    within = isinstance(zone, str) and f".{record}".endswith(f".{zone.rstrip('.')}")
    if isinstance(zone, str) and isinstance(record, str) and not within:
        yield Fault(
            "domain.record_name", f'"{record}" is not within the zone "{zone}"',
            "the zone's name or a name that ends in it",
            f'for example record_name = "api.{zone}"',
        )  # fmt: skip

    names = domain.get("regional_names") is True
    longest = max(regions, key=len, default="")
    if names and isinstance(record, str) and len(f"{longest}.{record}") > CERTIFICATE_NAME_LENGTH:
        yield Fault(
            "domain.regional_names",
            f'"{longest}.{record}" has {len(longest) + 1 + len(record)} characters',
            f"names of up to {CERTIFICATE_NAME_LENGTH} characters, which is what a certificate's "
            "common name takes",
            "shorten domain.record_name, or set regional_names = false",
        )  # fmt: skip
    if api.get("execute_api_endpoint") is False and not names:
        yield Fault(
            "api.execute_api_endpoint", "false closes the host name that health checks call",
            "true, or false together with domain.regional_names = true",
            "set regional_names = true in [domain]: each Region is then called by a name of its "
            f"own, such as {longest or 'us-east-1'}.{record or 'weather.example.com'}",
        )  # fmt: skip


def _backend_faults(backend: Mapping[str, Any], regions: Sequence[str]) -> Iterator[Fault]:
    bucket_region = backend.get("region")
    if isinstance(bucket_region, str) and backend.get("type") == "s3":
        yield from _region_faults("backend.region", bucket_region)
        if regions and bucket_region == regions[0]:
            yield Fault(
                "backend.region", f'"{bucket_region}" is the primary Region',
                "any other Region: the state must outlive the Region whose loss it repairs",
                "move the bucket, for example to "
                + next((r for r in regions if r != bucket_region), "another Region"),
            )  # fmt: skip


def _monitoring_faults(monitoring: Mapping[str, Any]) -> Iterator[Fault]:
    if monitoring.get("emails") and monitoring.get("alarms", False) is False:
        yield Fault(
            "monitoring.emails", "is set, and there are no alarms to tell of",
            "with alarms = true only", "set alarms = true, or remove emails",
        )  # fmt: skip


def _plan_faults(plans: Mapping[str, Any], api: Mapping[str, Any]) -> Iterator[Fault]:
    for name, plan in plans.items():
        if not isinstance(plan, dict):
            continue
        if "monthly_quota" in plan and "daily_quota" in plan:
            yield Fault(
                f"plans.{name}", "has a monthly and a daily quota", "one quota for each plan",
                "remove monthly_quota or daily_quota",
            )  # fmt: skip
        for limit, default in (("rate_per_second", 100.0), ("burst", 200)):
            sold, whole = plan.get(limit), api.get(limit, default)
            if _is_number(sold) and _is_number(whole) and sold > whole:
                yield Fault(
                    f"plans.{name}.{limit}",
                    f"got {sold}, more than {whole}, which a method serves to all customers "
                    "together",
                    f"at most api.{limit}",
                    f"lower it, or raise {limit} in [api]",
                )  # fmt: skip


def _customer_faults(customers: Any, plans: Mapping[str, Any]) -> Iterator[Fault]:
    if not isinstance(customers, list):
        return
    tables = [customer if isinstance(customer, dict) else {} for customer in customers]
    names = [customer.get("name") for customer in tables]
    for index, customer in enumerate(tables):
        name, plan, keys = (customer.get(key) for key in ("name", "plan", "keys"))
        if isinstance(name, str) and name in names[:index]:
            yield Fault(
                f"customers[{index}].name", f'"{name}" stands twice', "different names",
                "rename one of the two, or remove it",
            )  # fmt: skip
        if isinstance(plan, str) and plan not in plans:
            known = ", ".join(sorted(plans)) or "none yet"
            yield Fault(
                f"customers[{index}].plan", f'"{plan}" is no plan of this file',
                f"one of: {known}", f"name one of these, or add [plans.{plan}]",
            )  # fmt: skip
        if isinstance(keys, list) and len(keys) == 2 and keys[0] == keys[1]:
            yield Fault(
                f"customers[{index}].keys", f"{keys[0]} stands twice", "two different numbers",
                "give the new key the next number",
            )  # fmt: skip


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _region_faults(key: str, region: str) -> Iterator[Fault]:
    if region in _regions_of_aws():
        return
    close = difflib.get_close_matches(region, _regions_of_aws(), n=1)
    yield Fault(
        key,
        f'got "{region}", which is not a Region of the partition aws',
        "a Region such as us-east-1 or eu-central-1",
        f"write {close[0]}" if close else "write the Region's code, not its name",
    )


def shared_faults(environments: Sequence[Any]) -> Iterator[tuple[str, Fault]]:
    """What two environments may not share.

    Args:
        environments: Settings of every environment.

    Yields:
        `(environment, fault)` for the later one of each pair that shares something.
    """
    for index, later in enumerate(environments):
        for earlier in environments[:index]:
            for key, value in _shared(earlier, later):
                yield later.name, Fault(
                    key, f'"{value}" is also what the environment {earlier.name} uses',
                    "what no other environment of the same account uses",
                    "choose another, or set allowed_account_ids if the accounts differ",
                )  # fmt: skip


def _shared(earlier: Any, later: Any) -> Iterator[tuple[str, str]]:
    def state(settings: Any) -> tuple[str, str] | None:
        backend = settings.backend
        return (backend.bucket, backend.key) if backend.type == "s3" else None

    if state(earlier) and state(earlier) == state(later):
        yield "backend.key", later.backend.key
    accounts = [set(settings.allowed_account_ids) for settings in (earlier, later)]
    if all(accounts) and not accounts[0] & accounts[1]:
        return
    if earlier.domain.record_name == later.domain.record_name:
        yield "domain.record_name", later.domain.record_name
    if earlier.table.name == later.table.name and set(earlier.regions) & set(later.regions):
        yield "table.name", later.table.name


@cache
def _regions_of_aws() -> tuple[str, ...]:
    """Every Region of the commercial partition, from botocore's own data file."""
    partitions = json.loads(files("botocore").joinpath("data/partitions.json").read_text())
    return tuple(
        region
        for partition in partitions["partitions"]
        if partition["id"] == "aws"
        for region in partition["regions"]
        if region != "aws-global"
    )
