"""Signals: one that ends the drill, and none that ends the restore."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible() -> Iterator[None]:
    """Lets every signal that ends a program end the block as Ctrl-C does."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    with _handling(interrupt):
        yield


@contextmanager
def uninterrupted(tell: Callable[[str], None]) -> Iterator[None]:
    """Lets signals wait in vain while everything is put right.

    Args:
        tell: Called with a line when one comes.
    """

    def later(_number: int, _frame: FrameType | None) -> None:
        tell("Putting everything right first: a few seconds")

    with _handling(later):
        yield


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    # Signals reach the main thread only, and only there a handler may be set.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in ENDING}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
