"""What became of a drill's load: figures by part, Region and second, and a verdict: pure.

An attempt counts in the second in which it was due, a request in the part of the drill in which it
was due. Seconds and rates are those of this machine's clock, at every speed.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from ops.drill.events import Events, Request
from ops.drill.load import FATES, Attempt, Call, Fate, Load, Traffic
from ops.drill.scenario import Scenario

LATE_SECONDS = 0.1
MAX_LATE_SHARE = 0.01
"""More requests that begin so late, and the machine is measured, not the API."""
LEAST_JUDGED = 10
"""Attempts after the cut-over that a verdict takes."""
PERCENTS = (50, 90, 99)
PartName = Literal["before", "during", "after", "restored"]
PARTS: dict[PartName, str] = {
    "before": "before the fault",
    "during": "fault to cut-over",
    "after": "cut-over to restore",
    "restored": "after the restore",
}
"""Parts of a drill, of which `after` is judged."""


@dataclass(frozen=True)
class Latency:
    """Latencies of requests, in seconds since they were due; retries and failures included.

    Attributes:
        p50: Half of them took no longer.
        p90: Nine of ten.
        p99: Ninety-nine of a hundred.
        max: The longest.
    """

    p50: float
    p90: float
    p99: float
    max: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Latency | None":
        """Find them by the nearest rank; None of nothing.

        Args:
            seconds: The latencies.
        """
        if not seconds:
            return None
        ordered = sorted(seconds)
        p50, p90, p99 = (ordered[math.ceil(p / 100 * len(ordered)) - 1] for p in PERCENTS)
        return cls(p50, p90, p99, ordered[-1])


@dataclass(frozen=True)
class Tally:
    """Attempts of one part or second of a drill, to one Region.

    Attributes:
        region: The Region; empty if unknown, as DNS gave no address.
        counts: `{fate: attempts}`.
        failed_seconds: How long customers waited for those that failed.
    """

    region: str
    counts: Mapping[Fate, int]
    failed_seconds: float

    @property
    def sent(self) -> int:
        """How many there were."""
        return sum(self.counts.values())

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return self.sent - self.counts.get("ok", 0)

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "region": self.region or None,
            "sent": self.sent,
            **{fate: self.counts.get(fate, 0) for fate in FATES},
            "failed_seconds": round(self.failed_seconds, 3),
        }

    def failures(self) -> str:
        """What failed, in words."""
        found = [f"{self.counts[fate]} {words}" for fate, words in FATES.items()
                 if fate != "ok" and self.counts.get(fate)]  # fmt: skip
        return ", ".join(found)


@dataclass(frozen=True)
class Part:
    """One part of a drill.

    Attributes:
        name: Which one.
        requests: Requests of customers that were due in it.
        failed: How many of them failed in the end, with all their attempts.
        unfinished: How many had no response when the drill ended: they are not in `latency`.
        latency: Their latencies; None without a request.
        regions: Attempts that were due in it, by Region.
    """

    name: PartName
    requests: int
    failed: int
    unfinished: int
    latency: Latency | None
    regions: tuple[Tally, ...]

    @property
    def attempts(self) -> int:
        """Attempts that were due in it."""
        return sum(each.sent for each in self.regions)

    @property
    def failed_attempts(self) -> int:
        """How many of them failed."""
        return sum(each.failed for each in self.regions)


@dataclass(frozen=True)
class LoadResult:
    """The load of a drill, and what became of it.

    Attributes:
        load: The load.
        traffic: What was sent.
        events: Marks of the drill.
        scenario: The Regions that were lost.
        is_carried: Whether the Regions carried it without a fault; if not, none was injected.
    """

    load: Load
    traffic: Traffic
    events: Events
    scenario: Scenario
    is_carried: bool = True

    @cached_property
    def cut_over_at(self) -> float | None:
        """Since when no attempt was sent to a lost Region any more.

        None if the fault was not injected, no Region was left, or no attempt was sent elsewhere.
        """
        begin = self.events.when("injecting")
        if begin is None or not self.scenario.left:
            return None
        end = self._at("restoring")
        sent = sorted((a.sent_at, a.region) for a in self.traffic.attempts
                      if begin <= a.sent_at < end)  # fmt: skip
        lost = [place for place, (_, region) in enumerate(sent) if region in self.scenario.lost]
        if not lost:
            return begin
        after = sent[lost[-1] + 1 :]
        return after[0][0] if after else None

    @cached_property
    def parts(self) -> dict[PartName, Part]:
        """The parts of the drill; `after` only if there was a cut-over."""
        begin, end = self._at("injecting"), self._at("restoring")
        cut_over = self.cut_over_at
        borders: list[tuple[PartName, float, float]] = [
            ("before", float("-inf"), begin),
            ("during", begin, end if cut_over is None else cut_over),
        ]
        if cut_over is not None:
            borders.append(("after", cut_over, end))
        borders.append(("restored", end, float("inf")))
        return {name: self._part(name, *border) for name, *border in borders}

    @cached_property
    def late(self) -> tuple[int, int, float]:
        """How many requests began late, of how many, and by how many seconds the latest."""
        lags = [call.begun_at - call.due_at for call in self.traffic.calls]
        return sum(lag > LATE_SECONDS for lag in lags), len(lags), max(lags, default=0.0)

    @property
    def failed_share(self) -> float | None:
        """Share of the attempts after the cut-over that failed; None without any."""
        after = self.parts.get("after")
        return after.failed_attempts / after.attempts if after and after.attempts else None

    @cached_property
    def not_followed(self) -> list[str]:
        """Why it was this machine that was measured, in words; empty if it was not."""
        late, count, latest = self.late
        found = []
        if late > MAX_LATE_SHARE * count:
            found.append(
                f"this machine did not keep the schedule: {late} of {count} requests of the load "
                f"began more than {LATE_SECONDS:g} s late, by at most {latest:.1f} s"
            )
        if self.traffic.is_overload:
            found.append(
                "the load was ended before its time, so that the rest of the drill was not "
                "disturbed"
            )
        if self.traffic.skipped:
            found.append(
                f"{self.traffic.skipped} requests of the load were not sent: too many were under "
                "way on this machine"
            )
        if local := sum(a.fate == "local" for a in self.traffic.attempts):
            found.append(
                f"{local} requests of the load failed on this machine, which has no more files, "
                "ports or credentials for them"
            )
        return found

    @cached_property
    def unmeasured(self) -> list[str]:
        """Why the load cannot be judged, in words; empty if it can."""
        after, found = self.parts.get("after"), [*self.not_followed]
        has_cut_over = after is not None and after.attempts >= LEAST_JUDGED
        if self.is_to_be_judged and not (has_cut_over or self._refused):
            found.append(
                f"{after.attempts if after else 0} requests of the load were sent after the "
                f"cut-over, {LEAST_JUDGED} are needed"
            )
        return found

    @property
    def is_to_be_judged(self) -> bool:
        """Whether there should have been a cut-over."""
        return bool(self.scenario.left) and self.events.when("injecting") is not None

    @property
    def findings(self) -> list[str]:
        """What failed, in words; of a load that was not measured, only why it was stopped."""
        found = [f"the load was stopped: {self.traffic.stopped}"] if self.traffic.stopped else []
        share, after = self.failed_share, self.parts.get("after")
        if not (self.is_carried or self.unmeasured):
            found.append(
                "the Regions do not carry the load without any fault: nothing was injected"
            )
        if self.unmeasured or self.events.when("injecting") is None:
            return found
        allowed = f"more than the {_percent(self.load.max_failed_share)} allowed"
        if self._refused:
            sent = sum(each.sent for each in self._refused)
            found.append(
                f"the load had no lasting cut-over: {_percent(_failed_share(self._refused))} of "
                f"its {sent} requests to the Regions that are left failed, {allowed} "
                f"({_where(self._refused)})"
            )
        elif after and share is not None and share > self.load.max_failed_share:
            found.append(
                f"{_percent(share)} of the {after.attempts} requests of the load failed after the "
                f"cut-over, {allowed} ({_where(after.regions)})"
            )
        return found

    @property
    def requests(self) -> Iterator[Request]:
        """Its reads, for what they spend of the customer's limits."""
        for each in self.traffic.attempts:
            if each.kind == "read":
                region = each.region or None
                yield Request("read", each.sent_at, each.ended_at, region=region)

    def seconds(self) -> dict[int, list[Tally]]:
        """The attempts of each second since the fault, or the start without one, by Region."""
        zero = self._zero
        by_second: dict[int, list[Attempt]] = defaultdict(list)
        for each in self.traffic.attempts:
            by_second[math.floor(each.sent_at - zero)].append(each)
        return {second: _tallies(by_second[second]) for second in sorted(by_second)}

    def slowest(self) -> dict[int, float]:
        """The longest latency of the requests that were due in each second, in order."""
        zero, found = self._zero, dict[int, float]()
        for call in self._finished:
            second = math.floor(call.due_at - zero)
            found[second] = max(found.get(second, 0.0), call.ended_at - call.due_at)
        return dict(sorted(found.items()))

    def to_json(self) -> dict[str, Any]:
        """As JSON values; rates and seconds are those of this machine's clock."""
        late, count, latest = self.late
        slowest = self.slowest()
        return {
            **asdict(self.load),
            "clock": "this machine's, at every speed",
            "state": "not measured" if self.unmeasured else "measured",
            "unmeasured": self.unmeasured,
            "failed_share": self.failed_share,
            "stopped": self.traffic.stopped or None,
            "schedule": {
                "requests": count,
                "late": late,
                "latest_seconds": round(latest, 3),
                "skipped": self.traffic.skipped,
            },
            "parts": {
                name: {
                    "requests": part.requests,
                    "failed": part.failed,
                    "unfinished": part.unfinished,
                    "attempts": part.attempts,
                    "failed_attempts": part.failed_attempts,
                    "latency_seconds": part.latency and asdict(part.latency),
                    "regions": [each.to_json() for each in part.regions],
                }
                for name, part in self.parts.items()
            },
            "seconds": [
                {
                    "second": second,
                    "slowest_seconds": slowest.get(second),
                    "regions": [each.to_json() for each in tallies],
                }
                for second, tallies in self.seconds().items()
            ],
        }

    def in_words(self) -> Iterator[str]:
        """The verdict and its basis, a sentence each."""
        late, count, latest = self.late
        yield (
            f"Load: {self.load}, on this machine's clock, which is not scaled; latency is counted "
            f"from when a request was due. {late} of {count} began more than {LATE_SECONDS:g} s "
            f"late, the latest by {latest:.2f} s."
        )
        for reason in self.unmeasured:
            yield f"The load was NOT MEASURED: {reason}."
        if not self.is_carried:
            yield "Nothing was injected: the load failed without any fault."
        elif not self.unmeasured:
            share = self.failed_share
            yield (
                "Load after the cut-over: nothing to judge, as there was none."
                if share is None
                else f"Load after the cut-over: {_percent(share)} of the requests failed, "
                f"{_percent(self.load.max_failed_share)} allowed."
            )

    def lines(self) -> list[str]:
        """The section of the report, in Markdown."""
        return [
            "## Load",
            "",
            *[f"- {line}" for line in self.in_words()],
            "",
            "| | Requests | Failed | Attempts | p50 | p90 | p99 | Max |",
            "|---|--:|--:|--:|--:|--:|--:|--:|",
            *[_part_row(part) for part in self.parts.values()],
            "",
            "Seconds since a request was due, on this machine's clock, retries and failures "
            "included.",
            "",
            "| | Region | " + " | ".join(words.capitalize() for words in FATES.values())
            + " | Waited for failures |",
            "|---|---|" + "--:|" * (len(FATES) + 1),
            *[_region_row(part, each) for part in self.parts.values() for each in part.regions],
            "",
        ]  # fmt: skip

    @cached_property
    def _finished(self) -> list[Call]:
        return [call for call in self.traffic.calls if call.is_finished]

    @cached_property
    def _refused(self) -> list[Tally]:
        """What the Regions that are left got without a cut-over, if they refused too much of it.

        One whose health checks are throttled like its customers is unhealthy soon, and DNS goes
        back to the lost Region.
        """
        after, begin, end = self.parts.get("after"), self._at("injecting"), self._at("restoring")
        if not self.is_to_be_judged or (after and after.attempts >= LEAST_JUDGED):
            return []
        found = _tallies(
            [
                a
                for a in self.traffic.attempts
                if begin <= a.sent_at < end and a.region in self.scenario.left
            ]
        )
        is_much = sum(each.sent for each in found) >= LEAST_JUDGED
        return found if is_much and _failed_share(found) > self.load.max_failed_share else []

    @property
    def _zero(self) -> float:
        return self.events.when("injecting") or self.events.when("started") or 0.0

    def _at(self, mark: Literal["injecting", "restoring"]) -> float:
        """When a step of the drill was; never, if it was not reached."""
        at = self.events.when(mark)
        return float("inf") if at is None else at

    def _part(self, name: PartName, begin: float, end: float) -> Part:
        calls = [call for call in self.traffic.calls if begin <= call.due_at < end]
        finished = [call for call in calls if call.is_finished]
        return Part(
            name,
            requests=len(calls),
            failed=sum(call.fate != "ok" for call in finished),
            unfinished=len(calls) - len(finished),
            latency=Latency.of([call.ended_at - call.due_at for call in finished]),
            regions=tuple(_tallies([a for a in self.traffic.attempts if begin <= a.sent_at < end])),
        )


def share_failed(attempts: Sequence[Attempt]) -> float:
    """Share of attempts that failed; all of none have.

    Args:
        attempts: The attempts.
    """
    return sum(a.fate != "ok" for a in attempts) / len(attempts) if attempts else 1.0


def _tallies(attempts: Sequence[Attempt]) -> list[Tally]:
    by_region: dict[str, list[Attempt]] = defaultdict(list)
    for each in attempts:
        by_region[each.region].append(each)
    return [
        Tally(
            region,
            Counter(each.fate for each in found),
            sum((each.ended_at - each.sent_at for each in found if each.fate != "ok"), 0.0),
        )
        for region, found in sorted(by_region.items())
    ]


def _failed_share(tallies: Sequence[Tally]) -> float:
    return sum(each.failed for each in tallies) / sum(each.sent for each in tallies)


def _where(tallies: Sequence[Tally]) -> str:
    return "; ".join(
        f"{each.region or 'no Region'}, of {each.sent}: {each.failures()}"
        for each in tallies
        if each.failed
    )


def _part_row(part: Part) -> str:
    latency = part.latency
    times = [f"{seconds:.3f}" for seconds in asdict(latency).values()] if latency else [""] * 4
    failed = f"{part.failed}" + (f" (+{part.unfinished} open)" if part.unfinished else "")
    cells = [PARTS[part.name], str(part.requests), failed, str(part.attempts), *times]
    return f"| {' | '.join(cells)} |"


def _region_row(part: Part, tally: Tally) -> str:
    counts = [str(tally.counts.get(fate, 0)) for fate in FATES]
    cells = [PARTS[part.name], tally.region or "unknown", *counts, f"{tally.failed_seconds:.1f} s"]
    return f"| {' | '.join(cells)} |"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
