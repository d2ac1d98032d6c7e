"""Standard output and error that may go away, and do not take the command with them."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO, cast

_GONE = {errno.EPIPE, errno.EIO}
"""The reader of a pipe has ended; the terminal is lost."""


class LosableStream:
    """A text stream that drops what is written once nobody can read it.

    A command that changes an environment must finish what it began, whoever reads its output.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or drop it.

        Args:
            text: The text.
        """
        with _dropping(self._stream):
            return self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, or drop what is left."""
        with _dropping(self._stream):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _dropping(stream: TextIO) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _GONE:
            raise
        # What is still buffered would fail again when the program ends.
        with suppress(OSError, ValueError), Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())


@contextmanager
def losable_streams() -> Iterator[None]:
    """Make the standard streams losable while the block runs."""
    before = sys.stdout, sys.stderr
    with Path(os.devnull).open("w") as nowhere:
        # One that was closed before the program began is None.
        sys.stdout, sys.stderr = (cast(TextIO, LosableStream(s or nowhere)) for s in before)
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before
