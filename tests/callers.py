"""A customer and a publisher who call an API by its name, through DNS, while tests change it.

Each waits for a response before it calls again: whoever does not, as in a drill, starts ever more
functions on a machine that is busy.
"""

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from urllib.parse import urlsplit

from ops.drill.durability import LOST_AFTER_SECONDS, Durability, acknowledged, assess
from ops.drill.events import Log, Request
from ops.drill.probe import Customer
from ops.drill.probe_location import ProbeLocation, key_of, value_of
from ops.drill.resolver import CachingResolver, RegionMap, target_addresses

INTERVAL_SECONDS = 0.5
TIMEOUT_SECONDS = 30
READ = "/weather/amsterdam"


@dataclass
class Seen:
    """What became of the requests.

    Attributes:
        begun: Time of day when their clock began.
        requests: The requests: reads of the customer, and writes of the publisher.
        durability: What became of the writes.
    """

    begun: float
    requests: tuple[Request, ...] = ()
    durability: Durability = field(default_factory=Durability)

    def of(self, kind):
        return [each for each in self.requests if each.kind == kind]

    @property
    def failed(self):
        return [each for each in self.requests if not each.ok]

    @property
    def missing(self):
        """Acknowledged writes that a Region has not, or not as they were written."""
        late = [each for each in self.durability.found if each.state == "late"]
        return [*(e for e in self.durability.found if e not in late), *self.durability.unread]


class Callers:
    """One who reads an observation, and one who writes others, of a location of its own.

    What it writes goes with the sandbox: to delete it takes longer than many a release.

    Args:
        environment: The environment, in which a customer reads what is there already.
    """

    def __init__(self, environment):
        self.environment = environment
        self.expected = self._request(None).json
        self.regions = RegionMap(lambda: target_addresses(environment))
        self.resolver = CachingResolver(environment.network.resolve)
        self.numbers = count()

    @contextmanager
    def call(self):
        """Call until the block ends; what is written is of a location of this block alone."""
        location = ProbeLocation(self.environment, f"releases-{next(self.numbers)}")
        location.register()
        publisher = Customer(location, self.resolver, self.regions, TIMEOUT_SECONDS)
        log = Log()
        seen = Seen(time.time())
        ended = threading.Event()
        threads = [
            threading.Thread(target=_repeat, args=(kind, send, log, ended))
            for kind, send in (("read", self._read), ("write", publisher.send))
        ]
        for thread in threads:
            thread.start()
        try:
            yield seen
        finally:
            ended.set()
            for thread in threads:
                thread.join()
            seen.requests = log.events().requests
            seen.durability = self._assessed(location, seen.requests, log)

    def _read(self, request):
        found = self.resolver.resolve(urlsplit(self.environment.outputs.api_url).hostname)
        if not found.addresses:
            return replace(request, error=f"DNS: {found.error}")
        response = self._request(found.addresses[0])
        error = response.error
        if response.ok and response.json != self.expected:
            error = f"not the observation: {response.body[:200]}"
        return replace(
            request, status=response.status, region=response.region, address=response.address,
            error=error, latency_seconds=response.seconds,
        )  # fmt: skip

    def _request(self, address):
        return self.environment.network.request(
            "GET", f"{self.environment.outputs.api_url}{READ}", address=address,
            headers={"x-api-key": self.environment.api_key}, timeout_seconds=TIMEOUT_SECONDS,
        )  # fmt: skip

    def _assessed(self, location, requests, log):
        written, regions = acknowledged(requests), self.environment.regions
        readings = [
            reading
            for region in regions
            for reading in location.readings(region, written, LOST_AFTER_SECONDS, log.clock)
        ]
        return assess(requests, readings, regions)


def _repeat(kind, send, log, ended):
    for number in count():
        at = log.clock()
        done = send(Request(kind, at, at, key=key_of(number), value=value_of(number)))
        log.add(replace(done, answered_at=log.clock()))
        if ended.wait(INTERVAL_SECONDS):
            return
