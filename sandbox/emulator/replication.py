"""Global tables whose replicas are separate data, behind `sandbox.replication`.

AWS: applies a write to the replica of the Region that was asked, and to the others later; the last
writer of an item wins. Reads, conditions, counts and indexes are those of one replica.
MiniStack 1.5.33: applies a write to all replicas at once, but to one only if it is made with
PartiQL or because an item expires. A copy that is made later would overwrite a newer item, or bring
back a deleted one. An item that expires is not in the stream.

Here every write is seen where MiniStack stores it. One of PartiQL's transactions is sent to the
other Regions once it is whole. Each replica's stream shows what was written there, what has arrived
and won, and what has expired; only where it expired, as the work of DynamoDB.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-how-to.html
Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ttl-expired-items.html
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any, cast

from sandbox.emulator import module, replace
from sandbox.replication.engine import Change, Pending, Replication
from sandbox.replication.lag import LogNormalLag

Table = tuple[str, str]
"""Account and name."""
Write = tuple[Table, str, tuple[str, str], Any]
_TIME_TO_LIVE = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
"""Who deletes expired items, in a stream."""


class ReplicatedTables:
    """MiniStack's tables, replicated.

    Args:
        lag: Draws how long a write takes to another Region, in seconds of AWS.
        speed: How much faster than AWS time passes for replication.
        clock: Seconds of this machine, never going back.
    """

    def __init__(
        self,
        lag: Callable[[], float],
        *,
        speed: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock, self._speed = clock, speed
        self._passed, self._since = 0.0, 0.0
        self._replication = Replication(
            self._store, lag=lag, clock=self.now, on_arrival=self._measure
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._transaction: ContextVar[list[Write] | None] = ContextVar("transaction", default=None)
        self._dynamodb: Any = module("services.dynamodb")
        self._responses: Any = module("core.responses")

    def pause(self, id: str, ways: tuple[tuple[str | None, str | None], ...]) -> None:
        """Pause replication, as `Replication.pause` does."""
        self._replication.pause(id, ways)

    def resume(self, id: str) -> None:
        """Resume it: what is overdue arrives now."""
        self._replication.resume(id)
        self._pump()

    def set_speed(self, speed: float) -> None:
        """Let time pass faster or slower from now on, also for what is on its way.

        Args:
            speed: How much faster than AWS.
        """
        self._passed, self._since = self.now(), self._clock()
        self._speed = speed
        self._pump()

    def now(self) -> float:
        """How many seconds of AWS have passed, at whatever speeds."""
        return self._passed + (self._clock() - self._since) * self._speed

    def discard(self, region: str) -> int:
        """Lose a Region for good, as `Replication.discard` does; how many writes that were."""
        return len(self._replication.discard(region, self._load))

    def pending(self) -> tuple[Pending, ...]:
        """List what has not arrived yet, in seconds of AWS, as `Replication.pending` does."""
        self._pump()
        return self._replication.pending()

    def install(self) -> None:
        """Replace MiniStack's replication."""
        dynamodb = self._dynamodb
        self._set, self._remove = dynamodb._set_item, dynamodb._remove_item
        replace(dynamodb, "_set_item", self._setting)
        replace(dynamodb, "_remove_item", self._removing)
        replace(dynamodb, "_replicate_write", lambda _: lambda *_: None)
        replace(dynamodb, "_set_replica_group", self._grouping)
        replace(dynamodb, "_delete_table", self._deleting)
        replace(dynamodb, "_execute_transaction", self._executing)
        replace(dynamodb, "handle_request", self._handling)
        replace(dynamodb, "reset", self._resetting)

    # --- What MiniStack does

    def _setting(self, original: Any) -> Any:
        def set_item(table: Any, partition: str, sort: str, item: Any) -> Any:
            before = original(table, partition, sort, item)
            self._written(table, (partition, sort), item)
            return before

        return set_item

    def _removing(self, original: Any) -> Any:
        def remove_item(table: Any, partition: str, sort: str) -> Any:
            before = original(table, partition, sort)
            if before is not None:
                self._written(table, (partition, sort), None)
                # Nobody asked for it: its time to live is over.
                if self._responses._request_region not in copy_context():
                    self._expired(table, before)
            return before

        return remove_item

    def _grouping(self, original: Any) -> Any:
        def set_replica_group(name: str, regions: Any) -> None:
            original(name, regions)
            account, home = self._responses.get_account_id(), self._responses.get_region()
            self._replication.set_replicas((account, name), regions, source=home)

        return set_replica_group

    def _deleting(self, original: Any) -> Any:
        def delete_table(data: dict[str, Any]) -> Any:
            account, home = self._responses.get_account_id(), self._responses.get_region()
            name = self._dynamodb._normalize_table_name(data.get("TableName"))
            table = self._dynamodb._tables.get(name)
            others = {*self._dynamodb._replica_group(table)} - {home} if table else set()
            response = original(data)
            if response[0] == 200:
                self._replication.set_replicas((account, name), others, source=home)
            return response

        return delete_table

    def _executing(self, original: Any) -> Any:
        def execute_transaction(data: dict[str, Any]) -> Any:
            writes: list[Write] = []
            token = self._transaction.set(writes)
            try:
                response = original(data)
            finally:
                self._transaction.reset(token)
            if response[0] == 200:
                for write in writes:
                    self._replication.write(*write)
                self._pump()
            return response

        return execute_transaction

    def _handling(self, original: Any) -> Any:
        async def handle_request(*request: Any) -> Any:
            self._loop = asyncio.get_running_loop()
            self._pump()
            return await original(*request)

        return handle_request

    def _resetting(self, original: Any) -> Any:
        def reset() -> None:
            original()
            self._replication.clear()

        return reset

    # --- What replication does

    def _written(self, table: Any, key: tuple[str, str], item: Any) -> None:
        _, _, _, region, account, _ = table["TableArn"].split(":", 5)
        write = ((account, table["TableName"]), region, key, copy.deepcopy(item))
        if (transaction := self._transaction.get()) is not None:
            transaction.append(write)
        elif self._replication.write(*write):
            self._pump()

    def _expired(self, table: Any, item: Any) -> None:
        """Show in the stream that DynamoDB has deleted an item."""
        _, _, _, region, account, _ = table["TableArn"].split(":", 5)
        name = table["TableName"]
        with self._responses.request_scope(account, region):
            self._dynamodb._emit_stream_event(name, "REMOVE", item, None, replicate=False)
            for record in (self._dynamodb._stream_records.get(name) or [])[-1:]:
                record["userIdentity"] = dict(_TIME_TO_LIVE)

    def _pump(self) -> None:
        """Let arrive what is due, in the thread that serves requests, and later what will be."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            # The thread that deletes expired items.
            if self._loop and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._pump)
                return
            loop = None
        seconds = self._replication.deliver()
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if loop and seconds is not None:
            self._timer = loop.call_later(seconds / self._speed, self._pump)

    def _store(self, table: Any, region: str, key: Any, item: Any) -> None:
        account, name = table
        with self._responses.request_scope(account, region):
            replica = self._dynamodb._tables[name]
            if item is None:
                before = self._remove(replica, *key)
                if before is None:
                    return
            else:
                item = copy.deepcopy(item)
                before = self._set(replica, *key, item)
            event = "REMOVE" if item is None else "MODIFY" if before else "INSERT"
            self._dynamodb._emit_stream_event(name, event, before, item, replicate=False)

    def _load(self, table: Any, region: str, key: Any) -> Any:
        account, name = table
        with self._responses.request_scope(account, region):
            return self._dynamodb._tables[name]["items"].get(key[0], {}).get(key[1])

    def _measure(self, change: Change, target: str, seconds: float) -> None:
        """Count a write that has arrived in the metric of the Region that wrote it.

        Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_monitoring.html
        """
        account, name = cast(Table, change.table)
        cloudwatch: Any = module("services.cloudwatch")
        dimensions = {"TableName": name, "ReceivingRegion": target}
        key = ("AWS/DynamoDB", "ReplicationLatency", cloudwatch._dims_key(dimensions))
        with self._responses.request_scope(account, change.stamp.region):
            points = cloudwatch._metric_bucket(key)
        milliseconds, minute = seconds * 1000, time.time() // 60 * 60
        if not points or points[-1]["Timestamp"] != minute:
            points.append({"Timestamp": minute, "Unit": "Milliseconds", "Dimensions": dimensions})
        known = points[-1].get("_stat")
        points[-1]["_stat"] = {
            "SampleCount": (known["SampleCount"] if known else 0) + 1,
            "Sum": (known["Sum"] if known else 0) + milliseconds,
            "Minimum": min(known["Minimum"], milliseconds) if known else milliseconds,
            "Maximum": max(known["Maximum"], milliseconds) if known else milliseconds,
        }


def install(*, lag_seconds: float, speed: float) -> ReplicatedTables:
    """Replicate MiniStack's global tables with a lag.

    Args:
        lag_seconds: Median of the lag, in seconds of AWS; 0 for none.
        speed: How much faster than AWS time passes for replication.

    Returns:
        The tables, to pause and to ask.
    """
    tables = ReplicatedTables(LogNormalLag(lag_seconds), speed=speed)
    tables.install()
    return tables
