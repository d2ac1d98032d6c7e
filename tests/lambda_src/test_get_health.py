"""Rules of the health operation: it answers in time, whatever happens."""

import threading
import time
from typing import Any

import pytest

import get_health
from weather import replica
from weather.deadline import BoundedCheck
from weather.errors import Unavailable

pytestmark = pytest.mark.unit


@pytest.fixture
def check_with(monkeypatch):
    """Replaces the check of the replica."""

    def replace(check) -> None:
        monkeypatch.setattr(get_health, "replica_check", BoundedCheck(check))

    return replace


@pytest.fixture
def stuck():
    """A check that hangs until the test ends, and lists the threads that began it."""
    release, begun = threading.Event(), []

    def check() -> None:
        begun.append(threading.current_thread())
        release.wait(30)

    check.begun = begun
    check.release = release
    yield check
    release.set()


def test_healthy_is_200_names_its_region_and_is_not_cached(table, call) -> None:
    # GIVEN a replica that answers
    # WHEN health is asked for
    answer = call(get_health)
    # THEN it says so
    assert answer.status == 200
    assert answer.document == {"status": "ok", "region": "eu-central-1"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Served-By-Region"] == "eu-central-1"


@pytest.mark.parametrize("error", [Unavailable("x"), ValueError(), KeyError()])
def test_any_failure_is_503(check_with, call, error) -> None:
    # GIVEN a replica that fails
    def fail() -> Any:
        raise error

    check_with(fail)
    # WHEN health is asked for
    answer = call(get_health)
    # THEN the Region takes itself out
    assert answer.status == 503
    assert answer.document == {"status": "unavailable", "region": "eu-central-1"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Served-By-Region"] == "eu-central-1"


def test_a_missing_replica_is_503(table, call, monkeypatch) -> None:
    # GIVEN a Region without the table
    monkeypatch.setattr(replica, "TABLE_NAME", "elsewhere")
    # WHEN health is asked for
    # THEN it is unavailable
    assert call(get_health).status == 503


def test_a_client_that_hangs_does_not_hold_the_answer(check_with, call, stuck) -> None:
    # GIVEN a client that hangs
    check_with(stuck)
    # WHEN health is asked for
    begin = time.monotonic()
    answer = call(get_health)
    # THEN 503 comes long before that ends, even on a busy machine
    assert time.monotonic() - begin < 10.0
    assert answer.status == 503


def test_hanging_checks_do_not_pile_up(stuck) -> None:
    # GIVEN a client that hangs
    check = BoundedCheck(stuck)
    # WHEN health is asked for again and again
    passed = [check.passes_within(0.02) for _ in range(5)]
    # THEN one thread is stuck, not five
    assert passed == [False] * 5
    assert len(stuck.begun) == 1


def test_health_comes_back_after_a_hang(stuck) -> None:
    # GIVEN a client that hung
    check = BoundedCheck(stuck)
    assert not check.passes_within(0.02)
    # WHEN it is free again
    stuck.release.set()
    # THEN a new check is made, and passes
    assert check.passes_within(10)
    assert len(stuck.begun) == 2


def test_an_old_success_does_not_count_as_a_new_one() -> None:
    # GIVEN a check that passed and then fails
    answers = iter([None, ValueError()])

    def check() -> None:
        if error := next(answers):
            raise error

    bounded = BoundedCheck(check)
    # WHEN it is asked twice
    # THEN the second answer is no
    assert [bounded.passes_within(0.5), bounded.passes_within(0.5)] == [True, False]


def test_a_check_says_why_it_did_not_pass(stuck) -> None:
    # GIVEN a check that fails, one that hangs, and one that passes
    def fail() -> None:
        raise ValueError

    checks = [BoundedCheck(fail), BoundedCheck(stuck), BoundedCheck(lambda: None)]
    # WHEN they are run, twice
    passed = [check.passes_within(0.05) for check in checks for _ in range(2)]
    # THEN each reports its last run
    assert passed == [False] * 4 + [True] * 2
    assert [type(check.error) for check in checks] == [ValueError, TimeoutError, type(None)]


def test_the_stuck_thread_does_not_hold_the_process(stuck) -> None:
    # GIVEN a stuck check
    BoundedCheck(stuck).passes_within(0.01)
    # WHEN its thread has begun
    while not stuck.begun:
        time.sleep(0.01)
    # THEN the thread would not keep the process alive
    assert stuck.begun[0].daemon


def test_the_client_of_health_gives_up_before_the_deadline() -> None:
    # GIVEN the client that health has of its own
    config = get_health._client.meta.config
    # WHEN its time-outs are added up
    # THEN a thread that waits for the network ends in time by itself
    assert config.connect_timeout + config.read_timeout <= get_health.DEADLINE_SECONDS < 1
    assert config.retries["total_max_attempts"] == 1


def test_health_takes_no_notice_of_the_request(table, call) -> None:
    # GIVEN a request with parameters that other operations would refuse
    # WHEN health is asked for
    # THEN it answers
    assert call(get_health, query={"x": ["1", "2"]}).status == 200
