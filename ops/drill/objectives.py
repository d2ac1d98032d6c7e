"""What a drill is judged by: the environment's objectives, and what was measured against them."""

from dataclasses import dataclass
from typing import Any

from constructs_lib.outputs import ObjectivesOutput
from ops.drill.expectation import Expectation
from ops.drill.measure import Duration
from ops.drill.outcome import Limits, Outcome, deciding_time, seconds_on_aws
from ops.environment import Environment


@dataclass(frozen=True)
class Rpo:
    """What a failover would have lost, had the lost Region not come back.

    Attributes:
        writes: Acknowledged writes that were not there when another Region took over, or are lost.
        age: How long before the fault the oldest of them was acknowledged.
    """

    writes: int
    age: Duration


def objectives_of(environment: Environment) -> ObjectivesOutput:
    """The objectives of an environment; without any, what counts as a proof by default.

    Args:
        environment: The environment.
    """
    return environment.outputs.objectives or ObjectivesOutput()


def limits_of(
    environment: Environment,
    expectation: Expectation,
    *,
    max_rto_seconds: float | None,
    max_lost_writes: int,
) -> Limits:
    """What a drill must keep.

    Args:
        environment: The environment.
        expectation: What the failover may take: the longest RTO where nothing else is said.
        max_rto_seconds: Longest RTO that the command line asks for; None for the objective.
        max_lost_writes: Most acknowledged writes that may be lost.
    """
    objectives = objectives_of(environment)
    allowed = max_rto_seconds or objectives.rto_seconds or expectation.seconds
    return Limits(allowed, max_lost_writes)


def rpo_of(outcome: Outcome) -> Rpo | None:
    """What was measured of the RPO.

    Args:
        outcome: What the drill found.

    Returns:
        None if the fault could not show it, or a Region that took over was not read then. Where no
        Region took over, it is of the writes that are lost, or late, at the end.
    """
    injected, error = outcome.events.when("injecting"), outcome.pace.interval_seconds
    if injected is None or not _is_exercised(outcome) or _unread(outcome):
        return None
    if outcome.consistency and outcome.consistency.cut_over:
        # Of everybody's writes; its seconds are those of AWS.
        seconds = outcome.consistency.window_seconds / outcome.speed
        return Rpo(outcome.consistency.missing_writes, Duration(seconds, error_seconds=error))
    missing = {e.key for e in outcome.durability.found if e.state in ("lost", "late")}
    # One that was acknowledged after the fault was accepted by a Region that serves.
    at = [
        r.answered_at
        for r in outcome.events.requests
        if r.kind == "write" and r.ok and r.key in missing and r.answered_at <= injected
    ]
    return Rpo(len(at), Duration(injected - min(at) if at else 0.0, error_seconds=error))


def judge_rpo(outcome: Outcome, objectives: ObjectivesOutput) -> list[str]:
    """Compare the RPO with its objective.

    Args:
        outcome: What the drill found.
        objectives: The objectives.

    Returns:
        What failed, in words.
    """
    rpo, allowed = rpo_of(outcome), objectives.rpo_seconds
    if allowed is not None and (unread := _unread(outcome)):
        return [f"the RPO is not known: {' and '.join(unread)} could not be read at the cut-over"]
    if allowed is None or rpo is None or rpo.age.at_speed(outcome.speed) <= allowed:
        return []
    return [
        f"the RPO is {seconds_on_aws(rpo.age, outcome.speed)}, more than the {allowed:g} s "
        f"allowed: {rpo.writes} acknowledged {'write was' if rpo.writes == 1 else 'writes were'} "
        "not there"
    ]


def figures(outcome: Outcome) -> dict[str, dict[str, Any]]:
    """RTO and RPO on AWS, as JSON values.

    Args:
        outcome: What the drill found.

    Returns:
        `{rto, rpo}`, each `{state, seconds, error_seconds}`, `rto` with `judged_by` and `rpo` with
        `writes`; `state` is `measured`, `never`, `not exercised` or, of the RPO, `not measured`,
        and without `measured` the seconds are None.
    """
    name, time = deciding_time(outcome)
    rpo = rpo_of(outcome)
    without = "not exercised" if name == "nothing" else "never"
    return {
        "rto": {"judged_by": name, **_seconds(time, outcome.speed, without)},
        "rpo": {
            "writes": rpo.writes if rpo else None,
            **_seconds(
                rpo.age if rpo else None,
                outcome.speed,
                "not measured" if _unread(outcome) else "not exercised",
            ),
        },
    }


def _is_exercised(outcome: Outcome) -> bool:
    """Whether it shows what is lost with a Region: that its last writes have not left it yet."""
    return outcome.isolates or bool(outcome.durability.keys("lost"))


def _unread(outcome: Outcome) -> list[str]:
    """The Regions that took over and could not be read before the restore."""
    history, verdict = outcome.history, outcome.consistency
    if not history or not verdict or history.when("cut-over") is None:
        return []
    read = {each.region for each in verdict.cut_over}
    unread = [region for region in history.taking_over if region not in read]
    return unread if _is_exercised(outcome) else []


def _seconds(duration: Duration | None, speed: float, without: str) -> dict[str, Any]:
    if duration is None:
        return {"state": without, "seconds": None, "error_seconds": None}
    return {
        "state": "measured",
        "seconds": round(duration.at_speed(speed), 3),
        "error_seconds": round(duration.error_at_speed(speed), 3),
    }
