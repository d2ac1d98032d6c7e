"""Compares the replicas of every table, and writes what differs or was overwritten into a plan.

Scans return items in the order of hashes, which differs between replicas. So the keys and digests
of each replica are sorted in files, as are the records of its stream, and merged by key: memory is
bounded, the disk holds a key and a digest for each item and Region, and the images of what was
written since the time that was given. What differs is read again before it is judged.
"""

import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from threading import Event

from ops.drill.probe_location import is_probe_location
from ops.environment import Environment
from ops.errors import FAILURES, OpsError, explain, next_step_for
from ops.reconcile import reading
from ops.reconcile.acknowledged import Acknowledged, names_in
from ops.reconcile.judgement import (
    ON_ITS_WAY_SECONDS,
    Finding,
    History,
    Record,
    State,
    judge,
    time_text,
)
from ops.reconcile.plan import DELETE, OVERWRITTEN, REPLAY, Entry, Header, Overwritten, Writer
from ops.reconcile.reading import Pace, Replica
from ops.reconcile.spill import RUN_BYTES, Sorter, by_key
from ops.reconcile.values import Item, digest, from_json, key_from, key_of, key_text, to_json

Tables = Mapping[str, Mapping[str, str]]
"""`{name: {Region: ARN}}`."""
_OWN_ITEMS = ("operations-lock", "api-key-*", "verify*")
"""Keys of what this tool keeps in the table, where the program keeps no partition for it."""
DIFFERENCES = frozenset(State) - {State.EXPIRED}
"""What a person should look at."""


@dataclass
class Summary:
    """What a comparison has found.

    Attributes:
        items: `{table: {Region: how many items it holds}}`.
        states: How many findings of each state, of customers' data.
        own: How many items differ that belong to this tool or to drills.
        reviewed: How many findings a person had decided to keep.
        notes: What could not be known.
        unseen: Keys of acknowledged writes that no replica and no stream shows.
    """

    items: dict[str, dict[str, int]] = field(default_factory=dict)
    states: Counter[State] = field(default_factory=Counter)
    own: Counter[str] = field(default_factory=Counter)
    reviewed: int = 0
    notes: list[str] = field(default_factory=list)
    unseen: set[str] = field(default_factory=set)

    @property
    def differs(self) -> bool:
        """Whether there is anything that a person should look at."""
        return bool(self.unseen) or any(self.states[state] for state in DIFFERENCES)


@dataclass(frozen=True)
class Comparison:
    """How the replicas are compared.

    Attributes:
        environment: The environment.
        tables: The tables.
        since: From when on changes are looked at, in seconds since 1970.
        pace: Limits what reading consumes.
        clock: The time in seconds since 1970.
        run_bytes: How much text of each Region is kept in memory.
        reviewed: Identities of findings that a person has decided to keep.
        acknowledged: Writes that a replica or a stream must show.
        location: Only the items of this location of a drill, which are left out otherwise.
        ledger: What is known of a value by those who wrote it: whether it must be there, or must
            not; None for neither. It decides before the times do.
    """

    environment: Environment
    tables: Tables
    since: float
    pace: Pace
    clock: Callable[[], float] = time.time
    run_bytes: int = RUN_BYTES
    reviewed: frozenset[tuple[str, str, str, str]] = frozenset()
    acknowledged: Acknowledged = Acknowledged()
    location: str = ""
    ledger: Callable[[Item], bool | None] | None = None

    def run(self, writer: Writer, account: str = "") -> Summary:
        """Compare, and write the plan.

        Args:
            writer: Writes the plan.
            account: The account, for its first line.

        Returns:
            What was found.

        Raises:
            OpsError: A replica cannot be read, or the plan cannot be written: there is none then.
        """
        begun = self.clock()
        summary = Summary(unseen=set(self.acknowledged.keys))
        try:
            replicas = {
                name: [self._replica(region, arn, begun) for region, arn in arns.items()]
                for name, arns in self.tables.items()
            }
            for name, found in replicas.items():
                for each in found:
                    if each.uncovered:
                        note = f"the stream of {name} in {each.region}: {each.uncovered}"
                        summary.notes.append(
                            f"{note}; what was overwritten or deleted may not be known"
                        )
            writer.begin(
                Header(
                    self.environment.name,
                    time_text(begun),
                    time_text(self.since),
                    account,
                    self.tables,
                    tuple(summary.notes),
                )
            )
            for name, found in replicas.items():
                for entry in self._entries(name, found, summary):
                    if entry.identity in self.reviewed:
                        summary.reviewed += 1
                        continue
                    summary.states[entry.state] += 1
                    if entry.state in DIFFERENCES:
                        writer.add(entry)
            writer.finish()
        except BaseException:
            writer.discard()
            raise
        return summary

    def _replica(self, region: str, arn: str, now: float) -> Replica:
        with explained(region):
            return reading.replica(self.environment, region, arn, self.since, now)

    def _entries(
        self, table: str, replicas: Sequence[Replica], summary: Summary
    ) -> Iterator[Entry]:
        with tempfile.TemporaryDirectory(prefix="ops-reconcile-") as folder:
            sorters, counts = self._gathered(replicas, Path(folder))
            summary.items[table] = counts
            waiting: list[_Key] = []
            uncovered = {each.region: each.uncovered for each in replicas if each.uncovered}
            for text, lines in by_key(sorters):
                key = _Key.read(text, lines, replicas, uncovered)
                if summary.unseen:
                    summary.unseen -= self.acknowledged.shown_by(key.key)
                if not key.differs and not key.is_written:
                    continue
                if self.location:
                    if self.location not in names_in(key.key):
                        continue
                elif owner := owner_of(self.environment, key.key):
                    summary.own[owner] += key.differs
                    continue
                if not (key.differs or self.location or key.history.overwritten()):
                    continue
                waiting.append(key)
                if len(waiting) == reading.BATCH:
                    yield from self._judged(table, waiting, replicas)
                    waiting = []
            yield from self._judged(table, waiting, replicas)

    def _gathered(
        self, replicas: Sequence[Replica], folder: Path
    ) -> tuple[list[Sorter], dict[str, int]]:
        """What all replicas and their streams hold, and how many items each replica has."""
        scans = [Sorter(folder, run_bytes=self.run_bytes) for _ in replicas]
        streams = [Sorter(folder, run_bytes=self.run_bytes) for _ in replicas]
        stopped = Event()

        def scan(replica: Replica, sorter: Sorter) -> int:
            count = 0
            if self.location and all(each.stream for each in replicas):
                # All its items were written since the drill began, so the streams have their keys.
                return count
            client = self.environment.client("dynamodb", replica.region)
            for item in reading.scanned(client, replica, self.pace):
                if stopped.is_set():
                    break
                count += 1
                text = key_text(key_of(item, replica.keys))
                sorter.add(text, json.dumps([replica.region, digest(item)]))
            return count

        def follow(replica: Replica, sorter: Sorter) -> int:
            count = 0
            if not replica.stream:
                return count
            client = self.environment.client("dynamodbstreams", replica.region)
            changes = reading.changes(client, replica, self.since, self.pace.sleep)
            for key, record in changes:
                if stopped.is_set():
                    break
                count += 1
                images = [to_json(record.old), to_json(record.new)]
                values = [record.region, record.at, record.sequence, *images]
                sorter.add(key_text(key), json.dumps(values))
            return count

        pool = ThreadPoolExecutor(len(replicas))
        try:
            # Whatever a scan shows, a stream that is read afterwards shows, too.
            counts = self._each(pool, scan, replicas, scans)
            self._each(pool, follow, replicas, streams)
        finally:
            stopped.set()
            pool.shutdown(cancel_futures=True)
        return [*scans, *streams], counts

    def _each(
        self,
        pool: ThreadPoolExecutor,
        work: Callable[[Replica, Sorter], int],
        replicas: Sequence[Replica],
        sorters: Sequence[Sorter],
    ) -> dict[str, int]:
        futures = {
            replica.region: pool.submit(work, replica, sorter)
            for replica, sorter in zip(replicas, sorters, strict=True)
        }
        found = {}
        for region, future in futures.items():
            with explained(region):
                found[region] = future.result()
        return found

    def _judged(
        self, table: str, keys: Sequence["_Key"], replicas: Sequence[Replica]
    ) -> Iterator[Entry]:
        if not keys:
            return
        values: dict[str, dict[str, Item]] = {}
        for replica in replicas:
            with explained(replica.region):
                client = self.environment.client("dynamodb", replica.region)
                found = reading.read(client, replica, [key.key for key in keys], self.pace)
                values[replica.region] = {
                    key_text(key_of(item, replica.keys)): item for item in found
                }
        now = self.clock()
        ttl = next((each.ttl_attribute for each in replicas if each.ttl_attribute), "")
        for key in keys:
            regions = {region: items.get(key.text) for region, items in values.items()}
            changed = [region for region, item in regions.items() if key.has_changed(region, item)]
            if self.ledger and (demanded := _demanded(table, key, regions, self.ledger)):
                yield demanded
                continue
            for finding in judge(
                regions,
                key.history,
                now=now,
                changed=changed,
                ttl_attribute=ttl,
                on_its_way_seconds=ON_ITS_WAY_SECONDS / self.environment.speed,
            ):
                yield _entry(table, key.key, regions, finding)


def _entry(table: str, key: Item, regions: Mapping[str, Item | None], finding: Finding) -> Entry:
    lost = finding.overwritten
    lacking = tuple(
        each
        for each in regions
        if not finding.winner or digest(regions[each]) != digest(regions.get(finding.winner))
    )
    is_proposed = finding.state in (State.MISSING, State.DIFFERENT)
    entry = Entry(
        table,
        key,
        finding.state,
        finding.why,
        regions,
        wins=finding.winner,
        source=finding.winner if is_proposed else "",
        targets=lacking if is_proposed else tuple(regions),
    )
    if is_proposed:
        return replace(entry, action=REPLAY)
    if lost:
        return replace(
            entry,
            source=OVERWRITTEN if lost.new is not None else "",
            targets=(lost.region,),
            overwritten=Overwritten(lost.region, time_text(lost.at), lost.sequence, lost.new),
        )
    return entry


def _demanded(
    table: str,
    key: "_Key",
    regions: Mapping[str, Item | None],
    ledger: Callable[[Item], bool | None],
) -> Entry | None:
    """What Regions lack, or must not hold, by those who wrote it; None if nothing."""
    held = {region: item for region, item in regions.items() if item is not None}
    written = [
        record for of_region in key.history.records.values() for record in of_region if record.new
    ]
    written.sort(key=lambda record: (record.at, record.sequence))
    source, overwritten, item = "", None, None
    for record in written:
        if ledger(record.new or {}):
            source, item = OVERWRITTEN, record.new
            overwritten = Overwritten(
                record.region, time_text(record.at), record.sequence, record.new
            )
    for region, value in held.items():
        if ledger(value):
            source, item, overwritten = region, value, None
    if item is None:
        wrong = tuple(region for region, value in held.items() if ledger(value) is False)
        if not wrong:
            return None
        why = "whoever deleted it got an acknowledgement"
        return Entry(table, key.key, State.DELETED, why, regions, action=DELETE, targets=wrong)
    lacking = tuple(region for region in regions if digest(regions[region]) != digest(item))
    if not lacking:
        return None
    return Entry(
        table,
        key.key,
        State.DIFFERENT if held.keys() & {*lacking} else State.MISSING,
        "whoever wrote it got an acknowledgement",
        regions,
        action=REPLAY,
        source=source,
        targets=lacking,
        overwritten=overwritten,
    )


@dataclass(frozen=True)
class _Key:
    """What the scans and streams show of one key."""

    text: str
    key: Item
    scanned: Mapping[str, str]
    history: History

    @classmethod
    def read(
        cls,
        text: str,
        lines: Sequence[str],
        replicas: Sequence[Replica],
        uncovered: Mapping[str, str],
    ) -> "_Key":
        scanned = {replica.region: "" for replica in replicas}
        records: dict[str, list[Record]] = {replica.region: [] for replica in replicas}
        for region, *rest in map(json.loads, lines):
            if len(rest) == 1:
                scanned[region] = rest[0]
            else:
                at, sequence, old, new = rest
                records[region].append(Record(region, at, sequence, from_json(old), from_json(new)))
        for found in records.values():
            found.sort(key=lambda record: record.sequence)
        return cls(text, key_from(text), scanned, History(records, uncovered))

    @property
    def differs(self) -> bool:
        return len(set(self.scanned.values())) > 1

    @property
    def is_written(self) -> bool:
        return any(self.history.records.values())

    def has_changed(self, region: str, item: Item | None) -> bool:
        """Whether neither the scan nor the stream shows what is there now."""
        now, records = digest(item), self.history.records[region]
        return now not in (self.scanned[region], *(record.after for record in records[-1:]))


def owner_of(environment: Environment, key: Item) -> str:
    """Whom an item belongs to: `ops`, a `drill`, or empty for customers.

    Args:
        environment: The environment.
        key: Its key.
    """
    texts = [str(value["S"]) for value in key.values() if "S" in value]
    evacuation = environment.outputs.evacuation
    if evacuation:
        partition = next(iter(evacuation.item))
        if key.get(partition) == {"S": evacuation.item[partition]}:
            return "ops"
    elif texts and all(any(fnmatchcase(text, own) for own in _OWN_ITEMS) for text in texts):
        return "ops"
    if any(is_probe_location(part) for text in texts for part in text.split("#")):
        return "drill"
    return ""


@contextmanager
def explained(region: str, done: str = "read") -> Iterator[None]:
    """Turn an error of AWS into one that names the Region, and what to do.

    Args:
        region: The Region.
        done: What could not be done there, as a participle.
    """
    try:
        yield
    except FAILURES as error:
        raise OpsError(
            f"DynamoDB in {region} cannot be {done}: {explain(error)}",
            next_step=next_step_for(error),
        ) from error
