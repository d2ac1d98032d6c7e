"""The verdict on the writes of a drill, on planted histories; and that a file keeps all of it."""

import json
from dataclasses import replace

import pytest

from ops.drill import history as histories
from ops.drill.consistency import KEPT, check, missing
from ops.drill.history import History, Operation, Seen
from ops.errors import ExitCode, OpsError

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "us-west-2"
CUT, RESTORED, END = 30.0, 60.0, 200.0


def put(
    key, at=10.0, region=EAST, value=1.5, result="acknowledged", kind="put", client="customers"
):
    status = {"acknowledged": 201, "rejected": 409}.get(result)
    return Operation(client, kind, key, value, at - 0.1, at, result, region, status)


def update(value, at=10.0, region=EAST, **more):
    return put("location", at, region, value, kind="update", **more)


def delete(key, at, region=EAST, **more):
    return put(key, at, region, None, kind="delete", **more)


def seen(region, at, error="", **values):
    return Seen(region, at, at + 0.1, {k: v if isinstance(v, tuple) else (v,) for k, v in
                                       values.items()}, error)  # fmt: skip


def history(operations, readings, **changes):
    return replace(
        History(
            environment="local", started="2026-11-28T06:00:00+00:00", fault="region-loss",
            regions=(EAST, WEST), lost=(EAST,), taking_over=(WEST,), isolated=(EAST,),
            discarded=(), speed=1.0, lost_after_seconds=30.0, operations=tuple(operations),
            readings=tuple(readings),
            marks={"injecting": 15.0, "cut-over": CUT, "restoring": RESTORED},
        ),
        **changes,
    )  # fmt: skip


def both(at=END, **values):
    return [seen(region, at, **values) for region in (EAST, WEST)]


def states(verdict):
    return {(each.state, each.key, each.region) for each in verdict.found}


def test_what_every_region_shows_is_well():
    verdict = check(history([put("a"), update(1.0), update(2.0, 12.0)], both(a=1.5, location=2.0)))

    assert (states(verdict), verdict.problems, verdict.conflicts) == (set(), [], ())
    assert verdict.acknowledged == {"put": 1, "update": 2, "delete": 0}


def test_what_the_region_taking_over_lacks_is_the_rpo():
    operations = [put("a", 10.0), put("b", 13.0), put("c", 14.0), put("d", 40.0), update(1.0, 12.0)]
    readings = [seen(WEST, 31.0, a=1.5), *both(a=1.5, b=1.5, c=1.5, d=1.5, location=1.0)]

    verdict = check(history(operations, readings, speed=2.0))

    (at_cut_over,) = verdict.cut_over
    assert [each.key for each in at_cut_over.missing] == ["location", "b", "c"]
    assert verdict.missing_writes == 3
    assert verdict.oldest_seconds == (CUT - 12.0) * 2
    assert verdict.window_seconds == (14.0 - 12.0) * 2
    assert verdict.problems == []
    # The fourth was acknowledged by the lost Region while another one served.
    assert verdict.after_cut_over == 1


def test_a_region_that_was_read_only_after_the_restore_says_nothing_about_the_cut_over():
    assert check(history([put("a")], both(a=1.5))).cut_over == ()


def test_a_deletion_that_has_not_arrived_is_missing_at_the_cut_over():
    operations = [put("a"), delete("a", 14.0)]

    verdict = check(history(operations, [seen(WEST, 31.0, a=1.5), *both()]))

    assert [each.kind for each in verdict.cut_over[0].missing] == ["delete"]
    assert verdict.problems == []


def test_exactly_the_writes_that_a_region_lacks_for_good_are_lost():
    operations = [put("a"), put("b", 12.0), put("c", 14.0, result="unknown"), update(1.0, 12.0)]
    readings = [seen(EAST, 0.0, location=0.0), seen(WEST, 0.0, location=0.0)]
    readings += both(a=1.5, location=0.0)

    verdict = check(history(operations, readings, discarded=(EAST,)))

    assert {(each.key, each.region) for each in verdict.of("lost")} == {
        (key, region) for key in ("b", "location") for region in (EAST, WEST)
    }
    assert verdict.lost == 2
    assert verdict.problems == ["2 writes are lost in us-east-1 and us-west-2 (b, location)"]
    allowed = history(operations, readings, discarded=(EAST,), max_lost_writes=2)
    assert check(allowed).problems == []
    # A Region that was not lost for good must not go back.
    assert ("out of order", "location", EAST) in states(check(history(operations, readings)))


def test_a_deletion_that_never_arrives_is_lost():
    operations = [put("a"), delete("a", 14.0)]

    verdict = check(history(operations, [seen(EAST, END), seen(WEST, END, a=1.5)]))

    assert states(verdict) == {("lost", "a", WEST), ("diverged", "a", "")}


def test_what_was_deleted_and_is_there_again_came_back():
    operations = [put("a"), delete("a", 14.0)]
    readings = [seen(WEST, 13.0, a=1.5), seen(WEST, 16.0), *both(a=1.5)]

    assert states(check(history(operations, readings))) == {
        ("came back", "a", EAST), ("came back", "a", WEST)
    }  # fmt: skip


def test_what_arrives_late_and_is_deleted_later_did_not_come_back():
    operations = [put("a"), delete("a", 14.0)]
    readings = [seen(WEST, 16.0), seen(WEST, 17.0, a=1.5), seen(WEST, 18.0), *both()]

    assert states(check(history(operations, readings))) == set()


def test_a_region_cannot_delete_what_it_does_not_hold_yet():
    operations = [put("a"), delete("a", 40.0, WEST)]
    readings = [seen(WEST, 31.0), *both(a=1.5)]

    verdict = check(history(operations, readings))

    assert states(verdict) == {("not deleted", "a", EAST), ("not deleted", "a", WEST)}
    assert verdict.problems == []


def test_a_region_that_goes_back_is_out_of_order():
    operations = [update(1.0, 10.0), update(2.0, 12.0)]
    readings = [seen(WEST, 13.0, location=2.0), seen(WEST, 14.0, location=1.0), *both(location=2.0)]

    assert states(check(history(operations, readings))) == {("out of order", "location", WEST)}


def test_an_older_write_of_another_region_must_not_win():
    operations = [update(1.0, 20.0, WEST), update(2.0, 40.0, EAST)]

    verdict = check(history(operations, both(location=1.0)))

    assert ("wrong winner", "location", EAST) in states(verdict)


def test_of_two_regions_the_last_writer_wins_and_the_others_are_overwritten():
    operations = [update(1.0, 20.0), update(2.0, 25.0), update(3.0, 40.0, WEST, client="w")]

    (conflict,) = check(history(operations, both(location=3.0))).conflicts

    assert (conflict.key, conflict.regions, conflict.winner) == ("location", (EAST, WEST), WEST)
    assert conflict.overwritten == 2


def test_writes_before_the_regions_were_cut_off_are_no_conflict():
    operations = [update(1.0, 10.0), update(3.0, 40.0, WEST)]

    assert check(history(operations, both(location=3.0))).conflicts == ()


def test_values_that_are_both_kept_are_a_conflict_that_nobody_loses():
    operations = [put("a", 20.0, EAST, 1.0), put("a", 40.0, WEST, 2.0)]

    verdict = check(history(operations, both(a=(1.0, 2.0))))

    assert [(each.winner, each.overwritten) for each in verdict.conflicts] == [(KEPT, 0)]
    assert verdict.problems == []


def test_regions_that_differ_for_good_have_diverged():
    operations = [update(1.0, 20.0), update(2.0, 20.05, WEST)]
    readings = [seen(EAST, END, location=1.0), seen(WEST, END, location=2.0)]

    verdict = check(history(operations, readings))

    assert states(verdict) == {("diverged", "location", "")}
    assert [each.winner for each in verdict.conflicts] == [""]


def test_what_is_there_twice_or_what_nobody_wrote_is_found():
    verdict = check(history([put("a"), put("b")], both(a=(1.5, 1.5), b=(1.5, 9.9))))

    assert {state for state, *_ in states(verdict)} == {"duplicated", "wrong value"}
    assert len(verdict.problems) == 2


def test_writes_at_the_same_time_may_be_in_either_order():
    operations = [update(1.0, 20.0), update(2.0, 20.3, WEST)]

    assert check(history(operations, both(location=1.0))).problems == []


def test_a_region_that_was_not_read_for_long_enough_is_uncounted():
    verdict = check(history([put("a")], [seen(EAST, END, a=1.5), seen(WEST, 20.0)]))

    assert ("uncounted", "a", WEST) in states(verdict)
    assert verdict.of("lost") == ()


def test_an_unread_region_is_uncounted():
    verdict = check(history([put("a")], [seen(EAST, END, a=1.5), seen(WEST, END, error="503")]))

    assert states(verdict) == {("uncounted", "a", WEST)}
    assert verdict.problems == ["1 write is uncounted in us-west-2 (a)"]


def test_missing_names_what_a_reading_does_not_show():
    reading = seen(WEST, 31.0, a=1.5)

    found = missing(history([put("a"), put("b"), put("c", 40.0)], [reading]), reading)

    assert [each.key for each in found] == ["b"]


# --- The file


@pytest.fixture
def written(tmp_path):
    whole = history(
        [put("a"), update(1.0, 12.0), delete("a", 14.0)],
        [seen(WEST, 31.0, a=1.5), seen(EAST, 32.0, error="503"), *both(location=1.0)],
    )
    path = tmp_path / histories.FILE
    histories.write(path, whole, check(whole).to_json())
    return path, whole


def test_a_history_is_read_as_it_was_written_and_gets_the_same_verdict(written):
    path, whole = written

    found, verdict = histories.read(path)

    assert found == whole
    assert json.loads(json.dumps(check(found).to_json())) == verdict


def test_lines_are_in_order_of_time_between_the_drill_and_the_verdict(written):
    path, _ = written
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    times = [each.get("at", each.get("sent_at")) for each in lines[1:-1]]

    assert (lines[0]["type"], lines[-1]["type"]) == ("drill", "verdict")
    assert times == sorted(times)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "", "line 0: it is empty"),
        (lambda text: "{\n", "line 1: JSONDecodeError"),
        (lambda text: text.replace('"version": 1', '"version": 9', 1), "its version is 9"),
        (lambda text: text.replace('"kind": "put"', '"kind": "post"', 1), "expected a kind of put"),
        (lambda text: text.replace('"speed": 1.0, ', "", 1), "expected discarded, environment"),
        (lambda text: text.split("\n", 1)[1], "the first line, and no other one"),
        (lambda text: text + '{"type": "guess"}\n', "unknown type 'guess'"),
    ],
)
def test_a_file_that_is_not_a_history_is_refused_by_its_line(written, change, message):
    path, _ = written
    path.write_text(change(path.read_text()))

    with pytest.raises(OpsError, match=message) as caught:
        histories.read(path)
    assert caught.value.exit_code is ExitCode.USAGE


def test_a_file_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(OpsError, match="cannot be read"):
        histories.read(tmp_path / "none")
