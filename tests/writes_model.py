"""Random writers in front of the replication engine, and what they and readers of Regions see."""

from hypothesis import strategies as st

from ops.drill.history import History, Operation, Seen

REGIONS = ("a", "b", "c")
REGION = st.sampled_from(REGIONS)
KEYS = ("put-1", "put-2", "register")
LAGS = (0.0, 0.2, 1.0, 4.0)
LOST_AFTER = 30.0
STEP = 1.0
"""Between two steps: more than clocks may differ, so the order of any two writes is known."""
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), REGION, st.sampled_from(KEYS)),
        st.tuples(st.just("write"), REGION, st.just("register")),
        st.tuples(st.just("delete"), REGION, st.sampled_from(KEYS[:2])),
        st.tuples(st.just("read"), REGION),
        st.tuples(st.just("partition"), REGION),
        st.tuples(st.just("resume")),
    ),
    min_size=1,
    max_size=25,
)


class Writers:
    """Clients of an engine who note what they did and saw.

    Args:
        engine: The module of the engine.
        lags: Lags of the writes, from the beginning again at the end.
    """

    def __init__(self, engine, lags):
        self.now, self.lags, self.drawn, self.written = 0.0, lags, 0, 0
        self.stores = {region: {} for region in REGIONS}
        self.operations, self.readings, self.marks = [], [], {}
        self.isolated, self.discarded, self.gone = (), (), []
        self.replication = engine.Replication(self.store, lag=self.lag, clock=lambda: self.now)
        self.replication.set_replicas("table", REGIONS, source="a")
        self.read_all()

    def lag(self):
        self.drawn += 1
        return self.lags[self.drawn % len(self.lags)]

    def store(self, _table, region, item_key, item):
        if item is None:
            self.stores[region].pop(item_key, None)
        else:
            self.stores[region][item_key] = item

    def play(self, steps):
        """Play steps, let everything arrive, and read every Region; the history."""
        for step, *arguments in steps:
            self.wait(STEP)
            getattr(self, step)(*arguments)
        if self.isolated:
            self.resume()
        self.wait(LOST_AFTER + max(LAGS) * 2)
        self.read_all()
        return self.history()

    def history(self):
        return History(
            environment="model", started="now", fault="model", regions=REGIONS, lost=("a",),
            taking_over=("b",), isolated=self.isolated, discarded=self.discarded, speed=1.0,
            lost_after_seconds=LOST_AFTER,
            operations=tuple(self.operations), readings=tuple(self.readings), marks=self.marks,
        )  # fmt: skip

    def wait(self, seconds):
        self.now += seconds
        self.replication.deliver()

    def write(self, region, key):
        self.written += 1
        kind = "update" if key == "register" else "put"
        self._change(region, (key,) if kind == "update" else (key, self.written), self.written)
        self._note(kind, region, key, float(self.written))

    def delete(self, region, key):
        for item_key in [each for each in self.stores[region] if each[0] == key]:
            self._change(region, item_key, None)
        self._note("delete", region, key, None)

    def _change(self, region, item_key, value):
        self.store("table", region, item_key, value)
        self.replication.write("table", region, item_key, value)

    def _note(self, kind, region, key, value):
        sent, self.now = self.now, self.now + 0.1
        self.operations.append(
            Operation("writer", kind, key, value, sent, self.now, "acknowledged", region, 200)
        )

    def read(self, region):
        values = {}
        for (key, *_), value in self.stores[region].items():
            values[key] = (*values.get(key, ()), float(value))
        self.readings.append(Seen(region, self.now, self.now, values))

    def read_all(self):
        for region in REGIONS:
            self.read(region)

    def partition(self, region):
        self.replication.pause("pause", [(region, None), (None, region)])
        self.marks.setdefault("injecting", self.now)
        self.isolated = tuple({*self.isolated, region})

    def discard(self, region):
        """Lose a Region for good while it is cut off; what is gone with it is in `gone`."""
        self.gone += self.replication.discard(
            region, lambda _, other, item_key: self.stores[other].get(item_key)
        )
        self.discarded = (*self.discarded, region)

    def resume(self):
        self.replication.resume("pause")
