"""Signals that end a program: they end a drill early, and never what restores it."""

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any

ENDING = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
    if hasattr(signal, name)
)


@dataclass
class Interrupts:
    """Handles them for as long as the block runs: the first one interrupts as Ctrl-C does.

    There is no second interrupt, however many signals arrive, and none once they are postponed: no
    moment remains in which a signal could keep the drill from restoring what it changed.

    Attributes:
        notify: Called with a line when a signal is postponed.
    """

    notify: Callable[[str], None] = lambda _: None
    _postponed: bool = False
    _before: dict[int, Any] = field(default_factory=dict)

    def postpone(self) -> None:
        """Interrupt nothing from now on."""
        self._postponed = True

    def __enter__(self) -> "Interrupts":
        # Signals reach the main thread only, and only there a handler may be set.
        if threading.current_thread() is threading.main_thread():
            for number in ENDING:
                # Whoever ignores a signal, such as nohup, continues to.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        if not self._postponed:
            self._postponed = True
            raise KeyboardInterrupt
        # The signal may have arrived in the middle of another line.
        with suppress(Exception):
            self.notify("Restoring everything first: this may take some seconds")
