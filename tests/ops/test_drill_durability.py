"""What became of writes, on planted histories: each verdict is the one that was planted."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.drill.durability import STATES, acknowledged, assess, settled_at
from ops.drill.events import Request
from ops.drill.history import Operation, Seen

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "us-west-2"
REGIONS = (EAST, WEST)
PATIENCE = 30.0
ACKNOWLEDGED, REJECTED = 201, 409
NO_RESPONSE = None


def write(key, at=1.0, status=ACKNOWLEDGED, value=1.5, error=""):
    error = error or ("" if status else "ConnectTimeoutError: too late")
    return Request("write", at - 0.1, at, status, EAST, error=error, key=key, value=value)


def reading(region, at, *keys, error="", **others):
    """What a Region held: `keys` with the value that was written, `others` with their values."""
    return Seen(region, at, at, dict.fromkeys(keys, (1.5,)) | others, error)


def whole(*keys, at=50.0):
    """Both Regions hold the keys, read long after they were written."""
    return [reading(region, at, *keys) for region in REGIONS]


def assessed(requests, readings):
    return assess(requests, readings, REGIONS, lost_after_seconds=PATIENCE)


def states(durability):
    return {state: found for state in STATES if (found := durability.keys(state))}


def test_what_every_region_holds_is_present():
    found = assessed([write("a"), write("b", status=200)], whole("a", "b"))

    assert states(found) == {}
    assert (found.acknowledged, found.counted, found.unread) == (2, 2, {})


def test_only_a_right_200_or_201_is_an_acknowledgement():
    requests = [
        write("a"),
        write("b", status=200),
        write("c", status=503),
        write("d", status=NO_RESPONSE),
        write("e", status=200, error="not the observation"),
        write("f", status=REJECTED),
        Request("read", 5.0, 5.1, 200),
    ]

    found = assessed(requests, whole("a", "b"))

    assert acknowledged(requests) == {"a": 1.5, "b": 1.5}
    assert (found.acknowledged, found.unknown, found.rejected) == (2, 3, 1)
    assert states(found) == {}


def test_an_unknown_write_may_be_stored_or_not():
    requests = [write("a", status=503), write("b", status=NO_RESPONSE), write("c", status=503)]

    found = assessed(requests, [reading(EAST, 50.0, "a", "b"), reading(WEST, 50.0, "a")])

    assert states(found) == {}
    assert (found.unknown, found.unknown_stored) == (3, 2)


def test_a_write_that_a_later_reading_has_is_late_and_not_lost():
    of_west = [reading(WEST, 2.0), reading(WEST, 6.5, "a"), reading(WEST, 9.0, "a")]

    found = assessed([write("a")], [*of_west, reading(EAST, 50.0, "a")])

    assert states(found) == {"late": {"a": (WEST,)}}
    assert found.late_seconds == 5.5
    assert found.counted == 1


def test_a_write_that_a_region_still_lacks_after_so_long_is_lost():
    found = assessed([write("a")], [reading(EAST, 50.0, "a"), reading(WEST, 31.0)])

    assert states(found) == {"lost": {"a": (WEST,)}}


def test_a_write_that_a_region_had_and_has_no_longer_is_lost():
    found = assessed([write("a")], [*whole("a", at=5.0), *whole(at=50.0)])

    assert states(found) == {"lost": {"a": REGIONS}}


def test_a_region_that_was_not_read_for_long_enough_has_not_lost_what_may_be_late():
    found = assessed([write("a")], [reading(EAST, 50.0, "a"), reading(WEST, 30.9)])

    assert states(found) == {"uncounted": {"a": (WEST,)}}
    assert (found.acknowledged, found.counted) == (1, 0)


def test_a_reading_that_began_before_the_acknowledgement_says_nothing():
    found = assessed([write("a", at=5.0)], [reading(WEST, 4.9), *whole("a")])

    assert states(found) == {}


def test_a_region_that_cannot_be_read_is_uncounted_and_named():
    found = assessed(
        [write("a"), write("b")], [reading(EAST, 50.0, "a", "b"), reading(WEST, 50.0, error="503")]
    )

    assert states(found) == {"uncounted": {"a": (WEST,), "b": (WEST,)}}
    assert found.unread == {WEST: "503"}


def test_what_was_read_before_a_region_became_unreadable_counts():
    found = assessed(
        [write("a"), write("b", at=9.0)],
        [reading(WEST, 5.0, "a"), reading(WEST, 50.0, error="503"), reading(EAST, 50.0, "a", "b")],
    )

    assert states(found) == {"uncounted": {"b": (WEST,)}}


def test_a_region_that_nobody_read_is_uncounted():
    found = assessed([write("a")], [reading(EAST, 50.0, "a")])

    assert states(found) == {"uncounted": {"a": (WEST,)}}
    assert found.unread == {WEST: "it was not read"}


@pytest.mark.parametrize("status", [ACKNOWLEDGED, 503], ids=["acknowledged", "unknown"])
def test_another_value_than_was_written_is_a_wrong_value(status):
    found = assessed(
        [write("a", status=status)], [reading(EAST, 50.0, "a"), reading(WEST, 50.0, a=(9.9,))]
    )

    assert states(found) == {"wrong value": {"a": (WEST,)}}


def test_a_write_that_is_there_twice_is_duplicated():
    found = assessed(
        [write("a"), write("b")],
        [reading(EAST, 50.0, a=(1.5, 9.9), b=(1.5, 1.5)), reading(WEST, 50.0, "a", "b")],
    )

    assert states(found) == {"duplicated": {"a": (EAST,), "b": (EAST,)}}


def test_several_at_once():
    requests = [
        write("late"), write("lost"), write("wrong"), write("twice"), write("good"),
        write("unknown", status=503), write("rejected", status=REJECTED),
    ]  # fmt: skip
    readings = [
        reading(WEST, 3.0, "good", "lost", "twice", "wrong"),
        reading(EAST, 40.0, "late", "good", "wrong", twice=(1.5, 1.5)),
        reading(WEST, 41.0, "late", "good", "twice", "unknown", wrong=(9.9,)),
        reading(EAST, 42.0, error="TimeoutError"),
    ]

    found = assessed(requests, readings)

    assert states(found) == {
        "late": {"late": (WEST,)},
        "lost": {"lost": REGIONS},
        "wrong value": {"wrong": (WEST,)},
        "duplicated": {"twice": (EAST,)},
    }
    assert (found.acknowledged, found.unknown, found.rejected) == (5, 1, 1)
    assert found.unread == {EAST: "TimeoutError"}


@dataclass(frozen=True)
class Planted:
    """A write as it really went in one Region: when it arrived, and as what."""

    arrived_after: float | None
    values: tuple[float, ...]


WRONG, TWICE, RIGHT = (9.9,), (1.5, 9.9), (1.5,)
planted_writes = st.lists(
    st.tuples(
        st.sampled_from([200, 201, 404, 500, 503, None]),
        st.floats(0, 60),
        st.tuples(
            *(
                st.builds(
                    Planted,
                    st.one_of(st.none(), st.just(0.0), st.floats(0, 60)),
                    st.sampled_from([RIGHT, RIGHT, WRONG, TWICE]),
                )
                for _ in REGIONS
            )
        ),
    ),
    max_size=8,
)
planted_readings = st.lists(
    st.tuples(st.sampled_from(REGIONS), st.floats(0, 120), st.booleans()), max_size=12
).map(lambda found: sorted(found, key=lambda each: each[1]))


def expected_state(status, at, planted, readable):
    """The verdict on one write in one Region, by what was planted and when it could be seen."""
    seen = [time for time in readable if time >= at]
    is_acknowledged = status in (200, 201)
    if not seen:
        return "uncounted" if is_acknowledged else None
    arrived = float("inf") if planted.arrived_after is None else at + planted.arrived_after
    if arrived > seen[-1]:
        if not is_acknowledged:
            return None
        return "lost" if seen[-1] - at >= PATIENCE else "uncounted"
    if planted.values != RIGHT:
        return {WRONG: "wrong value", TWICE: "duplicated"}[planted.values]
    return "late" if is_acknowledged and seen[0] < arrived else None


@given(planted_writes, planted_readings)
def test_every_planted_history_gets_the_verdict_that_was_planted(writes, times):
    requests = [write(f"key-{n}", at=at, status=status) for n, (status, at, _) in enumerate(writes)]

    def held(region, time):
        return {
            f"key-{n}": planted.values
            for n, (_, at, everywhere) in enumerate(writes)
            if (planted := everywhere[REGIONS.index(region)]).arrived_after is not None
            and at + planted.arrived_after <= time
        }

    readings = [
        Seen(region, time, time, held(region, time)) if is_readable
        else Seen(region, time, time, {}, "503")
        for region, time, is_readable in times
    ]  # fmt: skip

    readable_times = {
        region: [time for where, time, is_readable in times if where == region and is_readable]
        for region in REGIONS
    }

    found = assessed(requests, readings)

    verdicts = {(each.key, each.region): each for each in found.found}
    assert len(verdicts) == len(found.found)
    for n, (status, at, everywhere) in enumerate(writes):
        for region, planted in zip(REGIONS, everywhere, strict=True):
            readable = readable_times[region]
            verdict = verdicts.get((f"key-{n}", region))
            expected = expected_state(status, at, planted, readable)
            assert (verdict and verdict.state) == expected
            if expected == "late":
                first = min(time for time in readable if time >= at + planted.arrived_after)
                assert verdict.seconds == first - at
    unknown = [(at, everywhere) for status, at, everywhere in writes if status in (500, 503, None)]
    assert found.unknown_stored == sum(
        any(
            planted.arrived_after is not None and at + planted.arrived_after <= last
            for region, planted in zip(REGIONS, everywhere, strict=True)
            for last in readable_times[region][-1:]
        )
        for at, everywhere in unknown
    )
    assert found.acknowledged + found.unknown + found.rejected == len(writes)
    assert found.rejected == sum(status == 404 for status, *_ in writes)
    for region in REGIONS:
        last = [is_readable for where, _, is_readable in times if where == region][-1:]
        assert (region in found.unread) == (last != [True])


def test_a_write_without_a_response_may_be_stored_for_as_long_as_a_function_runs():
    def operation(result, at, status=None):
        return Operation("customers", "put", "a", 1.5, at - 0.1, at, result, EAST, status)

    answered = operation("acknowledged", 50.0, 201)
    refused = operation("unknown", 60.0, 503)
    unanswered = operation("unknown", 40.0)
    unsent = operation("rejected", 70.0)

    assert settled_at([answered, refused, unanswered, unsent], 1.0) == 69.0
    assert settled_at([answered, refused, unanswered], 20.0) == pytest.approx(41.45)
    assert settled_at([answered, refused], 1.0) == 0.0
