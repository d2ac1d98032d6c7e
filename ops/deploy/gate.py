"""Decides whether a release may continue: checks of a Region, and transactions for a while."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import Protocol

from ops.deploy.alarms import alarms_on
from ops.deploy.parts import GateResult
from ops.deploy.serving import regions_of, serving
from ops.deploy.transaction import Transaction, Transactor
from ops.drill.probe_location import probe_locations
from ops.environment import Environment
from ops.errors import OpsError
from ops.stacks import ROUTING_SUFFIX
from ops.verify import certificates, regions, verify
from ops.verify.finding import Check, Outcome

INTERVAL_SECONDS = 2.0
"""Between two transactions: they spend requests of the customer's quota."""
MOST_FAILED = 2
"""Failed transactions of one gate that are accepted: functions start, stages are replaced."""
BEFORE = 5
"""Transactions that are measured before a stack changes."""
SLOWER_FACTOR = 3.0
SLOWER_SECONDS = 0.5
"""A Region is slow if its median is above the former one by both."""
SILENT_SECONDS = 60.0
"""How much longer than the bake time a gate waits for a first transaction that limits allow."""
ATTEMPTS = 3
WATCH_SECONDS = 10.0
"""Between two looks at alarms and metrics."""
CHECKS: tuple[Check, ...] = (
    regions.url,
    regions.domain,
    regions.api_key,
    certificates.served,
)


class Transacting(Protocol):
    """What does transactions in a Region."""

    def run(self) -> Transaction:
        """Do one."""


@dataclass(frozen=True)
class _Checking:
    """Checks in the place of transactions, which need a customer."""

    checks: Callable[[], tuple[str, ...]]
    clock: Callable[[], float]

    def run(self) -> Transaction:
        """Check once."""
        begun = self.clock()
        failed = self.checks()
        return Transaction(self.clock() - begun, "; ".join(failed))


def failed_checks(
    environment: Environment, region: str, checks: Sequence[Check] = CHECKS
) -> tuple[str, ...]:
    """Run the checks of `ops verify` that are about one Region alone.

    Args:
        environment: The environment.
        region: The Region.
        checks: The checks.

    Returns:
        What failed, for people. Without customers, nobody else shows that a Region serves, so what
        could not be reached has failed, too.
    """
    found = verify(environment, [_in_region(check, region) for check in checks])
    wrong = found.with_outcome(Outcome.FAILED)
    if not environment.outputs.customers:
        wrong += found.unreadable
    return tuple(f"{finding.check} of {finding.subject}: {finding.found}" for finding in wrong)


def _in_region(check: Check, region: str) -> Check:
    def functions(environment: Environment) -> Mapping[str, Callable[[], object]]:
        every = check.functions(environment)
        return {subject: each for subject, each in every.items() if subject == region}

    return Check(check.id, functions, check.description, check.if_late)  # type: ignore[arg-type]


@dataclass
class RegionGate:
    """The gate of every stack.

    Attributes:
        environment: The environment.
        transactor: Makes what does transactions in a Region.
        checks: Gives what failed in a Region.
        versions: Says what is wrong with versions that have a share of a Region's requests.
        alarms: Gives the names of a Region's alarms that are in the state ALARM.
        clock: Gives seconds that no change of the time of day affects.
        sleep: Waits for so many seconds.
    """

    environment: Environment
    transactor: Callable[[Environment, str], Transacting] = Transactor
    checks: Callable[[Environment, str], tuple[str, ...]] = failed_checks
    versions: Callable[[str], str] = lambda _: ""
    alarms: Callable[[Environment, str], frozenset[str]] = alarms_on
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _transactors: dict[str, Transacting] = field(default_factory=dict)
    _before: dict[str, float] = field(default_factory=dict)
    _alarms: dict[str, frozenset[str]] = field(default_factory=dict)

    def prepare(self, stack: str) -> None:
        """Measure the Regions of a stack before it changes.

        Args:
            stack: Name of the stack.
        """
        for region in regions_of(self.environment, stack):
            self._alarms[region] = self.alarms(self.environment, region)
            done = [self._in(region).run() for _ in range(BEFORE)]
            if good := [each.seconds for each in done if not each.problem]:
                self._before[region] = median(good)

    def check(self, stack: str, bake_seconds: float, region: str = "") -> GateResult:
        """Check the Regions of a stack.

        Args:
            stack: Name of the stack.
            bake_seconds: How long to do transactions in each.
            region: The one to check; all by default.
        """
        if stack == f"{self.environment.name}{ROUTING_SUFFIX}":
            return self._check_routing()
        found, figures = [], dict[str, float]()
        for each in (region,) if region else regions_of(self.environment, stack):
            result = self._check_region(each, bake_seconds)
            figures |= {f"{each} {name}": value for name, value in result.figures.items()}
            if not result.passed:
                return GateResult(False, result.found, figures)
            found.append(result.found)
        return GateResult(True, "; ".join(found) or "nothing of it serves", figures)

    def clean(self) -> None:
        """Remove what transactions have left that were killed, from the first Region that does it.

        `ops verify` names what is left.
        """
        if not self.environment.outputs.customers:
            return
        with suppress(OpsError):
            for location in probe_locations(self.environment, retry_seconds=0):
                for region in self.environment.regions:
                    with suppress(OpsError):
                        location.empty(region)
                        break

    def _check_region(self, region: str, bake_seconds: float) -> GateResult:
        begun = self.clock()
        if failed := self._checked(region):
            return GateResult(False, "; ".join(failed), {"seconds": self.clock() - begun})
        done, problems = list[Transaction](), list[str]()
        published, bakes_since = 0, self.clock()
        watched, alarming = 0.0, ""
        while True:
            each = self._in(region).run()
            if not each.is_limited:
                done.append(each)
                published += each.published
            if each.problem and not each.is_limited:
                problems.append(each.problem)
            spent = self.clock() - bakes_since
            is_over = spent >= bake_seconds and len(done) > len(problems)
            # So many are needed to know whether a Region is slow.
            is_over &= len(done) >= ATTEMPTS or not bake_seconds
            # Limits that allow no transaction for too long.
            is_silent = not done and spent > bake_seconds + SILENT_SECONDS
            if bake_seconds and (is_over or spent >= watched + WATCH_SECONDS):
                watched, alarming = spent, self._alarming(region)
            if alarming or len(problems) > MOST_FAILED or is_over or is_silent:
                break
            self.sleep(INTERVAL_SECONDS)
        figures = {
            "seconds": round(self.clock() - begun, 1),
            "transactions": float(len(done)),
            "failed transactions": float(len(problems)),
        }
        if alarming:
            return GateResult(False, alarming, figures)
        if len(problems) > MOST_FAILED:
            what = f"{len(problems)} of {len(done)} transactions failed, the last one: "
            return GateResult(False, what + problems[-1], figures)
        if not done:
            return GateResult(False, f"{region}: limits allow no transaction", figures)
        now = median(each.seconds for each in done)
        figures["median milliseconds"] = round(now * 1000)
        if problem := self._slow(region, now, len(done)):
            return GateResult(False, problem, figures)
        by = "a publisher and a customer" if published else "a customer only"
        what = f"transactions passed, as {by}"
        if not self.environment.outputs.customers:
            what = "rounds of checks passed; without a customer, no transaction"
        good = len(done) - len(problems)
        return GateResult(True, f"{region}: {good} of {len(done)} {what}", figures)

    def _checked(self, region: str) -> tuple[str, ...]:
        """What fails in a Region, and still does after a while: stages and functions are new."""
        for _ in range(ATTEMPTS - 1):
            if not (failed := self.checks(self.environment, region)):
                return failed
            self.sleep(INTERVAL_SECONDS)
        return self.checks(self.environment, region)

    def _alarming(self, region: str) -> str:
        """What CloudWatch has of a Region that must not be, besides what it had before."""
        if problem := self.versions(region):
            return problem
        before = self._alarms.get(region, frozenset())
        if fired := sorted(self.alarms(self.environment, region) - before):
            return f"{region}: in the state ALARM: {', '.join(fired)}"
        return ""

    def _slow(self, region: str, now: float, number: int) -> str:
        before = self._before.get(region)
        if before is None or number < ATTEMPTS:
            return ""
        limit = before * SLOWER_FACTOR + SLOWER_SECONDS * self.environment.patience
        if now <= limit:
            return ""
        return (
            f"{region} is slow: the median of {number} transactions is {now:.2f} s, and was "
            f"{before:.2f} s before"
        )

    def _check_routing(self) -> GateResult:
        for _ in range(ATTEMPTS):
            found = serving(self.environment)
            if found.region:
                return GateResult(True, found.found, {})
            self.sleep(INTERVAL_SECONDS)
        return GateResult(False, found.found, {})

    def _in(self, region: str) -> Transacting:
        if region not in self._transactors:
            has_customers = bool(self.environment.outputs.customers)
            make = self.transactor if has_customers else self._checking
            self._transactors[region] = make(self.environment, region)
        return self._transactors[region]

    def _checking(self, _: Environment, region: str) -> Transacting:
        return _Checking(partial(self.checks, self.environment, region), self.clock)
