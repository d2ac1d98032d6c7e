"""Replicas that come and go, and what is told of a write that arrives."""

import pytest

from sandbox.replication.engine import Pending, Replication

pytestmark = pytest.mark.unit

TABLE = "table"


class Tables:
    """Replicated tables, with a clock that is set and a lag of one second."""

    def __init__(self, *regions):
        self.now, self.stores, self.arrivals = 0.0, {}, []
        self.replication = Replication(
            self.store,
            lag=lambda: 1.0,
            clock=lambda: self.now,
            on_arrival=lambda *arrival: self.arrivals.append(arrival),
        )
        self.set(*regions, source=regions[0])

    def store(self, table, region, key, item):
        self.stores[table, region, key] = item

    def set(self, *regions, source):
        self.replication.set_replicas(TABLE, regions, source=source)

    def write(self, region, item, key="x"):
        self.store(TABLE, region, key, item)
        return self.replication.write(TABLE, region, key, item)

    def wait(self, seconds):
        self.now += seconds
        return self.replication.deliver()

    def item(self, region, key="x"):
        return self.stores.get((TABLE, region, key))


def test_it_says_when_the_next_write_is_due():
    tables = Tables("a", "b")
    assert tables.replication.deliver() is None
    tables.write("a", 1)
    tables.now = 0.25
    tables.write("a", 2, key="y")

    assert tables.wait(0.25) == 0.5
    assert tables.wait(0.5) == 0.25
    tables.replication.pause("p", [("a", "b")])
    assert tables.wait(10) is None


def test_an_arrival_is_told_with_the_time_since_its_write_pauses_included():
    tables = Tables("a", "b", "c")
    tables.replication.pause("p", [("a", "b")])
    change = tables.write("a", 1)
    tables.wait(1)
    tables.replication.resume("p")
    tables.wait(4)

    assert tables.arrivals == [(change, "c", 1.0), (change, "b", 5.0)]


def test_a_table_without_replicas_is_not_replicated():
    tables = Tables("a", "b")

    assert tables.replication.write("other", "a", "x", 1) is None
    assert tables.replication.write(TABLE, "c", "x", 1) is None
    assert not any(each.writes for each in tables.replication.pending())


def test_a_new_replica_knows_what_it_was_copied_with():
    """What was written in the meantime, and is older than its items, does not overwrite them."""
    tables = Tables("a", "b")
    tables.replication.pause("p", [("b", None)])
    tables.write("b", "older")
    tables.now = 1.0
    tables.write("a", "newer")
    tables.set("a", "b", "c", source="a")
    tables.store(TABLE, "c", "x", tables.item("a"))
    tables.replication.resume("p")
    tables.wait(10)

    assert [tables.item(region) for region in "abc"] == ["newer"] * 3


def test_a_new_replica_gets_what_was_on_its_way_to_the_one_it_is_copied_from():
    tables = Tables("a", "b")
    tables.write("b", 1)
    tables.set("a", "b", "c", source="a")

    tables.wait(1)

    assert [tables.item(region) for region in "abc"] == [1, 1, 1]


def test_a_replica_that_is_back_gets_what_it_wrote_before():
    tables = Tables("a", "b")
    tables.write("b", 1)
    tables.set("a", source="a")
    del tables.stores[TABLE, "b", "x"]
    tables.set("a", "b", source="a")
    tables.wait(1)

    assert [tables.item(region) for region in "ab"] == [1, 1]


def test_writes_of_a_deleted_replica_still_arrive_and_none_arrives_there():
    tables = Tables("a", "b", "c")
    tables.write("c", 1)
    tables.write("a", 2, key="y")
    tables.set("a", "b", source="a")
    tables.wait(1)

    assert [tables.item(region) for region in "ab"] == [1, 1]
    assert [tables.item(region, "y") for region in "abc"] == [2, 2, None]


def test_what_was_on_its_way_does_not_arrive_in_another_table_of_that_name():
    tables = Tables("a", "b")
    tables.write("a", 1)
    tables.set(source="a")
    tables.stores.clear()
    tables.set("a", "b", source="a")
    tables.wait(10)

    assert tables.item("b") is None


def test_a_reset_forgets_everything_but_pauses():
    tables = Tables("a", "b")
    tables.replication.pause("p", [(None, "b")])
    tables.write("a", 1)

    tables.replication.clear()
    tables.set("a", "b", source="a")

    assert tables.replication.pending() == (
        Pending("a", "b", 0, 0.0, paused=True),
        Pending("b", "a", 0, 0.0, paused=False),
    )


def discarded(tables, region):
    changes = tables.replication.discard(region, lambda *place: tables.stores.get(place))
    return [change.item for change in changes]


def test_a_region_that_is_lost_for_good_shows_what_the_others_have():
    tables = Tables("a", "b")
    tables.write("a", "old")
    tables.wait(1)
    tables.replication.pause("p", [("a", None), (None, "a")])
    tables.write("a", "newer")
    tables.write("a", "new", key="y")
    tables.write("a", None, key="x")

    assert discarded(tables, "a") == ["newer", "new", None]

    assert [(tables.item(region), tables.item(region, "y")) for region in "ab"] == [
        ("old", None), ("old", None)
    ]  # fmt: skip
    tables.replication.resume("p")
    tables.wait(10)
    assert [tables.item(region) for region in "ab"] == ["old", "old"]


def test_what_the_others_write_meanwhile_arrives_in_a_region_that_is_lost_for_good():
    tables = Tables("a", "b")
    tables.replication.pause("p", [("a", None), (None, "a")])
    tables.now = 1.0
    tables.write("b", "theirs")
    tables.now = 2.0
    tables.write("a", "ours")

    assert discarded(tables, "a") == ["ours"]
    tables.replication.resume("p")
    tables.wait(10)

    assert [tables.item(region) for region in "ab"] == ["theirs", "theirs"]
    tables.write("a", "next")
    tables.wait(10)
    assert [tables.item(region) for region in "ab"] == ["next", "next"]


def test_what_has_reached_one_region_reaches_all_and_is_not_lost():
    tables = Tables("a", "b", "c")
    tables.replication.pause("p", [("a", "c")])
    tables.write("a", 1)
    tables.wait(1)
    tables.replication.pause("q", [("a", None)])
    tables.write("a", 2, key="y")

    assert discarded(tables, "a") == [2]

    assert [tables.item(region) for region in "abc"] == [1, 1, 1]
    assert [tables.item(region, "y") for region in "abc"] == [None] * 3


def test_nothing_is_lost_of_a_region_that_has_sent_everything():
    tables = Tables("a", "b")
    tables.write("a", 1)
    tables.write("b", 2, key="y")
    tables.replication.pause("p", [("b", "a")])
    tables.wait(1)

    assert discarded(tables, "a") == []
    assert tables.item("a") == 1
