"""Whoever has the page open: told every state, and the reason why anything is done at all."""

import threading
from collections.abc import Generator


class Audience:
    """Those who look.

    Attributes:
        watching: Set while there are any.
    """

    def __init__(self) -> None:
        self.watching = threading.Event()
        self._viewers = 0
        self._told = ""
        self._count = 0
        self._changed = threading.Condition()

    def tell(self, text: str) -> None:
        """Tells everybody.

        Args:
            text: What.
        """
        with self._changed:
            self._told = text
            self._count += 1
            self._changed.notify_all()

    def listen(self) -> Generator[str, None, None]:
        """All that is told from now on; who is too slow misses some of it.

        Close it to leave.
        """
        with self._changed:
            heard = self._count
            self._viewers += 1
            self.watching.set()
        try:
            while True:
                with self._changed:
                    while self._count == heard:
                        self._changed.wait()
                    heard, told = self._count, self._told
                yield told
        finally:
            with self._changed:
                self._viewers -= 1
                if not self._viewers:
                    self.watching.clear()
