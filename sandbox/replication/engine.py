"""Replication with multi-Region eventual consistency (MREC).

A write is applied to the replica that was asked, and sent to each other one. There:

- the writes of one Region to one item arrive in order; those to other items may overtake them;
- the last writer of an item wins, by the time of its write. Of two writes of the same time, the one
  wins that was made when the other was known, else that of the Region whose name sorts last;
- a deletion is a write: what was written before it and arrives later does not bring the item back;
- a write that arrives again changes nothing.

Each Region's clock is the same one, and a write is never older than what its own replica holds.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
Source: https://docs.aws.amazon.com/prescriptive-guidance/latest/dynamodb-global-tables/overview.html
"""

from __future__ import annotations

import heapq
import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from threading import RLock
from typing import Any


@dataclass(frozen=True, order=True)
class Stamp:
    """When and where an item was written; the greatest one wins.

    Attributes:
        time: When, by the engine's clock.
        after: How many writes of the same time its own replica had seen, one after the other.
        region: Where.
    """

    time: float
    after: int
    region: str


@dataclass(frozen=True)
class Change:
    """A write to an item, on its way.

    Attributes:
        table: The global table.
        key: The item's key.
        item: The whole item; None if it was deleted.
        stamp: When and where it was written.
    """

    table: Hashable
    key: Hashable
    item: Any
    stamp: Stamp


@dataclass(frozen=True)
class Pending:
    """What has not arrived yet in one direction.

    Attributes:
        source: Where it was written.
        target: Where it has not arrived.
        writes: How many writes.
        oldest_seconds: How long ago the oldest was written.
        paused: Whether replication in this direction is paused.
    """

    source: str
    target: str
    writes: int
    oldest_seconds: float
    paused: bool


class Replica:
    """What a replica knows of the last write to each item, deleted ones included."""

    def __init__(self, stamps: dict[Hashable, Stamp] | None = None) -> None:
        self.stamps = dict(stamps or {})

    def write(self, key: Hashable, region: str, now: float) -> Stamp:
        """Stamp a write to this replica, which wins over all that the replica knows."""
        known = self.stamps.get(key)
        stamp = Stamp(now, 0, region)
        if known and known.time >= now:
            stamp = Stamp(known.time, known.after + 1, region)
        self.stamps[key] = stamp
        return stamp

    def accept(self, change: Change) -> bool:
        """Decide whether a write that arrives wins, and if so remember it."""
        known = self.stamps.get(change.key)
        if known and change.stamp <= known:
            return False
        self.stamps[change.key] = change.stamp
        return True


@dataclass
class _Direction:
    """Writes on their way from one Region to another, by when they arrive."""

    queue: list[tuple[float, int, Change]] = field(default_factory=list)
    _latest: dict[tuple[Hashable, Hashable], float] = field(default_factory=dict)

    def put(self, due: float, number: int, change: Change) -> None:
        # Not before the one before it to the same item.
        item = (change.table, change.key)
        due = self._latest[item] = max(due, self._latest.get(item, due))
        heapq.heappush(self.queue, (due, number, change))

    def take(self) -> Change:
        due, _, change = heapq.heappop(self.queue)
        if self._latest.get((change.table, change.key)) == due:
            del self._latest[change.table, change.key]
        return change

    def clear(self) -> None:
        self.queue.clear()
        self._latest.clear()

    def drop(self, table: Hashable) -> None:
        self.queue = [entry for entry in self.queue if entry[2].table != table]
        heapq.heapify(self.queue)
        self._latest = {item: due for item, due in self._latest.items() if item[0] != table}


class Replication:
    """Every global table's replication; safe to use from several threads.

    Args:
        store: Called with `(table, region, key, item)` to put an item into a replica, or to delete
            it there if the item is None.
        lag: Draws how long one write takes to one Region, in seconds.
        clock: The time in seconds, never going back.
        on_arrival: Called with each write that arrives, whether it wins or not, the Region where,
            and how many seconds ago it was written.
    """

    def __init__(
        self,
        store: Callable[[Hashable, str, Hashable, Any], None],
        *,
        lag: Callable[[], float],
        clock: Callable[[], float],
        on_arrival: Callable[[Change, str, float], None] = lambda *_: None,
    ) -> None:
        self._store, self._lag, self._clock, self._on_arrival = store, lag, clock, on_arrival
        self._replicas: dict[Hashable, dict[str, Replica]] = defaultdict(dict)
        self._directions: dict[tuple[str, str], _Direction] = defaultdict(_Direction)
        self._pauses: dict[str, tuple[tuple[str | None, str | None], ...]] = {}
        self._numbers = itertools.count()
        self._lock = RLock()

    def set_replicas(self, table: Hashable, regions: Collection[str], *, source: str) -> None:
        """Add replicas to a global table, and remove others.

        Args:
            table: The table.
            regions: The Regions that it has from now on.
            source: The Region whose items were copied to those that are new. What has not arrived
                there will arrive in the new ones, too.
        """
        with self._lock:
            replicas = self._replicas[table]
            for region in sorted(replicas.keys() - {*regions}):
                # What was written there before still arrives elsewhere.
                del replicas[region]
                for _, direction in self._to(region):
                    direction.drop(table)
            origin = replicas.setdefault(source, Replica()) if source in regions else Replica()
            for region in sorted({*regions} - replicas.keys()):
                replicas[region] = Replica(origin.stamps)
                for other, direction in self._to(source):
                    # A replica that was here before may have written it: no way leads from a Region
                    # to itself.
                    way = self._directions[source if other == region else other, region]
                    for due, number, change in sorted(direction.queue, key=lambda entry: entry[:2]):
                        if change.table == table:
                            way.put(due, number, change)
            if not replicas:
                del self._replicas[table]
                for direction in self._directions.values():
                    direction.drop(table)

    def write(self, table: Hashable, region: str, key: Hashable, item: Any) -> Change | None:
        """Take a write that was applied to a replica, and send it to the others.

        Args:
            table: The table.
            region: Where it was written.
            key: The item's key.
            item: The whole item, which the caller does not change any more; None if it was deleted.

        Returns:
            The write; None if the table has no replica there.
        """
        with self._lock:
            replicas = self._replicas.get(table, {})
            if region not in replicas:
                return None
            now = self._clock()
            change = Change(table, key, item, replicas[region].write(key, region, now))
            for target in sorted(replicas.keys() - {region}):
                self._directions[region, target].put(now + self._lag(), next(self._numbers), change)
            return change

    def receive(self, change: Change, target: str) -> bool:
        """Let a write arrive in a Region, be it for the first time or again.

        Args:
            change: The write.
            target: The Region.

        Returns:
            Whether it won over what the Region had.
        """
        with self._lock:
            replica = self._replicas.get(change.table, {}).get(target)
            if replica is None or not replica.accept(change):
                return False
            self._store(change.table, target, change.key, change.item)
            return True

    def deliver(self) -> float | None:
        """Let everything arrive that is due.

        Returns:
            In how many seconds more will be due; None if nothing is on its way that is not paused.
        """
        with self._lock:
            while True:
                ready = [(e.queue[0][:2], way) for way, e in self._flowing() if e.queue]
                if not ready:
                    return None
                (due, _), way = min(ready)
                now = self._clock()
                if due > now:
                    return due - now
                change = self._directions[way].take()
                self.receive(change, way[1])
                self._on_arrival(change, way[1], now - change.stamp.time)

    def discard(
        self, source: str, load: Callable[[Hashable, str, Hashable], Any]
    ) -> tuple[Change, ...]:
        """Lose a Region for good, with what was written there and has reached no other one.

        Its replicas are made again from the others. What has reached one of them reaches them all.

        Args:
            source: The Region.
            load: Called with `(table, region, key)`; an item of a replica, None if there is none.

        Returns:
            The writes that are lost.
        """
        with self._lock:
            held = [
                (number, way[1], change)
                for way, direction in self._directions.items()
                if way[0] == source
                for _, number, change in direction.queue
            ]
            lost: dict[tuple[Hashable, Hashable, Stamp], Change] = {}
            for _, target, change in sorted(held, key=lambda each: each[0]):
                if self._is_known(change, elsewhere=(source, target)):
                    self.receive(change, target)
                else:
                    lost[change.table, change.key, change.stamp] = change
            for way, direction in self._directions.items():
                if way[0] == source:
                    direction.clear()
            for change in lost.values():
                self._copy(change.table, change.key, source, load)
            return tuple(lost.values())

    def pause(self, id: str, ways: Iterable[tuple[str | None, str | None]]) -> None:
        """Hold writes back until `resume`; they keep their order and the time of their write.

        Args:
            id: Name of this pause; of several that overlap, each holds.
            ways: `(source, target)` of each direction; None for any Region.
        """
        with self._lock:
            self._pauses[id] = tuple(ways)

    def resume(self, id: str) -> None:
        """End a pause: what is overdue arrives with the next `deliver`.

        Args:
            id: Name of the pause; one that does not exist changes nothing.
        """
        with self._lock:
            self._pauses.pop(id, None)

    def pending(self) -> tuple[Pending, ...]:
        """List every direction between replicas, and every other with writes on their way."""
        with self._lock:
            now = self._clock()
            ways = {way for way, direction in self._directions.items() if direction.queue}
            for replicas in self._replicas.values():
                ways |= set(itertools.permutations(replicas, 2))
            return tuple(
                Pending(
                    *way,
                    writes=len(queue),
                    oldest_seconds=max((now - entry[2].stamp.time for entry in queue), default=0.0),
                    paused=self._is_paused(way),
                )
                for way in sorted(ways)
                for queue in [self._directions[way].queue]
            )

    def clear(self) -> None:
        """Forget every table and all that is on its way; pauses remain."""
        with self._lock:
            self._replicas.clear()
            self._directions.clear()

    def _is_known(self, change: Change, *, elsewhere: tuple[str, str]) -> bool:
        """Whether a further replica has a write, or a newer one to the same item."""
        return any(
            replica.stamps.get(change.key, change.stamp) >= change.stamp
            and change.key in replica.stamps
            for region, replica in self._replicas.get(change.table, {}).items()
            if region not in elsewhere
        )

    def _copy(
        self,
        table: Hashable,
        key: Hashable,
        target: str,
        load: Callable[[Hashable, str, Hashable], Any],
    ) -> None:
        """Give a replica the item that the others have."""
        replicas = self._replicas.get(table, {})
        others = {r: each.stamps.get(key) for r, each in replicas.items() if r != target}
        if target not in replicas or not others:
            return
        newest = max((stamp for stamp in others.values() if stamp), default=None)
        region = next(each for each, stamp in others.items() if stamp == newest)
        if newest is None:
            replicas[target].stamps.pop(key, None)
        else:
            replicas[target].stamps[key] = newest
        self._store(table, target, key, load(table, region, key))

    def _to(self, target: str) -> list[tuple[str, _Direction]]:
        return [(way[0], each) for way, each in self._directions.items() if way[1] == target]

    def _flowing(self) -> Iterator[tuple[tuple[str, str], _Direction]]:
        return (each for each in self._directions.items() if not self._is_paused(each[0]))

    def _is_paused(self, way: tuple[str, str]) -> bool:
        return any(
            source in (None, way[0]) and target in (None, way[1])
            for ways in self._pauses.values()
            for source, target in ways
        )
