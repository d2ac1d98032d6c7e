"""Ctrl-C at any moment: it waits until what it interrupts can be taken back.

The first of the signals raises `KeyboardInterrupt`, and no later one interrupts the clean-up after
it. So do a signal to terminate and a terminal that is closed.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Whether signals interrupt now; otherwise the first one waits until they do.

    Attributes:
        waiting: Whether there was a signal that has interrupted nothing yet.
    """

    def __init__(self) -> None:
        self.waiting = False
        self._allowed = False

    def allow(self) -> None:
        """Let signals interrupt from now on.

        Raises:
            KeyboardInterrupt: One has come already.
        """
        self._allowed = True
        if self.waiting:
            self._interrupt()

    def defer(self) -> None:
        """Let signals interrupt nothing from now on."""
        self._allowed = False

    def receive(self, _number: int, _frame: FrameType | None) -> None:
        """Handle a signal."""
        self.waiting = True
        if self._allowed:
            self._interrupt()

    def _interrupt(self) -> None:
        self._allowed = self.waiting = False
        raise KeyboardInterrupt


@contextmanager
def deferred() -> Iterator[Interrupts]:
    """Let signals interrupt nothing while the block runs, unless it allows them to."""
    interrupts = Interrupts()
    # One that is ignored stays so: with nohup, or in the background of a script.
    before = {
        number: signal.signal(number, interrupts.receive)
        for number in SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
