"""What became of the writes in a history: pure, by how it was acknowledged and what Regions showed.

It relies on nothing inside the Regions: no queue, no time stamp of an item. A write took effect at
some time between its request and its response. So of two writes the order is known only if one was
acknowledged before the other was sent; of Regions that differ, `CLOCK_SKEW_SECONDS` before. What
may have been either way is no finding.

| state | what was seen |
|---|---|
| lost | a Region lacks it, `lost_after_seconds` or more after it was acknowledged |
| out of order | a Region showed it, and later an older one in its place |
| wrong winner | the Region that acknowledged it shows an older one of another Region |
| came back | it deleted what its Region held, and that was there again |
| duplicated | a Region lists it more than once |
| wrong value | a Region shows what nobody wrote |
| diverged | Regions differ for good |
| not deleted | it deleted what its Region did not hold yet: as the API documents, this remains |
| uncounted | a Region could not be read, or not for so long that "late" can be excluded |

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal, get_args

from ops.drill.history import History, Operation, Seen, Value

CLOCK_SKEW_SECONDS = 0.5
"""So much the clocks of two Regions may differ: the last writer is the last one by their clocks."""
State = Literal[
    "lost",
    "out of order",
    "wrong winner",
    "came back",
    "duplicated",
    "wrong value",
    "diverged",
    "not deleted",
    "uncounted",
]
STATES: tuple[State, ...] = get_args(State)
FAILING: tuple[State, ...] = (*STATES[1:7], "uncounted")
"""What replication must never do, and what nobody knows. `lost` may be, as far as it is allowed."""
RECONCILED: Literal["reconciled"] = "reconciled"
"""The step of a drill from which on what Regions show is judged; what they showed before is known,
and not judged again."""
KEPT = "all"
"""The winner of a conflict in which no write is lost: each has a value of its own."""


@dataclass(frozen=True)
class Anomaly:
    """A write that a Region does not show as it should.

    Attributes:
        state: What is wrong.
        key: Its key.
        region: The Region; empty if it is about all.
        kind: `put`, `update` or `delete`; empty if it is not about one write.
        value: What was written, or for `wrong value` and `duplicated`, what is shown.
        client: Who wrote it.
    """

    state: State
    key: str
    region: str
    kind: str = ""
    value: Value = None
    client: str = ""


@dataclass(frozen=True)
class CutOver:
    """What a Region did not show when it took over (the recovery point).

    Attributes:
        region: The Region.
        at: When customers were served by another Region.
        read_at: When the Region was read.
        missing: The acknowledged writes until `at` that it did not show.
        oldest_seconds: Age of the oldest of them at the cut-over, on AWS.
        window_seconds: Time from the oldest of them to the last write that a lost Region
            acknowledged before the cut-over, on AWS: how far back the data is.
    """

    region: str
    at: float
    read_at: float
    missing: tuple[Operation, ...]
    oldest_seconds: float = 0.0
    window_seconds: float = 0.0


@dataclass(frozen=True)
class Conflict:
    """A key that Regions wrote while no write went from one to the other.

    Attributes:
        key: The key.
        regions: The Regions that acknowledged such a write.
        winner: The Region whose write all show at the end; `KEPT` if they show all values; empty
            if they differ, or show something else.
        overwritten: Acknowledged writes of the other Regions that are not seen any more.
    """

    key: str
    regions: tuple[str, ...]
    winner: str
    overwritten: int


@dataclass(frozen=True)
class Verdict:
    """What became of the writes.

    Attributes:
        acknowledged: `{kind: how many}`.
        unknown: Writes without a response, or with one that leaves open what happened.
        rejected: Writes that were refused.
        cut_over: What Regions lacked when they took over; empty without a cut-over.
        after_cut_over: Writes that a lost Region acknowledged after the cut-over.
        found: What is wrong.
        conflicts: The keys that several Regions wrote while cut off from each other.
        max_lost_writes: Most acknowledged writes that may be lost.
    """

    acknowledged: Mapping[str, int]
    unknown: int
    rejected: int
    cut_over: tuple[CutOver, ...]
    after_cut_over: int
    found: tuple[Anomaly, ...]
    conflicts: tuple[Conflict, ...]
    max_lost_writes: int = 0

    def of(self, state: State) -> tuple[Anomaly, ...]:
        """What is in a state."""
        return tuple(each for each in self.found if each.state == state)

    @property
    def lost(self) -> int:
        """How many acknowledged writes are lost in at least one Region."""
        return len({(each.key, each.kind, each.value, each.client) for each in self.of("lost")})

    @property
    def missing_writes(self) -> int:
        """RPO in writes: of the Region that lacked most when it took over."""
        return max((len(each.missing) for each in self.cut_over), default=0)

    @property
    def oldest_seconds(self) -> float:
        """Age of the oldest write at the cut-over that the Region taking over lacked."""
        return max((each.oldest_seconds for each in self.cut_over), default=0.0)

    @property
    def window_seconds(self) -> float:
        """RPO in seconds: how far back the data was when a Region took over."""
        return max((each.window_seconds for each in self.cut_over), default=0.0)

    @property
    def overwritten(self) -> int:
        """How many acknowledged writes lost against one of another Region."""
        return sum(each.overwritten for each in self.conflicts)

    @property
    def problems(self) -> list[str]:
        """Why it is not passed, in words; empty if it is."""
        found = []
        if self.lost > self.max_lost_writes:
            found.append(_counted(self.lost, "lost", self.of("lost")))
        for state in FAILING:
            if anomalies := self.of(state):
                found.append(_counted(len(anomalies), state, anomalies))
        return found

    def to_json(self) -> dict[str, Any]:
        """As JSON values, with the figures that are derived."""
        return {
            **{name: value for name, value in asdict(self).items() if name != "cut_over"},
            "acknowledged": dict(self.acknowledged),
            "found": [asdict(each) for each in self.found],
            "conflicts": [
                {**asdict(each), "regions": list(each.regions)} for each in self.conflicts
            ],
            "cut_over": [
                {**asdict(each), "missing": [asdict(write) for write in each.missing]}
                for each in self.cut_over
            ],
            "lost": self.lost,
            "missing_writes": self.missing_writes,
            "oldest_seconds": self.oldest_seconds,
            "window_seconds": self.window_seconds,
            "overwritten": self.overwritten,
            "problems": self.problems,
        }


def check(history: History) -> Verdict:
    """Judge every write of a history.

    Args:
        history: The history, whole or so far.
    """
    operations, keys = history.operations, _keys(history)
    return Verdict(
        acknowledged={
            kind: sum(each.ok and each.kind == kind for each in operations)
            for kind in ("put", "update", "delete")
        },
        unknown=sum(each.result == "unknown" for each in operations),
        rejected=sum(each.result == "rejected" for each in operations),
        cut_over=tuple(_cut_over(history, keys)),
        after_cut_over=after_cut_over(history),
        found=tuple(dict.fromkeys(anomaly for key in keys for anomaly in key.anomalies())),
        conflicts=tuple(filter(None, (key.conflict() for key in keys))),
        max_lost_writes=history.max_lost_writes,
    )


def missing(history: History, reading: Seen) -> list[Operation]:
    """List the acknowledged writes that a reading does not show, and should if none was late.

    Args:
        history: The history.
        reading: The reading.
    """
    return [write for key in _keys(history) for write in key.missing(reading)]


def before_reconciliation(history: History) -> History:
    """The history as far as the replicas were reconciled.

    Args:
        history: The history.
    """
    at = history.when(RECONCILED)
    if at is None:
        return history
    return replace(
        history,
        readings=tuple(each for each in history.readings if each.at < at),
        marks={name: when for name, when in (history.marks or {}).items() if name != RECONCILED},
    )


def after_reconciliation(history: History) -> Verdict:
    """Judge what Regions show after they were reconciled: nothing may be lost any more.

    Args:
        history: The history, with the step `RECONCILED`.
    """
    assert history.when(RECONCILED) is not None
    return check(replace(history, max_lost_writes=0))


def not_reconciled(verdict: Verdict) -> list[str]:
    """Why a reconciliation has not passed, in words; empty if it has.

    Args:
        verdict: The verdict after it.
    """
    return [f"after reconciliation, {each}" for each in verdict.problems]


def wanted(history: History) -> dict[tuple[str, Value], bool]:
    """What the acknowledged writes demand of the Regions now.

    Args:
        history: The history.

    Returns:
        `{(key, value): whether Regions must show it, or must not}`; what may be either way, or is
        as it must be in an item that is replaced as a whole, is left out.
    """
    return {(key.key, value): must for key in _keys(history) for value, must in key.wanted()}


def _keys(history: History) -> list["_Key"]:
    operations: dict[str, list[Operation]] = defaultdict(list)
    for each in history.operations:
        operations[each.key].append(each)
    readings: dict[str, list[Seen]] = {region: [] for region in history.regions}
    for reading in history.readings:
        if reading.region in readings and not reading.error:
            readings[reading.region].append(reading)
    return [_Key(key, of_key, history, readings) for key, of_key in operations.items()]


class _Key:
    """The writes of one key, and what Regions showed of it."""

    def __init__(
        self,
        key: str,
        operations: Sequence[Operation],
        history: History,
        readings: Mapping[str, Sequence[Seen]],
    ) -> None:
        self.key, self._history, self._readings = key, history, readings
        since = history.when(RECONCILED)
        self._judged = {
            region: [each for each in of_region if since is None or each.at >= since]
            for region, of_region in readings.items()
        }
        self._possible = [each for each in operations if each.result != "rejected"]
        self._acknowledged = [each for each in self._possible if each.ok]
        self._is_register = any(each.kind == "update" for each in self._possible)
        self._by_value: dict[Value, list[Operation]] = defaultdict(list)
        for each in self._possible:
            self._by_value[each.value].append(each)

    @cached_property
    def _initial(self) -> set[Value]:
        """What Regions showed before the first write."""
        first = min((each.sent_at for each in self._possible), default=0.0)
        return {
            value
            for readings in self._readings.values()
            for reading in readings
            if reading.ended_at <= first
            for value in self._shown(reading) or (None,)
        }

    def _shown(self, reading: Seen) -> tuple[Value, ...]:
        return reading.values.get(self.key, ())

    # --- One reading

    def missing(self, reading: Seen) -> list[Operation]:
        """The acknowledged writes until a reading that it does not show."""
        return [
            each
            for each in self._acknowledged
            if each.ended_at <= reading.at and self._is_missing(each, reading)
        ]

    def _is_missing(self, write: Operation, reading: Seen) -> bool:
        """Whether the Region cannot have applied it, or not with what must follow from it."""
        shown = self._shown(reading)
        if self._is_register:
            value = shown[0] if shown else None
            writers = self._writers(value)
            if not writers:
                # What was there before, or what nobody wrote.
                return value in self._initial or not shown
            return all(_before(each, write) for each in writers)
        if write.kind == "delete":
            return any(self._was_held(write, value) for value in self._remaining(write, shown))
        if write.value in shown:
            return False
        deletes = [each for each in self._possible if each.kind == "delete"]
        return all(_before(each, write) for each in deletes)

    def _is_shown(self, write: Operation, reading: Seen) -> bool:
        """Whether the Region has surely applied it."""
        shown = self._shown(reading)
        if self._is_register:
            writers = self._writers(shown[0] if shown else None)
            return bool(writers) and all(each == write or _before(write, each) for each in writers)
        return write.kind == "put" and write.value in shown

    def _writers(self, value: Value) -> list[Operation]:
        return self._by_value.get(value, [])

    def _remaining(self, delete: Operation, shown: Iterable[Value]) -> set[Value]:
        """The values that a delete must have removed, and that are shown."""
        found = set()
        for value in shown:
            puts = [put for put in self._writers(value) if put.kind == "put"]
            if puts and all(_before(put, delete) for put in puts):
                found.add(value)
        return found

    def _was_held(self, delete: Operation, value: Value) -> bool:
        """Whether it is known that the Region of a delete held what it was to delete."""
        return any(put.ok and put.region == delete.region for put in self._writers(value)) or any(
            value in self._shown(reading)
            for reading in self._readings.get(delete.region or "", ())
            if reading.ended_at <= delete.sent_at
        )

    # --- All readings

    def wanted(self) -> Iterator[tuple[Value, bool]]:
        """What Regions must show, and must not, by the last reading of each."""
        last = self._last()
        if self._is_register:
            newest = max(self._acknowledged, key=lambda each: each.ended_at, default=None)
            is_right = not any(self.missing(each) for each in last)
            if newest and not (is_right and len({self._value_in(each) for each in last}) == 1):
                yield newest.value, True
            return
        deletes = [each for each in self._possible if each.kind == "delete"]
        for write in self._acknowledged:
            if write.kind == "put" and all(_before(each, write) for each in deletes):
                yield write.value, True
            elif write.kind == "delete":
                shown = [value for reading in last for value in self._shown(reading)]
                for value in self._remaining(write, shown):
                    if self._was_held(write, value):
                        yield value, False

    def anomalies(self) -> Iterator[Anomaly]:
        """What is wrong with this key."""
        for region, readings in self._judged.items():
            for reading in readings:
                yield from self._wrong(reading)
            for write in self._acknowledged:
                yield from self._of(write, region, readings)
        if self._differs():
            yield Anomaly("diverged", self.key, "")

    def _wrong(self, reading: Seen) -> Iterator[Anomaly]:
        for value, count in Counter(self._shown(reading)).items():
            if count > 1 or (self._is_register and len(self._shown(reading)) > 1):
                yield Anomaly("duplicated", self.key, reading.region, value=value)
            if not self._writers(value) and value not in self._initial:
                yield Anomaly("wrong value", self.key, reading.region, value=value)

    def _of(self, write: Operation, region: str, readings: Sequence[Seen]) -> Iterator[Anomaly]:
        """What is wrong with one write in one Region."""

        def anomaly(state: State) -> Anomaly:
            if write.region in self._history.discarded and self._is_missing(write, later[-1]):
                # It is gone with its Region, which shows again what the others have.
                state = self._lost_or_late(write, later[-1])
            return Anomaly(state, self.key, region, write.kind, write.value, write.client)

        # A reading that began before the acknowledgement may lack the write rightly.
        later = [reading for reading in readings if reading.at >= write.ended_at]
        if not later:
            yield Anomaly("uncounted", self.key, region, write.kind, write.value, write.client)
            return
        if not self._is_register and write.kind == "delete":
            yield from map(anomaly, self._deleted(write, region, readings, later))
            return
        is_shown = False
        for reading in later:
            is_missing = self._is_missing(write, reading)
            if is_missing and is_shown and (self._is_register or reading is not later[-1]):
                yield anomaly("out of order")
                return
            is_shown = is_shown or self._is_shown(write, reading)
        if not self._is_missing(write, later[-1]):
            return
        if self._is_register and write.region == region:
            others = {each.region for each in self._writers(self._value_in(later[-1]))}
            yield anomaly("wrong winner" if others - {region} else "out of order")
        else:
            yield anomaly(self._lost_or_late(write, later[-1]))

    def _deleted(
        self, write: Operation, region: str, readings: Sequence[Seen], later: Sequence[Seen]
    ) -> Iterator[State]:
        """What is wrong with a deletion of values in one Region."""
        had: set[Value] = set()
        gone: set[Value] = set()
        for reading in readings:
            shown = set(self._shown(reading))
            if reading in later:
                gone |= had - shown
                back = {
                    value
                    for value in self._remaining(write, shown)
                    if self._was_held(write, value) and (write.region == region or value in gone)
                }
                if back:
                    yield "came back"
                    return
            had |= shown
        remaining = self._remaining(write, self._shown(later[-1]))
        if any(self._was_held(write, value) for value in remaining):
            yield self._lost_or_late(write, later[-1])
        elif remaining:
            yield "not deleted"

    def _lost_or_late(self, write: Operation, last: Seen) -> State:
        age = last.at - write.ended_at
        return "lost" if age >= self._history.lost_after_seconds else "uncounted"

    def _value_in(self, reading: Seen) -> Value:
        shown = self._shown(reading)
        return shown[0] if shown else None

    def _last(self) -> list[Seen]:
        return [readings[-1] for readings in self._judged.values() if readings]

    def _differs(self) -> bool:
        """Whether Regions differ, so long after the last write that none can be on its way."""
        ended = max((each.ended_at for each in self._possible), default=0.0)
        last = [
            reading
            for reading in self._last()
            if reading.at >= ended + self._history.lost_after_seconds
        ]
        return len({tuple(sorted(map(repr, self._shown(reading)))) for reading in last}) > 1

    # --- Conflicts

    def conflict(self) -> Conflict | None:
        """The conflict about this key, None without one."""
        begin, end = self._history.when("injecting"), self._history.when("restoring")
        if begin is None:
            return None
        sides: dict[str, list[Operation]] = defaultdict(list)
        for each in self._acknowledged:
            if each.ended_at > begin and (end is None or each.sent_at < end) and each.region:
                # Regions that still reach each other are of one side.
                side = each.region if each.region in self._history.isolated else ""
                sides[side].append(each)
        writes = [each for side in sides.values() for each in side]
        if len(sides) < 2 or len({(each.kind, each.value) for each in writes}) < 2:
            return None
        regions = tuple(r for r in self._history.regions if r in {each.region for each in writes})
        shown = {tuple(sorted(map(repr, self._shown(reading)))) for reading in self._last()}
        final = self._shown(self._last()[0]) if len(shown) == 1 else ()
        winner, overwritten = "", 0
        if self._is_register:
            last = [each for each in self._writers(final[0] if final else None) if each.region]
            if len(shown) == 1 and last:
                winner = last[-1].region or ""
                won = winner if winner in sides else ""
                losers = [each for side, of in sides.items() if side != won for each in of]
                overwritten = len(losers)
        elif len(shown) == 1 and {e.value for e in writes if e.kind == "put"} <= {*final}:
            winner = KEPT
        return Conflict(self.key, regions, winner, overwritten)


def _before(first: Operation, second: Operation) -> bool:
    """Whether one write surely took effect before another one."""
    skew = 0.0 if first.region == second.region else CLOCK_SKEW_SECONDS
    return first.ok and first.ended_at + skew < second.sent_at


def _cut_over(history: History, keys: Sequence[_Key]) -> Iterator[CutOver]:
    at, end = history.when("cut-over"), history.when("restoring")
    if at is None:
        return
    meanwhile = [
        r for r in history.readings if r.at >= at and (end is None or r.at < end) and not r.error
    ]
    for region in history.taking_over:
        reading = next((each for each in meanwhile if each.region == region), None)
        if reading is None:
            continue
        lacking = sorted(
            (w for key in keys for w in key.missing(reading) if w.ended_at <= at),
            key=lambda write: write.ended_at,
        )
        if not lacking:
            yield CutOver(region, at, reading.at, ())
            continue
        oldest = lacking[0].ended_at
        interrupted = max(
            lacking[-1].ended_at,
            *(
                each.ended_at
                for each in history.operations
                if each.ok and each.ended_at <= at and each.region in history.lost
            ),
        )
        yield CutOver(
            region,
            at,
            reading.at,
            tuple(lacking),
            oldest_seconds=(at - oldest) * history.speed,
            window_seconds=(interrupted - oldest) * history.speed,
        )


def after_cut_over(history: History) -> int:
    """Count the writes that lost Regions acknowledged while another one served.

    Args:
        history: The history.
    """
    at, end = history.when("cut-over"), history.when("restoring")
    if at is None:
        return 0
    return sum(
        each.ok
        and each.region in history.lost
        and each.sent_at >= at
        and (end is None or each.sent_at < end)
        for each in history.operations
    )


def _counted(count: int, state: str, anomalies: Sequence[Anomaly]) -> str:
    keys = list(dict.fromkeys(each.key for each in anomalies))
    where = sorted({each.region for each in anomalies if each.region})
    is_verb = state in ("came back", "diverged")
    return (
        f"{count} {'write' if count == 1 else 'writes'} "
        f"{'' if is_verb else 'is ' if count == 1 else 'are '}{state}"
        f"{' in ' + ' and '.join(where) if where else ''} "
        f"({', '.join(keys[:5])}{', …' if len(keys) > 5 else ''})"
    )
