"""A failing table: callers learn in time when to come back, and nothing is lost."""

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from local_api import REGIONS

import weather_api.operations
from ops.fault_injection import REPLICATION, TABLE_ERRORS, Fault, FaultInjection

pytestmark = pytest.mark.e2e

ERRORS = [error for error in TABLE_ERRORS if error != REPLICATION]
PATHS = {
    "list_locations": "/locations",
    "put_location": "/locations/quito",
    "get_weather": "/weather/quito",
    "list_observations": "/weather/quito/observations",
    "put_observation": "/weather/quito/observations/2026-07-01T10:00:00Z",
    "delete_observation": "/weather/quito/observations/2026-07-01T10:00:00Z",
}
BODIES = {
    "put_location": {"name": "Quito", "latitude_degrees": -0.18, "longitude_degrees": -78.47},
    "put_observation": {"temperature_celsius": 14},
}
ON_THE_TABLE = [o for o in weather_api.operations.OPERATIONS if o.access]
HEALTH_STATUS_SECONDS = 2.0
"""How long Route 53 waits for a status."""
PATIENCE_SECONDS = 60.0
"""How long a table may be broken before its writers must have noticed."""


def broken(api, region, error):
    sandbox = FaultInjection(api.local.sandbox.fault_injection_url)
    return sandbox.injected(Fault(region, "table", error=error))


def call(api, region, operation):
    begun = time.monotonic()
    if operation.name in ("get_health", "get_evacuation"):
        answer = api.send("GET", api.url(region, operation.path.format(region=region)))
    elif operation.method == "GET":
        answer = api.get(region, PATHS[operation.name])
    else:
        body = BODIES.get(operation.name)
        answer = api.signed(operation.method, region, PATHS[operation.name], body)
    return answer, time.monotonic() - begun


@pytest.mark.parametrize("operation", ON_THE_TABLE, ids=lambda o: o.name)
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("region", REGIONS)
def test_every_operation_says_in_time_when_to_come_back(api, region, error, operation):
    # GIVEN a function that runs already, and how long a call takes on this machine
    call(api, region, operation)
    _, usual_seconds = call(api, region, operation)

    with broken(api, region, error):
        answer, seconds = call(api, region, operation)

    assert answer.status == 503, answer.text
    assert answer.headers["X-Served-By-Region"] == region
    assert error not in answer.text
    if operation.name == "get_health":
        # A health checker calls again anyway, and gives up by then.
        assert seconds - usual_seconds < HEALTH_STATUS_SECONDS
    else:
        # A function that runs into its timeout gives no 503.
        assert int(answer.headers["Retry-After"]) >= 1
    # AND it works again once the table does
    assert call(api, region, operation)[0].status < 500


@pytest.mark.parametrize("error", ERRORS)
def test_no_acknowledged_write_is_missing_afterwards(api, error):
    # GIVEN publishers who write to both Regions without a pause
    location, numbers = f"faulty-{error.lower()}", itertools.count()
    refused, ended = Event(), Event()
    body = {"name": "Faulty", "latitude_degrees": 0, "longitude_degrees": 0}
    assert api.put(REGIONS[0], f"/locations/{location}", body).status == 201
    api.settle()

    def publish(region):
        acknowledged = []
        while not ended.is_set():
            number = next(numbers)
            moment = f"2026-07-02T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}Z"
            path = f"/weather/{location}/observations/{moment}"
            answer = api.put(region, path, {"temperature_celsius": number % 50})
            assert answer.status in (201, 503), answer.text
            if answer.status == 201:
                acknowledged.append(moment)
            elif region == REGIONS[0]:
                refused.set()
        return acknowledged

    with ThreadPoolExecutor(len(REGIONS)) as pool:
        publishers = [pool.submit(publish, region) for region in REGIONS]
        # WHEN the table of one Region fails twice, each time until a write has failed
        try:
            for _ in range(2):
                time.sleep(0.5)
                refused.clear()
                with broken(api, REGIONS[0], error):
                    assert refused.wait(PATIENCE_SECONDS)
            time.sleep(0.5)
        finally:
            ended.set()
        east, west = (publisher.result() for publisher in publishers)

    # THEN every acknowledged write is in both Regions
    assert east
    assert west
    api.settle()
    for region in REGIONS:
        found, cursor = set(), ""
        while cursor is not None:
            query = f"?limit=100{f'&cursor={cursor}' if cursor else ''}"
            page = api.get(region, f"/weather/{location}/observations{query}").json
            found |= {observation["observed_at"] for observation in page["observations"]}
            cursor = page["next_cursor"]
        assert {*east, *west} <= found
