"""The health checkers: one loop per health check and checker Region.

Checkers do not coordinate: each starts at its own offset and then pauses for the request
interval after every response. The offset follows from the check and the Region, so two runs
behave alike.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from sandbox.route53.health import CheckerState
from sandbox.route53.model import HealthCheck
from sandbox.route53.probe import Limits, observe
from sandbox.route53.targets import Target

SHORTEST_PAUSE_SECONDS = 0.05


@dataclass(slots=True)
class _Checker:
    """One running loop and what it believes."""

    check: HealthCheck
    state: CheckerState
    task: asyncio.Task[None] | None = None


class CheckerFleet:
    """All checkers of all endpoint checks.

    Args:
        target_of: Gives the loopback target of a check; asked before every request.
        changed: Called whenever a checker changed its mind.
        speed: Divides the interval between requests and the waiting limits.
        checkers: At most so many of a check's checker Regions ask; None for all.
    """

    def __init__(
        self,
        *,
        target_of: Callable[[HealthCheck], Target],
        changed: Callable[[], None],
        speed: float = 1.0,
        checkers: int | None = None,
    ) -> None:
        """Start nothing; `apply` does."""
        self._most = checkers
        self._target_of = target_of
        self._changed = changed
        self._speed = speed
        self._checkers: dict[tuple[str, str], _Checker] = {}

    def apply(self, checks: Mapping[str, HealthCheck]) -> None:
        """Make the running checkers match the configuration.

        A check whose settings changed keeps its beliefs; a new one starts healthy; disabled
        checks send nothing.

        Args:
            checks: Every health check by id; those that watch no endpoint are skipped.

        Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html
        """
        wanted = {
            (check.id, region): check
            for check in checks.values()
            if check.watches_endpoint and not check.disabled
            for region in check.regions[: self._most]
        }
        for key in self._checkers.keys() - wanted.keys():
            self._cancel(self._checkers.pop(key))
        for key, check in wanted.items():
            running = self._checkers.get(key)
            if running and _asks_the_same(running.check, check):
                running.check = check
                continue
            if running:
                self._cancel(running)
            state = replace(running.state, against=0) if running else CheckerState()
            self._start(key, _Checker(check, state))

    def set_speed(self, speed: float) -> None:
        """Start every checker again, at another speed and with what it believes.

        Args:
            speed: Factor, 1 or more.
        """
        self._speed = speed
        for key, checker in list(self._checkers.items()):
            self._cancel(checker)
            self._start(key, _Checker(checker.check, checker.state))

    def states(self, check_id: str) -> dict[str, CheckerState]:
        """Give what each checker Region believes of a check."""
        return {
            region: checker.state
            for (owner, region), checker in self._checkers.items()
            if owner == check_id
        }

    def votes(self) -> dict[str, tuple[bool, ...]]:
        """Give the beliefs of all checkers, by check."""
        found: dict[str, list[bool]] = {}
        for (owner, _), checker in self._checkers.items():
            found.setdefault(owner, []).append(checker.state.healthy)
        return {owner: tuple(beliefs) for owner, beliefs in found.items()}

    async def stop(self) -> None:
        """Cancel every loop and wait for the end of all."""
        tasks = [checker.task for checker in self._checkers.values() if checker.task]
        for checker in self._checkers.values():
            self._cancel(checker)
        self._checkers.clear()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, key: tuple[str, str], checker: _Checker) -> None:
        self._checkers[key] = checker
        checker.task = asyncio.create_task(self._run(checker, key[1]))

    async def _run(self, checker: _Checker, region: str) -> None:
        limits = Limits().divided(self._speed)
        pause = max(SHORTEST_PAUSE_SECONDS, checker.check.interval_seconds / self._speed)
        await asyncio.sleep(pause * _offset(checker.check.id, region))
        while True:
            check = checker.check
            observation = await observe(check, self._target_of(check), limits)
            before = checker.state.healthy
            checker.state = checker.state.after(observation, check.failure_threshold)
            if checker.state.healthy != before:
                self._changed()
            await asyncio.sleep(pause)

    @staticmethod
    def _cancel(checker: _Checker) -> None:
        if checker.task:
            checker.task.cancel()


def _asks_the_same(one: HealthCheck, other: HealthCheck) -> bool:
    """Check whether two settings differ only in what the aggregation uses."""
    return replace(one, inverted=other.inverted, regions=other.regions) == other


def _offset(check_id: str, region: str) -> float:
    """Give a checker's place within the interval, from 0 to 1."""
    return zlib.crc32(f"{check_id} {region}".encode()) / 2**32
