"""All publishers of one drill, and the writes of customers beside theirs."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ops.drill.events import Request
from ops.drill.expectation import Pace
from ops.drill.fault import DrillFault
from ops.drill.history import Operation, Result, Seen
from ops.drill.probe import Customer
from ops.drill.probe_location import LOCATION_KEY, ProbeLocation
from ops.drill.publisher import CUSTOMERS, ByName, Inside, Publisher, number_after


@dataclass(frozen=True)
class Publishing:
    """The publishers of a drill.

    Attributes:
        publishers: Them.
    """

    publishers: tuple[Publisher, ...]

    @classmethod
    def of(
        cls,
        location: ProbeLocation,
        customer: Customer,
        faults: Sequence[DrillFault],
        readings: Iterable[Seen],
        clock: Callable[[], float],
        pace: Pace,
    ) -> "Publishing":
        """One who follows DNS, and one within each Region that is cut off and serves, or is fenced.

        Args:
            location: The drill's location.
            customer: Whose resolver the first one shares.
            faults: The drill's faults.
            readings: What Regions hold before the first write.
            clock: The drill's.
            pace: Of the customers: each publisher writes half as often.
        """
        first = max((number_after(*seen.values.get(LOCATION_KEY, (None,))) for seen in readings),
                    default=1)  # fmt: skip
        numbers = itertools.count(first)
        routes = [(CUSTOMERS, ByName(customer))] + [
            (f"inside {fault.region}", Inside(location, fault.region, pace.timeout_seconds))
            for fault in faults
            if fault.serves_inside or fault.fence
        ]
        return cls(
            tuple(
                Publisher(name, location, route, clock, 2 * pace.interval_seconds, numbers)
                for name, route in routes
            )
        )

    def start(self) -> None:
        """Start all."""
        for each in self.publishers:
            each.start()

    def end(self) -> None:
        """Let none send any more: what they wrote last shows who has won."""
        for each in self.publishers:
            each.end()

    def stop(self) -> None:
        """Stop all."""
        for each in self.publishers:
            each.stop()

    def operations(self, requests: Iterable[Request]) -> tuple[Operation, ...]:
        """Every write, in order of sending.

        Args:
            requests: Those of customers.
        """
        found = [_operation(each) for each in requests if each.kind == "write"]
        for publisher in self.publishers:
            found += publisher.operations()
        return tuple(sorted(found, key=lambda each: each.sent_at))


def _operation(request: Request) -> Operation:
    result: Result = "acknowledged" if request.ok else "rejected"
    if request.is_unknown:
        result = "unknown"
    return Operation(
        CUSTOMERS,
        "put",
        request.key,
        request.value,
        request.sent_at,
        request.answered_at,
        result,
        request.region,
        request.status,
    )
