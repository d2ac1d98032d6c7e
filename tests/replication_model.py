"""What replication must do, written without queues or stamps, and a player that compares.

The specification keeps every write for ever and asks of each replica which of them it has seen.
"""

from dataclasses import dataclass, field

from hypothesis import strategies as st

REGIONS = ("a", "b", "c")
KEYS = ("x", "y")
TABLE = "table"
LAGS = (0.0, 0.1, 1.0, 3.0)
FOREVER = 1e9


@dataclass
class Write:
    """One write: when, where, of what, and when it may arrive elsewhere."""

    time: float
    region: str
    key: str
    value: int | None
    knew: int
    due: dict[str, float]
    arrived: set[str] = field(default_factory=set)
    """Where it was delivered."""
    seen: set[str] = field(default_factory=set)
    """Where it is known: written, delivered, or received out of order."""


class Specification:
    """Replicas as the documentation of AWS describes them."""

    def __init__(self, regions):
        self.regions, self.writes, self.pauses = regions, [], {}

    def write(self, now, region, key, value, due):
        """A write is in its own replica at once, and wins there over all that it has seen."""
        rivals = [w for w in self.writes if region in w.seen and (w.key, w.time) == (key, now)]
        knew = 1 + max((w.knew for w in rivals), default=-1)
        self.writes.append(Write(now, region, key, value, knew, due, seen={region}))

    def deliver(self, now):
        """A write arrives with its lag over, after those before it from its Region to its item."""
        for number, write in enumerate(self.writes):
            before = [
                earlier
                for earlier in self.writes[: number + 1]
                if (earlier.region, earlier.key) == (write.region, write.key)
            ]
            for target in write.due:
                over = all(earlier.due[target] <= now for earlier in before)
                if over and not self.is_paused(write.region, target):
                    write.arrived.add(target)
                    write.seen.add(target)

    def is_paused(self, source, target):
        return any((source, target) in ways for ways in self.pauses.values())

    def shown(self, region):
        """What a replica shows: of each item, the last write that it has seen."""
        last = {}
        for write in self.writes:
            if region in write.seen:
                rank = (write.time, write.knew, write.region)
                last[write.key] = max(last.get(write.key, ((-1.0,), None)), (rank, write))
        return {key: write.value for key, (_, write) in last.items() if write.value is not None}

    def pending(self, now):
        """`{(source, target): (how many writes, age of the oldest, whether it is paused)}`."""
        found = {}
        for source in self.regions:
            for target in self.regions:
                ages = [
                    now - write.time
                    for write in self.writes
                    if write.region == source and target in write.due.keys() - write.arrived
                ]
                if source != target:
                    paused = self.is_paused(source, target)
                    found[source, target] = (len(ages), max(ages, default=0.0), paused)
        return found


REGION, KEY = st.sampled_from(REGIONS), st.sampled_from(KEYS)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), REGION, KEY, st.booleans()),
        st.tuples(st.just("write"), REGION, KEY, st.booleans()),
        st.tuples(st.just("wait"), st.sampled_from((0.0, 0.1, 0.5, 2.0))),
        st.tuples(st.just("pause"), REGION, REGION),
        st.tuples(st.just("partition"), REGION),
        st.tuples(st.just("resume"), st.integers(0, 9)),
        st.tuples(st.just("receive"), st.integers(0, 99), REGION),
    ),
    max_size=30,
)
"""A client writes or deletes; time passes, and what is due arrives; replication is paused in one
direction or both of a Region, and resumed; a write arrives again, or before its time."""


class Player:
    """Plays steps on an engine and on the specification.

    Args:
        engine: The module.
        lags: Lags of the writes, one after the other, from the beginning again at the end.
    """

    def __init__(self, engine, lags):
        self.engine, self.lags, self.drawn = engine, lags, 0
        self.now, self.changes, self.arrivals, self.applied = 0.0, [], [], set()
        self.specification = Specification(REGIONS)
        self.stores = {region: {} for region in REGIONS}
        self.replication = engine.Replication(
            self.store,
            lag=self.lag,
            clock=lambda: self.now,
            on_arrival=lambda change, target, seconds: self.arrivals.append(
                (change, target, self.now - seconds)
            ),
        )
        self.replication.set_replicas(TABLE, REGIONS, source=REGIONS[0])

    def lag(self):
        self.drawn += 1
        return self.lags[self.drawn % len(self.lags)]

    def store(self, table, region, key, item):
        assert table == TABLE
        if item is None:
            self.stores[region].pop(key, None)
            return
        assert (region, item) not in self.applied, "applied twice"
        self.applied.add((region, item))
        self.stores[region][key] = item

    def play(self, steps):
        """Play steps, and then let everything arrive.

        Raises:
            AssertionError: The engine does not do what is specified.
        """
        for step, *arguments in steps:
            getattr(self, step)(*arguments)
            self.check()
        for id in list(self.specification.pauses):
            self.replication.resume(id)
        self.specification.pauses.clear()
        self.wait(FOREVER)
        self.check()
        assert all(store == self.stores[REGIONS[0]] for store in self.stores.values())
        assert not any(each.writes for each in self.replication.pending())
        for key, value in self.stores[REGIONS[0]].items():
            # Whatever happened on the way: nothing that was written later is lost.
            of_key = [write for write in self.specification.writes if write.key == key]
            assert value in [w.value for w in of_key if w.time == max(o.time for o in of_key)]
        self.check_order()

    def check(self):
        """Compare what each replica holds, and what is pending."""
        for region, store in self.stores.items():
            assert store == self.specification.shown(region), region
        found = {
            (each.source, each.target): (each.writes, each.oldest_seconds, each.paused)
            for each in self.replication.pending()
        }
        assert found == self.specification.pending(self.now)

    def check_order(self):
        """Each write was delivered once everywhere, those to one item in the order of writing."""
        for source in REGIONS:
            for target in REGIONS:
                for key in KEYS:
                    written = [
                        (write.value, write.time)
                        for write in self.specification.writes
                        if (write.region, write.key) == (source, key) and target != source
                    ]
                    arrived = [
                        (change.item, time)
                        for change, where, time in self.arrivals
                        if (change.stamp.region, where, change.key) == (source, target, key)
                    ]
                    assert len(arrived) == len(written)
                    for (value, time), (expected, at) in zip(arrived, written, strict=True):
                        assert value == expected
                        assert abs(time - at) < 1e-3

    def write(self, region, key, deleted):
        value = None if deleted else len(self.specification.writes)
        if deleted:
            self.stores[region].pop(key, None)
        else:
            self.stores[region][key] = value
        before = self.drawn
        self.changes.append(self.replication.write(TABLE, region, key, value))
        others = [other for other in REGIONS if other != region]
        due = {
            target: self.now + self.lags[(before + number) % len(self.lags)]
            for number, target in enumerate(others, 1)
        }
        self.specification.write(self.now, region, key, value, due)

    def wait(self, seconds):
        self.now += seconds
        self.replication.deliver()
        self.specification.deliver(self.now)

    def pause(self, source, target):
        self._pause([(source, target)], {(source, target)})

    def partition(self, region):
        ways = {(region, other) for other in REGIONS} | {(other, region) for other in REGIONS}
        self._pause([(region, None), (None, region)], ways)

    def _pause(self, given, ways):
        id = str(len(self.changes) + len(self.specification.pauses))
        self.replication.pause(id, given)
        self.specification.pauses[id] = ways

    def resume(self, number):
        if ids := list(self.specification.pauses):
            id = ids[number % len(ids)]
            self.replication.resume(id)
            del self.specification.pauses[id]

    def receive(self, number, region):
        if self.changes:
            number %= len(self.changes)
            self.replication.receive(self.changes[number], region)
            self.specification.writes[number].seen.add(region)
