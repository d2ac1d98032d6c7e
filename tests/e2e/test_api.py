"""Every operation and every documented status, over HTTP, in both Regions."""

import itertools
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from local_api import REGIONS

pytestmark = pytest.mark.e2e

BODY = {"temperature_celsius": 12.5, "humidity_percent": 80}
TRIES = 5
_numbers = itertools.count()


@pytest.fixture(params=REGIONS)
def region(request):
    return request.param


@pytest.fixture
def other_region(region):
    return next(other for other in REGIONS if other != region)


@pytest.fixture
def location(api, region):
    """A location of this test's own, registered in the Region."""
    name = f"test-{next(_numbers)}"
    answer = api.put(
        region,
        f"/locations/{name}",
        {"name": name, "latitude_degrees": 1, "longitude_degrees": 2.5},
    )
    assert answer.status == 201
    api.settle()
    return name


def observation_path(location, observed_at="2026-05-01T10:00:00Z"):
    return f"/weather/{location}/observations/{observed_at}"


def assert_problem(answer, status, region, *parts):
    assert answer.status == status, answer.text
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert answer.headers["X-Served-By-Region"] == region
    assert answer.json.keys() - {"errors"} == {"type", "title", "status", "detail", "instance"}
    assert answer.json["status"] == status
    assert answer.json["instance"].startswith("urn:request:")
    for part in parts:
        assert part in answer.text


def test_health_is_open_names_its_region_and_is_never_cached(api, region):
    answer = api.send("GET", api.url(region, "/health"))

    assert answer.status == 200
    assert answer.json == {"status": "ok", "region": region}
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Served-By-Region"] == region


def test_locations_are_listed_page_by_page_to_the_last_one(api, region, location):
    seen, cursor = [], ""
    while cursor is not None:
        answer = api.get(region, f"/locations?limit=2{f'&cursor={cursor}' if cursor else ''}")
        assert answer.status == 200, answer.text
        assert answer.headers["X-Served-By-Region"] == region
        seen += [found["location"] for found in answer.json["locations"]]
        cursor = answer.json["next_cursor"]

    assert seen == sorted(set(seen))
    assert {"amsterdam", "nairobi", "quito", location} <= set(seen)


def test_a_location_is_registered_once_and_replaced_after(api, region, location):
    body = {"name": "Renamed", "latitude_degrees": 3, "longitude_degrees": 4}

    assert api.put(region, f"/locations/{location}", body).status == 200
    listed = api.get(region, "/locations?limit=100").json["locations"]
    assert [found["name"] for found in listed if found["location"] == location] == ["Renamed"]


def test_an_observation_is_created_once_and_says_so(api, region, location):
    first = api.put(region, observation_path(location), BODY)
    again = api.put(region, observation_path(location), BODY)
    different = api.put(region, observation_path(location), BODY | {"temperature_celsius": 13})

    assert (first.status, first.json["created"]) == (201, True)
    assert (again.status, again.json["created"]) == (200, False)
    assert again.json["observation_id"] == first.json["observation_id"]
    assert_problem(different, 409, region)


def test_the_latest_observation_is_the_weather(api, region, location):
    for hour in (9, 11, 10):
        api.put(
            region,
            observation_path(location, f"2026-05-01T{hour:02}:00:00Z"),
            {"temperature_celsius": hour + 0.25},
        )

    weather = api.get(region, f"/weather/{location}")

    assert weather.status == 200
    assert weather.json["observed_at"] == "2026-05-01T11:00:00Z"
    assert weather.json["temperature_celsius"] == 11.25
    assert weather.headers["X-Served-By-Region"] == region


def test_tomorrows_weather_is_refused_and_a_minutes_tolerated(api, region, location):
    soon, tomorrow = (
        f"{datetime.now(UTC) + timedelta(**ahead):%Y-%m-%dT%H:%M:%SZ}"
        for ahead in ({"minutes": 1}, {"days": 1})
    )

    assert api.put(region, observation_path(location, soon), BODY).status == 201
    refused = api.put(region, observation_path(location, tomorrow), BODY)

    assert_problem(refused, 400, region, "observed_at", "more than 300 seconds in the future")


def test_observations_are_listed_in_a_range_and_paged_across_regions(
    api, region, other_region, location
):
    for hour in range(6):
        api.put(region, observation_path(location, f"2026-05-01T{hour:02}:00:00Z"), BODY)
    api.settle()
    query = "from=2026-05-01T01:00:00Z&to=2026-05-01T05:00:00Z&limit=3"

    first = api.get(region, f"/weather/{location}/observations?{query}")
    # A failover in the middle of the pages goes on where it was.
    rest = api.get(
        other_region,
        f"/weather/{location}/observations?{query}&cursor={first.json['next_cursor']}",
    )

    found = [o["observed_at"] for page in (first, rest) for o in page.json["observations"]]
    assert found == [f"2026-05-01T{hour:02}:00:00Z" for hour in range(1, 5)]
    assert rest.json["next_cursor"] is None


def test_a_deleted_observation_is_gone_in_every_region(api, region, other_region, location):
    api.put(region, observation_path(location), BODY)
    api.settle()

    assert api.signed("DELETE", region, observation_path(location)).status == 204
    assert api.signed("DELETE", other_region, observation_path(location)).status == 204
    for where in REGIONS:
        assert_problem(api.get(where, f"/weather/{location}"), 404, where, "no observation")


def test_what_one_region_writes_the_other_reads(api, region, other_region, location):
    created = api.put(region, observation_path(location), BODY)
    api.settle()

    read = api.get(other_region, f"/weather/{location}")

    assert read.status == 200
    assert read.json["observation_id"] == created.json["observation_id"]
    assert read.headers["X-Served-By-Region"] == other_region


def test_two_regions_writing_at_once_lose_nothing(api, location):
    # GIVEN the same minutes, written in both Regions at once, each with a value of its own
    writes = [
        (where, f"2026-06-01T00:{minute:02}:00Z", {"temperature_celsius": minute + share})
        for minute in range(20)
        for where, share in zip(REGIONS, (0.25, 0.5), strict=True)
    ]

    def publish(where, at, body):
        for _ in range(TRIES):
            answer = api.put(where, observation_path(location, at), body)
            # What a busy machine makes time out is sent again, as every publisher should.
            if answer.status != 503:
                break
        return answer

    # WHEN they race
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda write: publish(*write), writes))

    # THEN every acknowledged one is there, in both Regions
    acknowledged = {
        (at, body["temperature_celsius"])
        for (_, at, body), answer in zip(writes, answers, strict=True)
        if answer.status in (200, 201)
    }
    assert {answer.status for answer in answers} <= {200, 201, 409}
    assert len({at for at, _ in acknowledged}) == 20
    api.settle()
    for where in REGIONS:
        listed = api.get(where, f"/weather/{location}/observations?limit=100").json["observations"]
        assert {(o["observed_at"], o["temperature_celsius"]) for o in listed} == acknowledged


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/weather/Not_A_Slug", "location"),
        ("/weather/amsterdam/observations?from=yesterday", "from"),
        ("/weather/amsterdam/observations?limit=0", "limit"),
        ("/weather/amsterdam/observations?cursor=e30", "cursor"),
        ("/weather/amsterdam/observations?colour=red", "colour"),
        ("/locations?limit=many", "limit"),
    ],
)
def test_a_wrong_parameter_is_named(api, region, path, named):
    answer = api.get(region, path)

    assert_problem(answer, 400, region)
    assert named in [error["field"] for error in answer.json["errors"]]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"humidity_percent": 50}, "temperature_celsius"),
        ({"temperature_celsius": "warm"}, "temperature_celsius"),
        (BODY | {"colour": "red"}, "colour"),
        ("{", ""),
    ],
    ids=["missing", "type", "unknown", "no json"],
)
def test_a_wrong_body_is_refused_and_nothing_is_stored(api, region, location, body, named):
    answer = api.put(region, observation_path(location), body)

    assert_problem(answer, 400, region, named)
    assert api.get(region, f"/weather/{location}/observations").json["observations"] == []


def test_a_wrong_time_is_named(api, region, location):
    answer = api.put(region, observation_path(location, "2026-02-30T00:00:00Z"), BODY)

    assert_problem(answer, 400, region)
    assert [error["field"] for error in answer.json["errors"]] == ["observed_at"]


def test_another_content_type_is_415(api, region, location):
    answer = api.signed("PUT", region, observation_path(location), json.dumps(BODY), "text/plain")

    assert_problem(answer, 415, region)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/weather/nowhere"),
        ("GET", "/weather/nowhere/observations"),
        ("PUT", "/weather/nowhere/observations/2026-05-01T10:00:00Z"),
        ("DELETE", "/weather/nowhere/observations/2026-05-01T10:00:00Z"),
    ],
)
def test_an_unknown_location_is_404(api, region, method, path):
    answer = (
        api.get(region, path)
        if method == "GET"
        else api.signed(method, region, path, BODY if method == "PUT" else None)
    )

    assert_problem(answer, 404, region, "nowhere")


@pytest.mark.parametrize("key", [None, "wrong" * 8])
@pytest.mark.parametrize("path", ["/locations", "/weather/quito", "/weather/quito/observations"])
def test_reads_need_the_api_key(api, region, path, key):
    answer = api.send("GET", api.url(region, path), {"x-api-key": key} if key else {})

    assert_problem(answer, 403, region)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/locations/quito"),
        ("PUT", "/weather/quito/observations/2026-05-01T10:00:00Z"),
        ("DELETE", "/weather/quito/observations/2026-05-01T10:00:00Z"),
    ],
)
def test_writes_need_a_signature_and_a_readers_key_does_not_help(api, region, method, path):
    answer = api.send(
        method, api.url(region, path), {"x-api-key": api.local.api_key}, json.dumps(BODY)
    )

    assert_problem(answer, 403, region)


def test_a_customer_over_the_limit_gets_429_and_when_to_come_back(api, region):
    gateway = api.client("apigateway", region)
    (plan,) = [p for p in gateway.get_usage_plans()["items"] if p["name"].endswith("-standard")]

    def limit(rate, burst):
        gateway.update_usage_plan(
            usagePlanId=plan["id"],
            patchOperations=[
                {"op": "replace", "path": "/throttle/rateLimit", "value": str(rate)},
                {"op": "replace", "path": "/throttle/burstLimit", "value": str(burst)},
            ],
        )

    limit(1, 1)
    try:
        answers = [api.get(region, "/locations") for _ in range(4)]
    finally:
        limit(plan["throttle"]["rateLimit"], plan["throttle"]["burstLimit"])

    refused = [answer for answer in answers if answer.status == 429]
    assert refused
    assert_problem(refused[0], 429, region)
    assert refused[0].headers["Retry-After"] == "1"


@contextmanager
def replica_missing_for(api, region, operation):
    """The alias points to a version that looks for a table that this Region does not have."""
    functions = api.client("lambda", region)
    function = {"FunctionName": f"weather-local-{operation}"}
    served = functions.get_alias(**function, Name="live")["FunctionVersion"]
    variables = functions.get_function_configuration(**function)["Environment"]["Variables"]

    def set_table(table):
        environment = {"Variables": variables | {"TABLE_NAME": table}}
        functions.update_function_configuration(**function, Environment=environment)
        functions.get_waiter("function_updated_v2").wait(**function)

    set_table("no-such-table")
    broken = functions.publish_version(**function)["Version"]
    functions.update_alias(**function, Name="live", FunctionVersion=broken)
    try:
        yield
    finally:
        functions.update_alias(**function, Name="live", FunctionVersion=served)
        functions.delete_function(**function, Qualifier=broken)
        set_table(variables["TABLE_NAME"])


def test_health_is_503_in_a_region_without_its_replica_and_in_no_other(api, region, other_region):
    with replica_missing_for(api, region, "get_health"):
        answer = api.send("GET", api.url(region, "/health"))

        assert answer.status == 503
        assert answer.json["region"] == region
        assert answer.headers["Cache-Control"] == "no-store"
        assert api.send("GET", api.url(other_region, "/health")).status == 200
    assert api.send("GET", api.url(region, "/health")).status == 200


def test_an_operation_without_its_table_is_503_with_a_hint_and_leaks_nothing(api, region):
    with replica_missing_for(api, region, "get_weather"):
        answer = api.get(region, "/weather/amsterdam")

    assert_problem(answer, 503, region)
    assert int(answer.headers["Retry-After"]) > 0
    assert "no-such-table" not in answer.text
