"""Manual failback: the name that says which Region is answered, and the marks of those that serve.

Without it, none of these checks finds anything.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from ops import switch
from ops.deadline import gathered
from ops.environment import Environment
from ops.evacuation_item import read_mark
from ops.verify.dns import listed_records, same_name
from ops.verify.finding import (
    Finding,
    check,
    failed,
    passed,
    passed_unless,
    read_all,
    region_check,
    unknown,
    unreadable,
)
from ops.verify.health_states import health_states, regions_to_serve
from ops.verify.reach import FIX

_FIX_RECORDS = "deploy again: it restores the records"
_Wanted = Mapping[str, Any]


@check("failback.records")
def records(environment: Environment) -> Iterator[Finding]:
    """Check the records that say which Region is answered: order, addresses and health checks."""
    if environment.outputs.failback is None:
        return
    expected = _expected(environment)
    names = {name: None for name, _ in expected}
    found_in = yield from read_all(names, partial(listed_records, environment))
    for name, records in found_in.items():
        found = {(record["Type"], record.get("SetIdentifier")): record for record in records}
        for (of, role), wanted in expected.items():
            if of == name:
                record = found.pop(("A", role.lower()), None)
                target = wanted.get("address") or wanted["alias_of"]
                yield passed_unless(
                    f"{name} {role.lower()}",
                    _problems(wanted, role, record),
                    found=f"answers {target}",
                    fix=_FIX_RECORDS,
                )
        for kind, identifier in found:
            yield failed(
                f"{name} {kind} {identifier or 'without set identifier'}",
                "the record is not part of the stack, and Route 53 may answer with it",
                "remove it from the hosted zone",
            )


@check("failback.answer")
def answer(environment: Environment) -> Iterator[Finding]:
    """Check that the name says which Region should serve now."""
    failback = environment.outputs.failback
    if failback is None:
        return
    name = failback.names[0]
    answered = environment.network.resolve(name)
    states = health_states(environment)
    serving = regions_to_serve(environment, states)
    ids = environment.outputs.health_check_ids
    known = [states[ids[region]].healthy for region in environment.regions if ids[region] in states]
    # It has an answer of its own for when no Region is healthy.
    none = failback.none_healthy if len(known) == len(ids) and not any(known) else ""
    right = [none] if none and None not in known else [failback.addresses[r] for r in serving]
    if not answered.addresses:
        is_asked = answered.is_known or environment.network.dns_servers
        found = f"no answer: {answered.error}"
        yield failed(name, found, _FIX_RECORDS) if is_asked else unreadable(name, found, FIX)
    elif answered.addresses[0] not in right:
        found = f"resolves to {answered.addresses[0]}, and by the health checks {right[0]} is right"
        fix = "see the findings of failback.records and health_check.state"
        yield unreadable(name, found, FIX) if answered.source else failed(name, found, fix)
    elif len(right) > 1:
        yield unknown(name, f"resolves to {answered.addresses[0]}; which is right is not known")
    else:
        yield passed(name, f"resolves to {right[0]}: {'none healthy' if none else serving[0]}")


@region_check("failback.mark")
def mark(environment: Environment, region: str) -> Iterator[Finding]:
    """Check that a Region can fail over to stay out: it is marked while it serves, and then only.

    The last one has no mark, as no Region takes over from it.
    """
    failback, evacuation = environment.outputs.failback, environment.outputs.evacuation
    if failback is None or evacuation is None or region == environment.regions[-1]:
        return
    observers = tuple(evacuation.health_check_ids[region])
    reading = {other: partial(read_mark, environment, region, other) for other in observers}
    marks, errors = gathered(reading, switch.GRACE_SECONDS * environment.patience)
    if errors:
        raise next(iter(errors.values()))
    serving = regions_to_serve(environment, health_states(environment))
    is_evacuated = switch.status(environment, region).evacuated
    for observer, found in marks.items():
        subject = f"{region} in {observer}"
        if len(serving) > 1:
            yield unknown(subject, "which Region should serve is not known")
        elif is_evacuated or serving[0] != region:
            # While no Region is healthy, the first one is answered, and marks stay.
            yield passed_unless(
                subject,
                [f"marked as serving since {found['since']}, and it does not serve"]
                if found
                else [],
                found="not marked: it does not serve",
                fix="run this again; if it is still marked, see the log of the function that "
                f"reports evacuations in {observer}, and delete the mark: "
                f"python -m ops switch restore {region} {environment.selector} does",
            )
        else:
            yield passed_unless(
                subject,
                []
                if "long_at" in found
                else ["it serves, and is not marked as serving for long: it would fail back"],
                found=f"marked as serving since {found.get('since', '')}",
                fix="run this again in 20 s; if it is still not marked, see failback.answer and "
                f"the log of the function that reports evacuations in {observer}",
            )


def _expected(environment: Environment) -> dict[tuple[str, str], dict[str, str]]:
    """`{(name, role): what the record answers with}`."""
    failback, outputs = environment.outputs.failback, environment.outputs
    assert failback is not None
    expected: dict[tuple[str, str], dict[str, str]] = {}
    behind = (*failback.names[1:], "")
    for name, next_name, region in zip(failback.names, behind, environment.regions, strict=True):
        expected[name, "PRIMARY"] = {
            "address": failback.addresses[region],
            "health_check": outputs.health_check_ids[region],
        }
        expected[name, "SECONDARY"] = (
            {"alias_of": next_name} if next_name else {"address": failback.none_healthy}
        )
    return expected


def _problems(wanted: _Wanted, role: str, record: Mapping[str, Any] | None) -> Iterator[str]:
    if record is None:
        yield "the record does not exist: no Region that fails over stays out of service"
        return
    if (found_role := record.get("Failover")) != role:
        yield f"its role is {found_role}, not {role}"
    values = [each["Value"] for each in record.get("ResourceRecords", ())]
    alias = record.get("AliasTarget", {})
    if (address := wanted.get("address")) and values != [address]:
        yield f"it answers {', '.join(values) or alias.get('DNSName')}, not {address}"
    if alias_of := wanted.get("alias_of"):
        if not same_name(alias.get("DNSName", ""), alias_of):
            yield f"it is not an alias of {alias_of}"
        elif not alias.get("EvaluateTargetHealth"):
            yield "it does not evaluate the health of its target"
    if (found := record.get("HealthCheckId")) != wanted.get("health_check"):
        yield f"its health check is {found or 'none'}, not {wanted.get('health_check') or 'none'}"
