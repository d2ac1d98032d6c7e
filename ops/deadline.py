"""Waits no longer than a time limit for something that has none of its own."""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from threading import Thread
from typing import Protocol, TypeVar

_Result = TypeVar("_Result")


def started(function: Callable[[], _Result]) -> "Future[_Result]":
    """Run a function in a thread that does not keep the program from ending.

    Args:
        function: What to run.

    Returns:
        Its result, once there is one.
    """
    future: Future[_Result] = Future()

    def run() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future


def gathered(
    calls: Mapping[str, Callable[[], _Result]], grace_seconds: float
) -> tuple[dict[str, _Result], dict[str, Exception]]:
    """Run functions at once, and do not let those that hang hold up one that has a result.

    Args:
        calls: `{name: function}`.
        grace_seconds: How long the others are waited for when one has returned.

    Returns:
        `{name: result}`, and `{name: error}` of the others, in their order.
    """
    futures = {name: started(call) for name, call in calls.items()}
    pending, end = set(futures.values()), float("inf")
    while pending and time.monotonic() < end:
        left = None if end == float("inf") else end - time.monotonic()
        done, pending = wait(pending, left, return_when=FIRST_COMPLETED)
        if end == float("inf") and any(future.exception() is None for future in done):
            end = time.monotonic() + grace_seconds
    results, errors = {}, dict[str, Exception]()
    for name, future in futures.items():
        try:
            results[name] = future.result(0)
        except TimeoutError as error:
            errors[name] = TimeoutError(str(error) or f"no response within {grace_seconds:g} s")
        except Exception as error:
            errors[name] = error
    return results, errors


def within(seconds: float, function: Callable[[], _Result]) -> _Result:
    """Run a function, and wait no longer than that; it is abandoned then, not ended.

    Args:
        seconds: Longest wait.
        function: What to run.

    Returns:
        Its result.

    Raises:
        TimeoutError: It has not returned in time.
    """
    try:
        return started(function).result(seconds)
    except TimeoutError as error:
        raise TimeoutError(str(error) or f"no result within {seconds:g} s") from None


class _Wait(Protocol):
    def __call__(self, seconds: float, function: Callable[[], _Result], /) -> _Result: ...


@dataclass
class Limit:
    """A time limit of all steps of a command together; what passes between them does not count.

    Attributes:
        left: Seconds that are left.
        clock: Gives seconds that only ever rise.
        wait: Runs a function, and waits no longer than so many seconds.
    """

    left: float
    clock: Callable[[], float] = time.monotonic
    wait: _Wait = within

    def within(
        self, step: Callable[[], _Result], *, at_most: float = float("inf"), keep: float = 0.0
    ) -> _Result:
        """Run a step, and wait for it no longer than what is left.

        Args:
            step: What to run.
            at_most: Longest wait for this step, in seconds.
            keep: Seconds to leave for later steps.

        Returns:
            Its result.

        Raises:
            TimeoutError: It has not returned in time.
        """
        begun = self.clock()
        try:
            return self.wait(max(0.0, min(at_most, self.left - keep)), step)
        finally:
            self.left = max(0.0, self.left - (self.clock() - begun))
