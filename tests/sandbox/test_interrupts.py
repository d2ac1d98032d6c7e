"""Signals interrupt once, when it is allowed, and never the clean-up."""

import os
import signal

import pytest

from sandbox.interrupts import SIGNALS, deferred

pytestmark = pytest.mark.unit


def send(number=signal.SIGINT):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_interrupts_what_allows_it_and_not_the_clean_up(number):
    steps = []

    def run():
        with deferred() as interrupts:
            try:
                interrupts.allow()
                send(number)
                steps.append("never")
            finally:
                send(number)
                send(signal.SIGINT)
                steps.append("cleaned")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert steps == ["cleaned"]


def test_a_signal_before_it_is_allowed_interrupts_as_soon_as_it_is():
    steps = []

    def run():
        with deferred() as interrupts:
            send()
            steps.append("before")
            interrupts.allow()
            steps.append("never")

    with pytest.raises(KeyboardInterrupt):
        run()
    assert steps == ["before"]


def test_what_does_not_allow_it_is_not_interrupted():
    with deferred() as interrupts:
        interrupts.allow()
        interrupts.defer()
        for number in SIGNALS:
            send(number)

    assert interrupts.waiting


def test_handlers_are_as_before_afterwards():
    before = [signal.getsignal(number) for number in SIGNALS]

    with deferred():
        assert [signal.getsignal(number) for number in SIGNALS] != before

    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_signal_that_is_ignored_stays_ignored():
    """As with nohup, or in the background of a script."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with deferred() as interrupts:
            interrupts.allow()
            send(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)

    assert not interrupts.waiting
