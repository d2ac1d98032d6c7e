"""What became of one key: from what each replica holds, and what each Region's stream shows. Pure.

A stream record says which Region's replica changed, when, from what and to what; not whether a
customer wrote there or replication did (version 2019.11.21 of global tables adds no attribute to
items). That follows from the times: a value is in the stream of the Region where it was written
first, and in the others when it has arrived. Times are whole seconds, so of two Regions that show a
value within `SAME_TIME_SECONDS` either may have written it.

A write was *overwritten* if the next value in its Region came from another one, where the write was
not known: nobody who wrote over it has seen it. A write that loses on arrival leaves no record
there, as it changes nothing.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_StreamRecord.html
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from itertools import chain, combinations, product

from ops.reconcile.values import Item, digest

SAME_TIME_SECONDS = 1.0
"""Streams round times down to the second, and the clocks of two Regions differ a little."""
ON_ITS_WAY_SECONDS = 60.0
"""A write that is younger is on its way: replication takes about a second."""
_MOST_PAIRS = 10_000
"""Of a value that two Regions show more often, records are paired from the last one on."""


class State(StrEnum):
    """What became of a key, or of a write to it."""

    MISSING = "missing"
    """Written in one Region, and not there in another."""
    DIFFERENT = "different"
    """Two values, of which one is known to be newer."""
    DELETED = "deleted"
    """Deleted in one Region after it was written last, and still there in another."""
    ON_ITS_WAY = "on its way"
    """Differs, and was written a moment ago."""
    UNDECIDED = "undecided"
    """Differs, and what is newer is not known."""
    EXPIRED = "expired"
    """Its time to live is over; one Region has deleted it, and another not yet. No difference."""
    OVERWRITTEN = "overwritten"
    """A write that lost by last-writer-wins to one that did not know it."""
    MAYBE_OVERWRITTEN = "possibly overwritten"
    """As before, or its own Region has replaced it: both happened within the same second."""


@dataclass(frozen=True, eq=False)
class Record:
    """A change of one replica, as its stream shows it.

    Attributes:
        region: Region of the replica.
        at: When, in seconds since 1970, a whole number.
        sequence: Orders the changes of one item in one stream.
        old: The item before; None if there was none.
        new: The item afterwards; None if it was deleted.
    """

    region: str
    at: float
    sequence: int
    old: Item | None
    new: Item | None

    @cached_property
    def before(self) -> str:
        """Digest of the item before."""
        return digest(self.old)

    @cached_property
    def after(self) -> str:
        """Digest of the item afterwards."""
        return digest(self.new)


@dataclass(frozen=True)
class History:
    """What the streams of all Regions show of one key.

    Attributes:
        records: `{Region: its records}`, each Region's in the order of its stream.
        uncovered: `{Region: why its stream does not show everything}`.
    """

    records: Mapping[str, Sequence[Record]]
    uncovered: Mapping[str, str] = field(default_factory=dict)

    def overwritten(self) -> list[tuple[Record, Record, bool]]:
        """The writes that lost by last-writer-wins, in order of time.

        Returns:
            For each the record of the write, that of the winner where it was written, and whether
            it is certain that the winner was not written over it knowingly.
        """
        found: dict[str, tuple[Record, Record, bool]] = {}
        for region, records in self.records.items():
            for number, lost in enumerate(records[:-1]):
                successor = records[number + 1]
                winner = next(
                    (
                        each
                        for each in self._origins(successor)
                        if each.region != region and not self._was_known(lost, each)
                    ),
                    None,
                )
                if winner is None or self._came_back(lost, winner):
                    continue
                replacers = self._replacers(lost)
                if any(self._origins(each) == [each] for each in replacers):
                    continue
                # One deletion is like another: that of the other Region may not be the same.
                is_certain = bool(
                    successor.after
                    and successor.at - winner.at > SAME_TIME_SECONDS
                    and not replacers
                )
                earlier = found.get(lost.after)
                if earlier is None or lost.at < earlier[0].at:
                    found[lost.after] = (lost, winner, is_certain)
        return sorted(found.values(), key=lambda each: (each[0].at, each[0].region))

    def origin(self, record: Record) -> Record:
        """The record of the same write where it was made: the earliest one.

        If another Region shows it in the same second, it is that Region's.

        Args:
            record: A record of any Region.
        """
        return self._origins(record)[0]

    def _origins(self, record: Record) -> Sequence[Record]:
        """The earliest records of the same write, those of other Regions first."""
        same = [*self._pairs.get(record, ()), record]
        first = min(each.at for each in same)
        return [each for each in same if each.at == first]

    @cached_property
    def _by_value(self) -> Mapping[str, Mapping[str, Sequence[Record]]]:
        """`{digest: {Region: records of changes to it}}`."""
        found: dict[str, dict[str, list[Record]]] = {}
        for region, records in self.records.items():
            for record in records:
                found.setdefault(record.after, {}).setdefault(region, []).append(record)
        return found

    @cached_property
    def _by_former_value(self) -> Mapping[str, Sequence[Record]]:
        """`{digest: records of changes from it}`."""
        found: dict[str, list[Record]] = {}
        for record in chain.from_iterable(self.records.values()):
            found.setdefault(record.before, []).append(record)
        return found

    @cached_property
    def _pairs(self) -> Mapping[Record, Sequence[Record]]:
        """`{record: records of the same write in other Regions}`."""
        pairs: dict[Record, list[Record]] = {}
        for regions in self._by_value.values():
            for one, other in combinations(regions.values(), 2):
                for left, right in _paired(one, other):
                    pairs.setdefault(left, []).append(right)
                    pairs.setdefault(right, []).append(left)
        return pairs

    def _was_known(self, lost: Record, winner: Record) -> bool:
        """Whether the Region that wrote the winner had the other write before."""
        if winner.before == lost.after:
            return True
        since = self.origin(lost).at - SAME_TIME_SECONDS
        return any(
            record.sequence < winner.sequence and record.at >= since
            for record in self._by_value[lost.after].get(winner.region, ())
        )

    def _replacers(self, lost: Record) -> list[Record]:
        """Records of writes over it that may have been made where they are shown, knowing it."""
        since = self.origin(lost).at - SAME_TIME_SECONDS
        return [
            record
            for record in self._by_former_value.get(lost.after, ())
            if record.at >= since and record in self._origins(record)
        ]

    def _came_back(self, lost: Record, winner: Record) -> bool:
        """Whether the lost value was written again afterwards, be it by a replay."""
        return any(
            self.origin(record).at > winner.at
            for record in chain.from_iterable(self._by_value[lost.after].values())
        )


def _paired(one: Sequence[Record], other: Sequence[Record]) -> Iterator[tuple[Record, Record]]:
    """Records of one value in two Regions that are of one write, as far as their times say."""
    if len(one) == len(other) or len(one) * len(other) > _MOST_PAIRS:
        yield from zip(reversed(one), reversed(other), strict=False)
        return
    near = sorted(product(one, other), key=lambda pair: abs(pair[0].at - pair[1].at))
    taken: set[Record] = set()
    for left, right in near:
        if left not in taken and right not in taken:
            taken |= {left, right}
            yield left, right


@dataclass(frozen=True)
class Finding:
    """What became of a key, or of one write to it.

    Attributes:
        state: What.
        why: Why, in words.
        winner: The Region whose value wins by last-writer-wins; empty if that is not known.
        overwritten: For a write that lost: its record.
    """

    state: State
    why: str
    winner: str = ""
    overwritten: Record | None = None


def judge(
    values: Mapping[str, Item | None],
    history: History,
    *,
    now: float,
    changed: Sequence[str] = (),
    ttl_attribute: str = "",
    on_its_way_seconds: float = ON_ITS_WAY_SECONDS,
) -> list[Finding]:
    """Judge one key.

    Args:
        values: `{Region: the item there; None for none}`.
        history: What the streams show of it.
        now: The time of the reading, in seconds since 1970.
        changed: Regions in which it has changed since the streams were read.
        ttl_attribute: Attribute with the second at which an item expires; empty for none.
        on_its_way_seconds: A difference that is younger is on its way.

    Returns:
        At most one finding of a difference, and one for each write that was overwritten.
    """
    found = []
    digests = {region: digest(value) for region, value in values.items()}
    if len(set(digests.values())) > 1:
        difference = _difference(values, digests, history, changed)
        written = [records[-1].at for records in history.records.values() if records]
        if _is_expiring(values, ttl_attribute, now):
            difference = Finding(State.EXPIRED, f"its {ttl_attribute} is over")
        elif written and now - max(written) < on_its_way_seconds:
            why = f"written at {time_text(max(written))}, a moment ago"
            difference = Finding(State.ON_ITS_WAY, why)
        found.append(difference)
    current = set(digests.values())
    for lost, winner, is_certain in history.overwritten():
        # What a Region holds now is not lost: that is a difference, or it was replayed.
        if lost.after in current:
            continue
        what = "the deletion" if lost.new is None else "the write"
        by = "a deletion" if winner.new is None else "a write"
        if is_certain:
            why = (
                f"{what} in {lost.region} at {time_text(lost.at)} lost to {by} in {winner.region} "
                f"at {time_text(winner.at)}, which did not know it"
            )
            found.append(Finding(State.OVERWRITTEN, why, winner.region, lost))
        else:
            why = (
                f"{what} in {lost.region} at {time_text(lost.at)} was followed by {by} that was "
                f"in {lost.region} and {winner.region} within {SAME_TIME_SECONDS:.0f} s, so either "
                "may have written it"
            )
            found.append(Finding(State.MAYBE_OVERWRITTEN, why, "", lost))
    return found


def _difference(
    values: Mapping[str, Item | None],
    digests: Mapping[str, str],
    history: History,
    changed: Sequence[str],
) -> Finding:
    last = {region: records[-1] for region, records in history.records.items() if records}
    behind = [each for each in last if last[each].after != digests.get(each)]
    if moved := sorted({*changed, *behind}):
        return Finding(State.ON_ITS_WAY, f"changed in {', '.join(moved)} during the comparison")
    if history.uncovered:
        region, why = next(iter(sorted(history.uncovered.items())))
        return Finding(State.UNDECIDED, f"the stream in {region} does not show everything: {why}")
    if not last:
        return Finding(State.UNDECIDED, "it has differed since before the time that was given")
    newest = max(last.values(), key=lambda record: record.at)
    # Of equal records, the one of the Region where it was written.
    newest = min((r for r in last.values() if r.after == newest.after), key=lambda r: r.at)
    value, at = newest.after, time_text(newest.at)
    rivals = [each for each in last.values() if each.after != value]
    # It was written when any Region shows it first, or later; a rival when it is shown, or before.
    since = min(r.at for records in history.records.values() for r in records if r.after == value)
    if any(since - each.at <= SAME_TIME_SECONDS for each in rivals):
        return Finding(State.UNDECIDED, f"the times of two values overlap, at {at}")
    winner = next(region for region in values if digests[region] == value)
    if newest.new is None:
        why = f"deleted in {newest.region} at {at}, the last write"
        return Finding(State.DELETED, why, winner)
    others = [values[region] for region in values if digests[region] != value]
    state = State.MISSING if all(item is None for item in others) else State.DIFFERENT
    return Finding(state, f"written in {newest.region} at {at}, the last write", winner)


def _is_expiring(values: Mapping[str, Item | None], attribute: str, now: float) -> bool:
    """Whether one Region has deleted an item, and it has expired in every other one."""
    there = [item for item in values.values() if item is not None]
    try:
        ends = [float(item[attribute]["N"]) for item in there] if attribute else []
    except (KeyError, ValueError):
        return False
    return bool(ends) and len(there) < len(values) and max(ends) <= now


def time_text(at: float) -> str:
    """A time in seconds since 1970 as ISO 8601 in UTC.

    Args:
        at: The time.
    """
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
