"""One run at a time changes an environment, on whatever machine it runs."""

from dataclasses import dataclass, field, replace

import pytest
from botocore.exceptions import EndpointConnectionError
from fake_environment import EAST, WEST, Canned, environment
from moto import mock_aws
from table import TABLE

from ops import lock_item
from ops.errors import ExitCode, OpsError
from ops.lock import Lease, Lock, LockedError, hold, interrupt_drill, new_run, read

pytestmark = pytest.mark.unit

DEAD = EndpointConnectionError(endpoint_url="https://dead.example")


@dataclass
class Clock:
    """Time passes by sleeping only; `meanwhile` runs during each sleep."""

    now: float = 0.0
    slept: float = 0.0
    meanwhile: object = field(default=lambda: None)

    def sleep(self, seconds):
        self.now += seconds
        self.slept += seconds
        self.meanwhile()

    def lease(self):
        return Lease(renewal_seconds=1000, clock=lambda: self.now, sleep=self.sleep)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def production(monkeypatch):
    """An environment with a table in the secondary Region, kept by moto."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        found = environment({("dynamodb", EAST): DEAD})
        found.client("dynamodb", WEST).create_table(TableName="weather", **TABLE)
        yield found


def items(environment):
    return environment.client("dynamodb", WEST).scan(TableName="weather")["Items"]


def held(environment, clock, kind="drill", run="drill-1"):
    lock = Lock(environment, kind, run, clock.lease())
    lock.acquire()
    return lock


def test_the_lock_is_an_item_beside_the_switch_that_says_who_holds_it(production, clock):
    with hold(production, kind="drill", run="drill-1", lease=clock.lease()):
        [item] = items(production)
        assert (item["pk"], item["sk"]) == ({"S": "control"}, {"S": "operations-lock"})
        assert {"run", "kind", "host", "user", "environment", "since", "expires_at"} <= item.keys()
        assert item["environment"] == {"S": "production"}
    assert items(production) == []


def test_without_a_switch_the_key_comes_from_the_table(production, clock):
    by_latency = replace(
        production,
        descriptor=replace(
            production.descriptor, outputs=replace(production.outputs, evacuation=None)
        ),
    )

    with hold(by_latency, kind="customers", lease=clock.lease()):
        [item] = items(by_latency)
    assert (item["pk"], item["sk"]) == ({"S": "operations-lock"}, {"S": "operations-lock"})


def test_a_holder_that_renews_is_named_and_not_disturbed(production, clock):
    first = held(production, clock)
    clock.meanwhile = first.renew

    with pytest.raises(LockedError, match=r"is being changed: drill by .* on .* since") as caught:
        held(production, clock, "customers", "customers-1")

    assert caught.value.exit_code is ExitCode.PREREQUISITE
    assert "drill-1" in str(caught.value)
    assert read(production).run == "drill-1"
    assert clock.slept < first.lease.seconds


def test_a_lock_that_is_given_back_meanwhile_is_taken(production, clock):
    clock.meanwhile = held(production, clock).release

    assert held(production, clock, run="drill-2").lost == ""
    assert read(production).run == "drill-2"


def test_who_waits_is_told_for_whom(production, clock):
    first, lines = held(production, clock), []
    clock.meanwhile = first.release

    with hold(production, kind="switch", lease=clock.lease(), notify=lines.append):
        pass

    [line] = lines
    assert line.startswith("Waiting up to 30 s for the lock of drill by ")


def test_a_lock_that_nobody_renews_for_a_whole_lease_is_taken_over(production, clock):
    dead = held(production, clock)

    held(production, clock, run="drill-2")

    assert clock.slept >= dead.lease.seconds
    assert read(production).run == "drill-2"
    dead.renew()
    assert "somebody else has taken" in dead.lost
    dead.release()
    assert read(production).run == "drill-2", "only its own lock is given back"


def test_an_expiry_by_another_clock_decides_nothing(production, clock, monkeypatch):
    """A machine whose clock is an hour behind holds a lock that has expired, for others."""
    first = held(production, clock)
    lock_item.update(
        production, {"expires_at": "2020-01-01T00:00:00+00:00"}, condition="#run = :held",
        held="drill-1",
    )  # fmt: skip
    clock.meanwhile = first.renew

    with pytest.raises(LockedError):
        held(production, clock, run="drill-2")


def test_a_run_that_has_ended_is_replaced_at_once(production, clock):
    held(production, clock)
    restore = Lock(production, "restore", "restore-1", clock.lease())

    restore.acquire(replaces="drill-1")

    assert (read(production).run, clock.slept) == ("restore-1", 0)


def test_an_acquisition_whose_response_was_lost_counts(production, clock):
    dynamodb = production.client("dynamodb", WEST)

    def twice(**arguments):
        dynamodb.update_item(**arguments)
        return dynamodb.update_item(**arguments)

    repeating = replace(production, clients={("dynamodb", WEST): Canned(update_item=twice)})

    assert held(repeating, clock).lost == ""
    assert clock.slept == 0


def test_a_note_outlives_its_holder_until_it_is_removed(production, clock):
    first = held(production, clock)
    first.annotate("left something")
    first.release()

    state = read(production)
    assert (state.run, state.host, state.note) == ("", "", "left something")

    second = held(production, clock, "restore", "restore-1")
    assert (second.note, clock.slept) == ("left something", 0)
    second.annotate("")
    second.release()
    assert items(production) == []


def test_a_note_survives_a_takeover(production, clock):
    held(production, clock).annotate("left something")

    assert held(production, clock, "switch", "switch-1").note == "left something"


def test_only_a_drill_is_interrupted_and_it_notices(production, clock):
    assert interrupt_drill(production, by="alice") is None
    assert items(production) == []
    drill = held(production, clock)

    assert interrupt_drill(production, by="switch evacuate by alice").run == "drill-1"

    with pytest.raises(LockedError, match="interrupted by switch evacuate by alice"):
        drill.check()
    assert read(production).run == "drill-1", "it holds the lock until it has restored"
    drill.release()
    assert held(production, clock, "switch", "switch-1").lost == ""
    assert interrupt_drill(production, by="alice") is None


def test_the_next_holder_is_not_interrupted_by_what_interrupted_the_last(production, clock):
    held(production, clock)
    interrupt_drill(production, by="alice")

    second = held(production, clock, run="drill-2")
    second.check()

    assert second.lost == ""


def test_a_holder_that_cannot_renew_knows_when_it_has_lost_the_lock(production, clock):
    lock = held(production, clock)
    lock.environment = environment({("dynamodb", WEST): Canned(update_item=DEAD)})
    for _ in range(2):
        assert lock.lost == ""
        with pytest.raises(OpsError, match="could not be renewed: DynamoDB in us-west-2"):
            lock.renew()
        clock.now += 16

    assert "could not be renewed for 32 s" in lock.lost


def test_the_lock_is_given_back_after_an_error_which_is_raised(production, clock):
    with pytest.raises(ZeroDivisionError), hold(production, kind="drill", lease=clock.lease()):
        1 / 0  # noqa: B018
    assert items(production) == []


def test_a_region_that_is_down_is_named_and_does_not_hide_the_error_of_the_block(clock):
    down = environment({("dynamodb", WEST): Canned(update_item=DEAD, delete_item=DEAD)})

    with pytest.raises(OpsError, match="could not be taken: DynamoDB in us-west-2") as caught:
        held(down, clock)
    assert caught.value.exit_code is ExitCode.PREREQUISITE
    Lock(down, "drill", "drill-1", clock.lease()).release()


def test_the_lease_is_renewed_while_the_block_runs(production):
    with hold(production, kind="drill", lease=Lease(renewal_seconds=0.01)):
        first = read(production).renewal
        for _ in range(10_000):
            if read(production).renewal != first:
                return
    pytest.fail("it was never renewed")


def test_runs_are_told_apart():
    assert len({new_run("drill") for _ in range(100)}) == 100
    assert new_run("drill").startswith("drill-")
