"""Sorts lines by key with bounded memory: sorted runs in files, merged while they are read."""

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

RUN_BYTES = 32_000_000
"""Text that one run holds in memory."""
MOST_RUNS = 64
"""Each run is one open file while they are merged: a process may have some hundreds."""


class Sorter:
    """Lines, sorted by key; what does not fit into memory is in files of a folder.

    Args:
        folder: Where; nobody else may read it, and the caller removes it.
        run_bytes: How much text is kept in memory.
    """

    def __init__(self, folder: Path, *, run_bytes: int = RUN_BYTES) -> None:
        self._folder, self._run_bytes = folder, run_bytes
        self._lines: list[str] = []
        self._bytes = 0
        self._runs: list[Path] = []

    def add(self, key: str, text: str) -> None:
        """Add a line.

        Args:
            key: Printable text, by which lines are sorted.
            text: What belongs to it, without line breaks.
        """
        # A tab sorts before everything printable, so whole lines sort as their keys do.
        line = f"{key}\t{text}\n"
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes >= self._run_bytes:
            self._write_run()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        while len(self._runs) > MOST_RUNS:
            merged, self._runs = self._runs[:MOST_RUNS], self._runs[MOST_RUNS:]
            self._write(heapq.merge(*map(_lines_of, merged)))
            for path in merged:
                path.unlink()
        runs = [_lines_of(path) for path in self._runs]
        for line in heapq.merge(*runs, sorted(self._lines)):
            key, _, text = line.rstrip("\n").partition("\t")
            yield key, text

    def _write_run(self) -> None:
        self._write(sorted(self._lines))
        self._lines, self._bytes = [], 0

    def _write(self, lines: Iterable[str]) -> None:
        with tempfile.NamedTemporaryFile(
            "w", dir=self._folder, delete=False, encoding="utf-8"
        ) as file:
            file.writelines(lines)
        self._runs.append(Path(file.name))


def by_key(sorters: Iterable[Iterable[tuple[str, str]]]) -> Iterator[tuple[str, list[str]]]:
    """Merge what several sorters hold, and group it by key.

    Args:
        sorters: The sorters.

    Yields:
        Each key, in order, with everything that belongs to it, in order.
    """
    merged = heapq.merge(*sorters)
    for key, lines in groupby(merged, key=lambda line: line[0]):
        yield key, [text for _, text in lines]


def _lines_of(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as file:
        yield from file
