"""When a health check is healthy: the rules, without clock or network.

A checker changes its mind after enough equal results in a row; the checkers' votes are
aggregated; calculated checks count their children; Disabled and Inverted come last.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sandbox.route53.model import HealthCheck

HEALTHY_SHARE = 0.18
"""An endpoint is healthy when more than this share of its checkers say so.

Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
"""


@dataclass(frozen=True, slots=True)
class Observation:
    """One result of one checker.

    Attributes:
        healthy: Whether the endpoint passed.
        reason: One line a person can read, e.g. `HTTP status 503`.
    """

    healthy: bool
    reason: str


@dataclass(frozen=True, slots=True)
class CheckerState:
    """What one checker believes.

    A new checker believes the endpoint is healthy until it has seen otherwise.

    Attributes:
        healthy: The belief.
        against: Consecutive observations that contradict it.
        reason: That of the latest observation; empty before the first.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
    """

    healthy: bool = True
    against: int = 0
    reason: str = ""

    def after(self, observation: Observation, failure_threshold: int) -> CheckerState:
        """Take one more observation into account.

        Args:
            observation: The newest result.
            failure_threshold: Consecutive contrary results that flip the belief, in both
                directions.

        Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-creating-values.html
        """
        if observation.healthy == self.healthy:
            return replace(self, against=0, reason=observation.reason)
        if self.against + 1 >= failure_threshold:
            return CheckerState(healthy=observation.healthy, reason=observation.reason)
        return replace(self, against=self.against + 1, reason=observation.reason)


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a health check, after Disabled and Inverted."""

    healthy: bool
    reason: str


def votes_are_healthy(beliefs: Iterable[bool]) -> bool:
    """Aggregate the checkers' beliefs; no checker at all counts as healthy (no data yet).

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html
    """
    votes = tuple(beliefs)
    return not votes or sum(votes) / len(votes) > HEALTHY_SHARE


def alarm_is_healthy(state: str, insufficient_data_status: str, last_known: bool | None) -> bool:
    """Turn the state of a CloudWatch alarm into health.

    AWS evaluates the alarm's data stream; here the alarm's state is read instead, because that
    is what an API offers.

    Args:
        state: `OK`, `ALARM` or `INSUFFICIENT_DATA`.
        insufficient_data_status: `Healthy`, `Unhealthy` or `LastKnownStatus`.
        last_known: Health when the data last sufficed; None (never) counts as healthy.

    Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-creating-values.html
    """
    if state in ("OK", "ALARM"):
        return state == "OK"
    if insufficient_data_status == "LastKnownStatus":
        return last_known is not False
    return insufficient_data_status == "Healthy"


class Evaluation:
    """The statuses of a set of health checks at one moment.

    Args:
        checks: Every health check by id.
        votes: For endpoint checks, the beliefs of their checkers.
        alarms: For alarm checks, `alarm_is_healthy` of their alarm.
    """

    def __init__(
        self,
        checks: Mapping[str, HealthCheck],
        votes: Mapping[str, tuple[bool, ...]],
        alarms: Mapping[str, bool],
    ) -> None:
        """Keep the inputs; statuses are computed when asked for."""
        self._checks = checks
        self._votes = votes
        self._alarms = alarms
        self._known: dict[str, Status] = {}
        self._open: set[str] = set()

    def all(self) -> dict[str, Status]:
        """Give the status of every check."""
        return {check_id: self.status(check_id) for check_id in self._checks}

    def status(self, check_id: str) -> Status:
        """Give the status of one check.

        Disabled counts as healthy, and Inverted then reverses whatever came out, so a check
        that is disabled and inverted is unhealthy. A check that does not exist is healthy,
        as a record without a check is; a calculated check that contains itself counts
        itself as unhealthy instead of recursing.

        Args:
            check_id: Any id, known or not.

        Source: https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html
        """
        if check_id in self._known:
            return self._known[check_id]
        check = self._checks.get(check_id)
        if check is None:
            return Status(True, "no such health check; counted as healthy")
        if check_id in self._open:
            return Status(False, "the calculated check contains itself")
        self._open.add(check_id)
        status = Status(True, "disabled") if check.disabled else self._measured(check)
        self._open.discard(check_id)
        if check.inverted:
            status = Status(not status.healthy, f"inverted: {status.reason}")
        self._known[check_id] = status
        return status

    def _measured(self, check: HealthCheck) -> Status:
        if check.type == "CALCULATED":
            return self._calculated(check)
        if check.type == "CLOUDWATCH_METRIC":
            healthy = self._alarms.get(check.id, check.insufficient_data_status != "Unhealthy")
            return Status(healthy, f"alarm {check.alarm[1] if check.alarm else '(none)'}")
        if check.watches_endpoint:
            votes = self._votes.get(check.id, ())
            return Status(
                votes_are_healthy(votes), f"{sum(votes)} of {len(votes)} checkers healthy"
            )
        return Status(True, f"{check.type} is not supported; counted as healthy")

    def _calculated(self, check: HealthCheck) -> Status:
        """Count healthy children against the threshold.

        Zero is always healthy and more than there are children always unhealthy. A child that
        does not exist is not a healthy one. AWS refuses calculated children of calculated
        checks; should one be there all the same, it is evaluated.

        Source: https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/health-checks-creating-values.html
        """
        children = [child for child in check.children if child in self._checks]
        healthy = sum(self.status(child).healthy for child in children)
        needed = len(check.children) if check.health_threshold is None else check.health_threshold
        unknown = len(check.children) - len(children)
        reason = f"{healthy} of {len(check.children)} children healthy, {needed} needed"
        return Status(healthy >= needed, reason + (f", {unknown} unknown" if unknown else ""))
