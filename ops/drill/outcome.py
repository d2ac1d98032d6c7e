"""What a drill found, and whether that is good enough: pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ops.drill.consistency import Verdict
from ops.drill.durability import Durability, State
from ops.drill.events import Events, Request
from ops.drill.expectation import Expectation, Pace
from ops.drill.fencing import Fenced
from ops.drill.history import History
from ops.drill.load_figures import LoadResult
from ops.drill.measure import CONSECUTIVE_SUCCESSES, Duration, Measurements
from ops.drill.reconciliation import Reconciliation
from ops.drill.retrying import ATTEMPT_SECONDS
from ops.drill.scenario import Scenario
from ops.drill.spending import Spending

LAST_REQUESTS = 40


@dataclass(frozen=True)
class Limits:
    """What a drill must keep to pass.

    Attributes:
        max_rto_seconds: Longest time until the secondary serves, on AWS: from the first failed
            request, or from the fault if it makes none fail.
        max_lost_writes: Most acknowledged writes that may be lost.
    """

    max_rto_seconds: float
    max_lost_writes: int = 0


@dataclass
class Outcome:
    """What a drill found.

    Attributes:
        environment: Name of the environment.
        scenario: The Regions into which the fault was injected, and whom that concerns.
        speed: How much faster than AWS the environment runs.
        fault: Name of the fault.
        description: What injecting it does, in words.
        fails_requests: Whether it makes customers' requests fail.
        customer: Whose quota the reads were counted against; empty if unknown.
        spending: What it spends of that customer's limits; None if unknown.
        limits: What it must keep.
        started: When it began.
        expectation: What the failover may take.
        pace: Times of the customers' requests.
        selector: The options that choose the environment on a command line.
        finish: The command that restores what is left.
        events: All that was seen.
        measurements: The figures.
        durability: What became of the writes.
        isolates: Whether the fault stops replication.
        history: All writes, also of publishers who update and delete; None if there is none.
        consistency: What became of those; None without a history.
        reconciliation: What was replayed after that, and what is left; None if nothing was to be.
        fence: What fenced Regions took and refused; None if none was fenced.
        held_back: What the sandbox itself says had not left lost Regions before the restore: how
            many writes; None where nobody can say.
        retrying: Attempts of the customer whose client retries in the other Region; None where the
            Regions have no own names.
        load: The load, and what became of it; None without one.
        findings: What went wrong, in words; empty if the drill passed.
        restored: What was restored, in words.
        left: What could not be restored, in words.
        by_hand: The command lines that restore it without this tool.
        interrupted: Whether it was ended before its time.
    """

    environment: str
    scenario: Scenario
    speed: float
    fault: str
    description: str
    limits: Limits
    started: datetime
    expectation: Expectation
    pace: Pace
    selector: str
    finish: str
    fails_requests: bool = True
    customer: str = ""
    spending: Spending | None = None
    events: Events = field(default_factory=Events)
    measurements: Measurements | None = None
    durability: Durability = field(default_factory=Durability)
    isolates: bool = False
    history: History | None = None
    consistency: Verdict | None = None
    reconciliation: Reconciliation | None = None
    fence: Fenced | None = None
    held_back: int | None = None
    retrying: tuple[Request, ...] | None = None
    load: LoadResult | None = None
    findings: list[str] = field(default_factory=list)
    restored: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def passed(self) -> bool:
        """Whether nothing went wrong, and all that is judged was measured."""
        return not (self.findings or self.left or self.interrupted or self.unmeasured)

    @property
    def unmeasured(self) -> list[str]:
        """Why the load cannot be judged, in words; empty if it can, or there was none."""
        return self.load.unmeasured if self.load else []

    @property
    def sent(self) -> tuple[Request, ...]:
        """The requests of all its customers."""
        load = self.load.requests if self.load else ()
        return (*self.events.requests, *(self.retrying or ()), *load)

    @property
    def verdict(self) -> str:
        """In a word: passed, failed, not measured or interrupted."""
        if self.interrupted and not self.left:
            return "interrupted"
        if self.unmeasured and not (self.findings or self.left):
            return "not measured"
        return "passed" if self.passed else "failed"


def deciding_time(outcome: Outcome) -> tuple[str, Duration | None]:
    """What is compared with the longest RTO allowed.

    Args:
        outcome: What was found.

    Returns:
        Its name, `rto`, `cut_over`, `served_again` if no Region was left, or `nothing` if nobody
        was to move, and the time; None if it did not happen.
    """
    measured = outcome.measurements
    durations = measured.durations if measured else None
    if not outcome.scenario.left:
        return "served_again", durations.served_again if durations else None
    if not outcome.scenario.moving:
        return "nothing", None
    if durations and durations.rto:
        return "rto", durations.rto
    return "cut_over", durations.cut_over if durations else None


def dns_source(outcome: Outcome) -> str:
    """Who answered in the place of the zone's name servers, and may cache; empty if nobody did.

    Args:
        outcome: What was found.
    """
    return outcome.measurements.dns_source if outcome.measurements else ""


def seconds_on_aws(duration: Duration, speed: float) -> str:
    """A time on AWS with its error.

    Args:
        duration: The time.
        speed: How much faster than AWS the environment runs.
    """
    error = duration.error_at_speed(speed)
    return f"{duration.at_speed(speed):.1f} ± {error:.1f} s{' (scaled)' if speed != 1 else ''}"


def not_exercised(outcome: Outcome) -> dict[str, str]:
    """What the fault could not show.

    Args:
        outcome: What was found.

    Returns:
        `{name of a duration, lost_writes or replication_lag: why}`.
    """
    measured, durability = outcome.measurements, outcome.durability
    names = sorted(measured.not_exercised) if measured else ()
    found = {name: _why_not_exercised(outcome, name) for name in names}
    if not durability.keys("lost"):
        if not outcome.fails_requests and not outcome.isolates:
            found["lost_writes"] = (
                f"{_listed(outcome.scenario.lost)} kept serving and replicating: no write could "
                "be lost"
            )
        elif not durability.counted:
            found["lost_writes"] = "no acknowledged write could be counted"
    if not outcome.isolates:
        found["replication_lag"] = (
            "the fault does not stop replication, as the loss of a Region does"
        )
    return found


def _why_not_exercised(outcome: Outcome, name: str) -> str:
    scenario = outcome.scenario
    if name == "detection":
        return "nobody was to move, and the states of health checks cannot be seen here"
    if not scenario.moving:
        return f"{_listed(scenario.lost)} served no customers"
    if not scenario.left and name in ("dns_change", "cut_over", "rto", "worst_rto"):
        return "no Region was left"
    return "no request failed because of the fault"


def _listed(regions: Sequence[str]) -> str:
    return " and ".join(regions)


def basis(outcome: Outcome) -> list[str]:
    """What the verdict is based on, a sentence each, and what the fault could not show.

    Args:
        outcome: What was found.
    """
    name, time = deciding_time(outcome)
    durability, limit = outcome.durability, outcome.limits.max_rto_seconds
    scenario, measured = outcome.scenario, outcome.measurements
    what = {
        "rto": "RTO",
        "cut_over": "cut-over, as no request failed because of the fault",
        "served_again": "from the restore until a Region served again, as none was left",
    }.get(name, "")
    if name == "nothing":
        found = [
            f"Time: none: {_listed(scenario.lost)} served no customers, and nobody was to notice."
        ]
    elif time is None:
        found = [
            f"Time: {_listed(scenario.taking_over or scenario.lost)} never served"
            f"{'' if scenario.left else ' again'}."
        ]
    else:
        found = [f"Time: {what}: {seconds_on_aws(time, outcome.speed)}, {limit:g} s allowed."]
    if time and abs(time.at_speed(outcome.speed) - limit) <= time.error_at_speed(outcome.speed):
        found.append(
            "The limit is within the error of the time: either verdict may be chance."
            + (" A lower speed is more precise." if outcome.speed != 1 else "")
        )
    if source := dns_source(outcome):
        found.append(
            f"DNS: as {source} answers: port 53 of the zone's name servers is closed here. "
            f"What follows DNS is seen up to {outcome.expectation.ttl_seconds:g} s late, the "
            "time to live, which is part of each error."
        )
    found += _customers_in_words(outcome) if measured else []
    found.append(
        f"Writes: {durability.counted} of {durability.acknowledged} acknowledged ones, read in "
        "every Region, with their values."
    )
    if outcome.retrying is not None:
        found.append(
            "Client that retries: reads by the common name, and what fails, by the other Region's "
            f"own name; {ATTEMPT_SECONDS:g} s for each attempt, on this machine's clock: not "
            "scaled. It has called every Region before. It is not judged."
        )
    if outcome.reconciliation:
        found.append(
            f"Reconciliation: what was lost before it counts against the "
            f"{outcome.limits.max_lost_writes} allowed; after it, nothing may be lost or wrong."
        )
    found += outcome.load.in_words() if outcome.load else ()
    if not scenario.left and outcome.fails_requests:
        found.append(
            "No Region was left: requests failed until one was restored. DNS answered all the "
            "while, as if all were healthy."
        )
    reasons: dict[str, list[str]] = {}
    for name, why in not_exercised(outcome).items():
        reasons.setdefault(why, []).append(name.replace("_", " ").replace("rto", "RTO"))
    found += [f"Not exercised: {', '.join(names)}: {why}." for why, names in reasons.items()]
    return found


def judge(outcome: Outcome) -> list[str]:
    """Compare the figures with the limits.

    Args:
        outcome: All but its judgement.

    Returns:
        What failed, in words.
    """
    findings = []
    limits, durability = outcome.limits, outcome.durability
    name, time = deciding_time(outcome)
    if time and time.at_speed(outcome.speed) > limits.max_rto_seconds:
        what = {
            "rto": "the RTO is",
            "cut_over": "the cut-over took",
            "served_again": "a Region served again only after",
        }[name]
        findings.append(
            f"{what} {seconds_on_aws(time, outcome.speed)}, more than the "
            f"{limits.max_rto_seconds:g} s allowed"
        )
    findings += _noticed(outcome)
    findings += outcome.load.findings if outcome.load else []
    corrupt: tuple[tuple[State, int, str], ...] = (
        ("lost", limits.max_lost_writes, "not there: replication does not carry them"),
        ("wrong value", 0, "there with another value"),
        ("duplicated", 0, "there more than once"),
    )
    for state, allowed, meaning in corrupt:
        keys = durability.keys(state)
        if len(keys) > allowed:
            where = sorted({region for regions in keys.values() for region in regions})
            listed = ", ".join(list(keys)[:5]) + (", …" if len(keys) > 5 else "")
            findings.append(
                f"{len(keys)} {'write is' if len(keys) == 1 else 'writes are'} {state} in "
                f"{' and '.join(where)}: {meaning} ({listed})"
            )
    if uncounted := durability.keys("uncounted"):
        where = sorted({region for regions in uncounted.values() for region in regions})
        why = "; ".join(f"{region}: {error}" for region, error in durability.unread.items())
        findings.append(
            f"{len(uncounted)} of {durability.acknowledged} acknowledged writes could not be "
            f"counted in {' and '.join(where)}" + (f" ({why})" if why else "")
        )
    # Of customers' own writes, what is lost is named above.
    publishers = outcome.consistency.problems if outcome.consistency else []
    findings += [f"of all writes, {problem}" for problem in publishers]
    findings += outcome.fence.problems if outcome.fence else []
    return findings + (outcome.reconciliation.problems if outcome.reconciliation else [])


def _customers_in_words(outcome: Outcome) -> Iterator[str]:
    """Who served customers of each place, and how many of their requests failed."""
    for each in outcome.measurements.customers if outcome.measurements else ():
        who = each.customers
        leaves, share = who.leaves, ""
        if who.varies:
            shares = (phase.share(leaves or outcome.scenario.lost)
                      for phase in (each.before, each.moved, each.after))  # fmt: skip
            share = "; answers with {}: {}".format(
                _listed(outcome.scenario.lost),
                ", ".join("-" if s is None else f"{s:.0%}" for s in shares),
            )
        yield (
            f"{str(who)[0].upper()}{str(who)[1:]}: served by {_served(each.before.served)} before, "
            f"{_served(each.moved.served)} while lost, {_served(each.after.served)} after; "
            f"{each.during.failed} of {each.during.sent} requests failed in between{share}."
        )


def _served(served: Mapping[str, int]) -> str:
    return _listed(sorted(served)) or "nobody"


def _noticed(outcome: Outcome) -> Iterator[str]:
    """Say what customers saw who were not to notice, and that DNS has answered nothing."""
    measured, lost = outcome.measurements, _listed(outcome.scenario.lost)
    for each in measured.customers if measured else ():
        if each.customers.leaves:
            continue
        if each.elsewhere:
            yield (
                f"{each.elsewhere} requests of {each.customers} were served by another Region than "
                f"{_listed(each.customers.after)}: the loss of {lost} must not move them"
            )
    if measured and measured.failed_others:
        yield (
            f"{measured.failed_others} requests failed of customers whom no lost Region served: "
            f"the loss of {lost} must not reach them"
        )
    if measured and measured.empty_answers:
        yield f"DNS answered {measured.empty_answers} times without an address"


def not_served(
    requests: Sequence[Request], region: str, seconds: float, speed: float, when: str
) -> str:
    """Say that a Region did not begin to serve, and what was seen instead.

    Args:
        requests: The requests of those whom it should serve.
        region: The Region, or several in words.
        seconds: How long it was waited for.
        speed: How much faster than AWS the environment runs.
        when: At which step of the drill, in words.
    """
    last = requests[-LAST_REQUESTS:]
    failures = sorted(
        {f"{r.region or r.address or 'DNS'}: {r.kind} {r.what}" for r in last if not r.ok}
    )
    served = ", ".join(sorted({r.region or "?" for r in last if r.ok}))
    seen = "; ".join(failures) or f"every request served by {served or 'nobody'}"
    return (
        f"{region} did not serve {CONSECUTIVE_SUCCESSES} requests in a row within "
        f"{seconds:.0f} s here ({seconds * speed:.0f} s on AWS) {when}; last seen: {seen}"
    )
