"""A check that is given up in time, even if it hangs where no time-out of its own reaches."""

import time
from collections.abc import Callable
from threading import Thread


class BoundedCheck:
    """Run a check in its own thread, one at a time.

    A check that hangs cannot be stopped; it is left behind. No other is started while it hangs, so
    however often the question is asked, at most one thread is lost.

    Args:
        check: Returns for yes, raises for no.

    Attributes:
        error: Why the last run did not pass, `TimeoutError` if it was given up; None if it passed.
    """

    def __init__(self, check: Callable[[], object]) -> None:
        self._check = check
        self._thread: Thread | None = None
        self.error: Exception | None = None

    def passes_within(self, seconds: float) -> bool:
        """Run the check once.

        Args:
            seconds: Longest wait, including that for an earlier run that still hangs.

        Returns:
            True if a run begun now has passed in time.
        """
        end = time.monotonic() + seconds
        if self._thread is not None:
            self._thread.join(seconds)
            if self._thread.is_alive():
                return False
        self.error = TimeoutError()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        self._thread.join(max(0.0, end - time.monotonic()))
        return self.error is None

    def _run(self) -> None:
        """Run the check and note how it went; every error means no."""
        try:
            self._check()
        except Exception as error:
            self.error = error
        else:
            self.error = None
