"""Rules between the keys of an environment file.

What a single key allows is defined with the key, in `schema`.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard

from constructs_lib.dynamodb.consistency import placement_errors
from constructs_lib.route53.routing_records import ALIAS_TTL_SECONDS
from constructs_lib.settings.errors import Violation
from constructs_lib.settings.regions import (
    REGIONS,
    REGIONS_NEWER_THAN_THE_PROVIDER,
    SMALLER_QUOTA,
    SMALLER_QUOTA_REGIONS,
    TESTED_PROVIDER,
)

OWN_TAGS = ("environment", "Name", "customer")
"""Keys of the tags that the stack sets itself; of them, Route 53 gets the first two."""

CERTIFICATE_NAME_LENGTH = 64
"""Characters of a certificate's common name.

Source: https://docs.aws.amazon.com/acm/latest/userguide/acm-limits.html
"""


def cross_violations(values: Mapping[str, Any]) -> Iterator[Violation]:
    """Rules between keys; values that are invalid on their own are left to the schema.

    Args:
        values: The file as TOML reads it.

    Yields:
        Every violation.
    """
    regions = values.get("regions")
    regions = [r for r in regions if isinstance(r, str)] if isinstance(regions, list) else []
    yield from _regions_violations(regions)
    if weights := _table(values, "weights"):
        policy = values.get("routing_policy", "failover")
        yield from _weights_violations(weights, regions, policy)
    yield from _table_violations(_table(values, "table"), regions)
    yield from _failback_violations(values)
    yield from _domain_violations(_table(values, "domain"), _table(values, "api"), regions)
    yield from _recovery_violations(_table(values, "domain"))
    yield from _monitoring_violations(_table(values, "monitoring"))
    yield from _drills_violations(values)
    yield from _objectives_violations(values, regions)
    yield from _backend_violations(
        _table(values, "backend"), regions, regional=values.get("layout") == "regional"
    )
    yield from _quota_violations(_table(values, "api"), regions)
    yield from _capacity_violations(_table(values, "capacity"), regions)
    yield from _plan_violations(_table(values, "plans"), _table(values, "api"))
    yield from _customer_violations(values.get("customers"), _table(values, "plans"))
    yield from _tag_violations(_table(values, "tags"))


def _table(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A table of the file; empty if it is something else."""
    table = values.get(name)
    return table if isinstance(table, dict) else {}


def _regions_violations(regions: Sequence[str]) -> Iterator[Violation]:
    for index, region in enumerate(regions):
        yield from _region_violations(f"regions[{index}]", region)
        if region in regions[:index]:
            yield Violation(
                f"regions[{index}]", f'duplicate Region "{region}"', "different Regions",
                "name another Region: losing one must leave the other",
            )  # fmt: skip


def _weights_violations(
    weights: Mapping[str, Any], regions: Sequence[str], policy: Any
) -> Iterator[Violation]:
    if policy != "weighted":
        yield Violation(
            "weights", f'is set, and routing_policy is "{policy}"',
            'with routing_policy = "weighted" only',
            'remove weights, or set routing_policy = "weighted" before the first deployment',
        )  # fmt: skip
        return
    for region in sorted(weights.keys() - set(regions)):
        yield Violation(
            f"weights.{region}", f"got a weight of {region}, which is none of regions",
            f"one of: {', '.join(regions)}", "remove it, or add the Region to regions",
        )  # fmt: skip
    for region in regions:
        if region not in weights:
            yield Violation(
                f"weights.{region}", "is missing", f"a weight for each of {', '.join(regions)}",
                f"add {region} = 1, or 0 for a Region that serves only while all others are "
                "unhealthy",
            )  # fmt: skip
    if all(type(weight) is int and weight == 0 for weight in weights.values()):
        yield Violation(
            "weights", "every weight is 0", "one weight above 0, or more",
            "give the Regions that serve the same weight above 0, or remove weights",
        )  # fmt: skip


def _table_violations(table: Mapping[str, Any], regions: Sequence[str]) -> Iterator[Violation]:
    witness = table.get("witness_region")
    witness = witness if isinstance(witness, str) else ""
    if table.get("consistency") == "strong":
        for error in placement_errors(regions, witness):
            key = f"table.{error.about}" if error.about == "witness_region" else error.about
            yield Violation(key, error.problem, error.allowed, error.fix)
    elif witness:
        yield Violation(
            "table.witness_region", f'is "{witness}", and consistency is not "strong"',
            'with consistency = "strong" only',
            'remove it, or set consistency = "strong" before the first deployment',
        )  # fmt: skip


def _recovery_violations(domain: Mapping[str, Any]) -> Iterator[Violation]:
    if domain.get("accelerated_recovery") is True and domain.get("create_zone") is not True:
        yield Violation(
            "domain.accelerated_recovery", "is true, and create_zone is false",
            "true with create_zone = true only: a zone that is looked up has its settings "
            "elsewhere",
            "remove it, and enable it where the zone is managed, or with aws route53 "
            "update-hosted-zone-features --enable-accelerated-recovery --hosted-zone-id ID; "
            "verify reports it",
        )  # fmt: skip


def _failback_violations(values: Mapping[str, Any]) -> Iterator[Violation]:
    policy = values.get("routing_policy", "failover")
    if values.get("failback") == "manual" and policy != "failover":
        yield Violation(
            "failback", f'got "manual", and routing_policy is "{policy}": no Region fails over to '
            "another", '"manual" with routing_policy = "failover" only',
            'set failback = "automatic" or remove it; python -m ops switch evacuate takes a Region '
            "out of service with any routing policy",
        )  # fmt: skip


def _domain_violations(
    domain: Mapping[str, Any], api: Mapping[str, Any], regions: Sequence[str]
) -> Iterator[Violation]:
    zone, record = domain.get("zone_name"), domain.get("record_name")
    within = isinstance(zone, str) and f".{record}".endswith(f".{zone.rstrip('.')}")
    if isinstance(zone, str) and isinstance(record, str) and not within:
        yield Violation(
            "domain.record_name", f'"{record}" is not within the zone "{zone}"',
            "the zone's name or a name that ends in it",
            f'for example record_name = "api.{zone}"',
        )  # fmt: skip

    ttl = domain.get("ttl_seconds")
    if isinstance(zone, str) and record == zone and _is_number(ttl) and ttl < ALIAS_TTL_SECONDS:
        yield Violation(
            "domain.ttl_seconds",
            f'got {ttl}, which takes a CNAME record, and "{record}" is the apex of its zone, which '
            "cannot have one",
            f"{ALIAS_TTL_SECONDS} for the zone's own name; less for a name within the zone",
            f'set ttl_seconds = {ALIAS_TTL_SECONDS}, or for example record_name = "api.{zone}" '
            "before the first deployment",
        )  # fmt: skip

    names = domain.get("regional_names") is True
    longest = max(regions, key=len, default="")
    if names and isinstance(record, str) and len(f"{longest}.{record}") > CERTIFICATE_NAME_LENGTH:
        yield Violation(
            "domain.regional_names",
            f'"{longest}.{record}" has {len(longest) + 1 + len(record)} characters',
            f"names of up to {CERTIFICATE_NAME_LENGTH} characters, which is what a certificate's "
            "common name takes",
            "shorten domain.record_name, or set regional_names = false",
        )  # fmt: skip
    if api.get("execute_api_endpoint") is False and not names:
        yield Violation(
            "api.execute_api_endpoint", "false closes the host name that health checks call",
            "true, or false together with domain.regional_names = true",
            "set regional_names = true in [domain]: each Region then has its own name, "
            f"such as {longest or 'us-east-1'}.{record or 'api.example.com'}",
        )  # fmt: skip


def _backend_violations(
    backend: Mapping[str, Any], regions: Sequence[str], *, regional: bool
) -> Iterator[Violation]:
    bucket_region = backend.get("region")
    if isinstance(bucket_region, str) and backend.get("type") == "s3":
        yield from _region_violations("backend.region", bucket_region)
        if regions and bucket_region == regions[0]:
            yield Violation(
                "backend.region", f'"{bucket_region}" is the primary Region',
                "any other Region: the state must outlive the Region whose loss it repairs",
                "move the bucket, for example to "
                + next((r for r in regions if r != bucket_region), "another Region"),
            )  # fmt: skip
        elif regional and bucket_region in regions:
            yield Violation(
                "backend.region", f'"{bucket_region}" is one of regions, and layout is "regional"',
                "a Region that is none of regions: each Region is deployed while others are lost",
                'move the bucket to another Region, or set layout = "single"',
            )  # fmt: skip


def _monitoring_violations(monitoring: Mapping[str, Any]) -> Iterator[Violation]:
    if monitoring.get("emails") and monitoring.get("alarms", False) is False:
        yield Violation(
            "monitoring.emails", "is set, but there are no alarms to send",
            "with alarms = true only", "set alarms = true, or remove emails",
        )  # fmt: skip
    emails = monitoring.get("emails")
    folded = [str(email).casefold() for email in emails] if isinstance(emails, list) else []
    for index, email in enumerate(folded):
        if email in folded[:index]:
            yield Violation(
                f"monitoring.emails[{index}]", f'duplicate address "{email}"',
                "different addresses: a topic takes each once", "remove one of the two",
            )  # fmt: skip


def _drills_violations(values: Mapping[str, Any]) -> Iterator[Violation]:
    if _table(values, "drills").get("fault_injection_service") is not True:
        return
    setting = "drills.fault_injection_service"
    if _table(values, "monitoring").get("alarms", False) is False:
        yield Violation(
            setting, "is true, and there is no alarm that could stop an experiment",
            "true with alarms = true only",
            "set alarms = true in [monitoring], or remove fault_injection_service",
        )  # fmt: skip
    if _table(values, "table").get("consistency") == "strong":
        yield Violation(
            setting, "is true, and the table is strongly consistent",
            "true with an eventually consistent table only: a strongly consistent replica whose "
            "replication is paused refuses writes, which is the loss of a Region",
            "remove fault_injection_service; to lose a Region, drill with --fault switch",
        )  # fmt: skip


def _objectives_violations(
    values: Mapping[str, Any], regions: Sequence[str]
) -> Iterator[Violation]:
    objectives = _table(values, "objectives")
    check, domain = _table(values, "health_check"), _table(values, "domain")
    interval, threshold = check.get("interval_seconds", 30), check.get("failure_threshold", 3)
    rto, ttl = objectives.get("rto_seconds"), domain.get("ttl_seconds", ALIAS_TTL_SECONDS)
    if _is_number(rto) and all(map(_is_number, (interval, threshold, ttl))):
        least = interval * threshold + ttl
        if 0 < rto < least:
            yield Violation(
                "objectives.rto_seconds",
                f"got {rto:g}, and customers who follow DNS wait for {least:g} s = {interval:g} s "
                f"interval x {threshold:g} checks + {ttl:g} s time to live",
                f"{least:g} or more with these settings, and a little more for a drill to pass",
                "raise it, or choose a shorter profile: docs/how-to/recovery-time.md",
            )  # fmt: skip
    listed = objectives.get("proofs")
    proofs = [str(proof) for proof in listed] if isinstance(listed, list) else []
    for index, proof in enumerate(proofs):
        if proof in proofs[:index]:
            yield Violation(
                f"objectives.proofs[{index}]", f'duplicate proof "{proof}"', "different proofs",
                "remove one of the two",
            )  # fmt: skip
        named = proof.partition(":")[2]
        for region in named.split("+") if named else ():
            if region not in regions:
                yield Violation(
                    f"objectives.proofs[{index}]",
                    f'got "{proof}", and {region} is none of regions',
                    f"one or more of {', '.join(regions)} after the colon",
                    "name one of these, or leave out the colon and what follows",
                )  # fmt: skip


def _quota_violations(api: Mapping[str, Any], regions: Sequence[str]) -> Iterator[Violation]:
    smaller = next((region for region in regions if region in SMALLER_QUOTA_REGIONS), None)
    for limit, quota in SMALLER_QUOTA.items():
        served = api.get(limit)
        if smaller and _is_number(served) and served > quota:
            yield Violation(
                f"api.{limit}",
                f"got {served}, more than {quota}, which is the default quota of an account in "
                f"{smaller}, of all its APIs together",
                f"at most {quota} with {smaller} among the regions",
                "lower it: a Region that takes over must serve as much as the one that is lost",
            )  # fmt: skip


def _capacity_violations(
    capacity: Mapping[str, Any], regions: Sequence[str]
) -> Iterator[Violation]:
    for region in sorted(capacity.keys() - set(regions)):
        yield Violation(
            f"capacity.{region}", f"got a capacity of {region}, which is none of regions",
            f"one of: {', '.join(regions)}", "remove it, or name the Region as regions does",
        )  # fmt: skip


def _plan_violations(plans: Mapping[str, Any], api: Mapping[str, Any]) -> Iterator[Violation]:
    for name, plan in plans.items():
        if not isinstance(plan, dict):
            continue
        if "monthly_quota" in plan and "daily_quota" in plan:
            yield Violation(
                f"plans.{name}", "has a monthly and a daily quota", "one quota for each plan",
                "remove monthly_quota or daily_quota",
            )  # fmt: skip
        for limit, default in (("rate_per_second", 100.0), ("burst", 200)):
            sold, whole = plan.get(limit), api.get(limit, default)
            if _is_number(sold) and _is_number(whole) and sold > whole:
                yield Violation(
                    f"plans.{name}.{limit}",
                    f"got {sold}, more than {whole}, which is what a method serves to all "
                    "customers together",
                    f"at most api.{limit}",
                    f"lower it, or raise {limit} in [api]",
                )  # fmt: skip


def _customer_violations(customers: Any, plans: Mapping[str, Any]) -> Iterator[Violation]:
    if not isinstance(customers, list):
        return
    tables = [customer if isinstance(customer, dict) else {} for customer in customers]
    names = [customer.get("name") for customer in tables]
    for index, customer in enumerate(tables):
        name, plan, keys = (customer.get(key) for key in ("name", "plan", "keys"))
        if isinstance(name, str) and name in names[:index]:
            yield Violation(
                f"customers[{index}].name", f'duplicate name "{name}"', "different names",
                "rename one of the two, or remove it",
            )  # fmt: skip
        if isinstance(plan, str) and plan not in plans:
            known = ", ".join(sorted(plans)) or "none yet"
            yield Violation(
                f"customers[{index}].plan", f'unknown plan "{plan}"',
                f"one of: {known}", f"name one of these, or add [plans.{plan}]",
            )  # fmt: skip
        if isinstance(keys, list) and len(keys) == 2 and keys[0] == keys[1]:
            yield Violation(
                f"customers[{index}].keys", f"duplicate number {keys[0]}", "two different numbers",
                "give the new key the next number",
            )  # fmt: skip


def _tag_violations(tags: Mapping[str, Any]) -> Iterator[Violation]:
    """Keys that are one for IAM, whose tag keys ignore case."""
    own = {key.casefold(): key for key in OWN_TAGS}
    first: dict[str, str] = {}
    for key in tags:
        folded = key.casefold()
        if folded in own:
            yield Violation(
                f"tags.{key}", f"is a tag that the stack sets itself: {own[folded]}",
                f"any key but {', '.join(OWN_TAGS)}, in whatever case: IAM ignores it",
                "remove it, or choose another key",
            )  # fmt: skip
        elif folded in first:
            yield Violation(
                f"tags.{key}", f"differs from {first[folded]} in case only",
                "keys that differ in more than case: IAM ignores it",
                f"remove {key} or {first[folded]}",
            )  # fmt: skip
        first.setdefault(folded, key)


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _region_violations(key: str, region: str) -> Iterator[Violation]:
    if region in REGIONS:
        return
    if region in REGIONS_NEWER_THAN_THE_PROVIDER:
        yield Violation(
            key, f'got "{region}", which version {TESTED_PROVIDER} of the AWS provider refuses',
            "a Region that this version knows: it is the one that is tested here",
            "choose another Region nearby",
        )  # fmt: skip
        return
    close = difflib.get_close_matches(region, REGIONS, n=1)
    yield Violation(
        key,
        f'got "{region}", which is not a Region of the partition aws',
        "a Region such as us-east-1 or eu-central-1",
        f"write {close[0]}" if close else "write the Region's code, not its name",
    )
