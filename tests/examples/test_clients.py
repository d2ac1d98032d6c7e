"""Which Region the clients of examples/clients call, and how often, when one fails."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import trustme
from customer_clients import PythonClient, TypeScriptClient, example
from loopback_regions import Server, server_context
from repository_files import REPOSITORY

pytestmark = pytest.mark.program

EAST, WEST = "us-east-1", "us-west-2"
HOST = "weather.example.com"
COMMON = f"https://{HOST}/v1"
REGIONS = {region: f"https://{region}.{HOST}/v1" for region in (EAST, WEST)}
HOSTS = {"common": HOST, "east": f"{EAST}.{HOST}", "west": f"{WEST}.{HOST}"}
PATH = "/weather/amsterdam"
PATIENT_SECONDS = 30.0
"""So long a busy machine may take for a response that comes."""
SILENT_SECONDS = 2.0
"""When one that does not come is given up: still enough for the other Region's."""
UNAVAILABLE = (503, {"Retry-After": 1})


class Servers:
    """One for each name; the common name resolves to the east until a test says otherwise."""

    def __init__(self, context):
        self.common, self.east = Server(EAST, context), Server(EAST, context)
        self.west = Server(WEST, context)

    def locate(self, host):
        for name, known in HOSTS.items():
            if host == known:
                return getattr(self, name).address
        return None

    def calls(self):
        """How often each name was called."""
        return tuple(len(getattr(self, name).calls) for name in HOSTS)

    def east_fails(self, how):
        """The same at both of its names."""
        for server in (self.common, self.east):
            how(server)


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def context(authority):
    return server_context(authority, HOSTS.values())


@pytest.fixture
def servers(context):
    servers = Servers(context)
    yield servers
    for name in HOSTS:
        getattr(servers, name).close()


@pytest.fixture
def ca_file(authority, tmp_path):
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return tmp_path / "ca.pem"


@pytest.fixture
def python(servers, ca_file):
    with PythonClient(servers.locate, ca_file).running() as client:
        create(client)
        yield client


@pytest.fixture
def typescript(servers, ca_file):
    places = {host: servers.locate(host) for host in HOSTS.values()}
    names = {host: {"address": address, "port": port} for host, (address, port) in places.items()}
    with TypeScriptClient(names, ca_file).running() as client:
        create(client)
        yield client


@pytest.fixture(params=["python", "typescript"])
def client(request):
    return request.getfixturevalue(request.param)


def create(client, common=COMMON, regions=REGIONS, *, attempt=PATIENT_SECONDS, recovery=3600.0):
    client.create(common, regions, attempt_seconds=attempt, recovery_seconds=recovery)


def test_while_all_is_well_only_the_common_name_is_called(client, servers):
    results = [client.call("GET", PATH) for _ in range(3)]

    assert {(each.status, each.region) for each in results} == {(200, EAST)}
    assert servers.calls() == (3, 0, 0)


def test_a_refused_connection_is_repeated_in_the_region_that_has_not_failed(client, servers):
    servers.east_fails(Server.refuse)

    assert client.call("GET", PATH).region == WEST
    # AND the next request goes there at once, although the other Region is back
    servers.east_fails(Server.listen)
    assert client.call("GET", PATH).region == WEST
    assert servers.calls() == (0, 0, 2)


def test_a_region_that_does_not_respond_costs_one_time_out(client, servers):
    create(client, attempt=SILENT_SECONDS)
    servers.east_fails(Server.swallow)

    assert [client.call("GET", PATH).region for _ in range(3)] == [WEST] * 3
    assert servers.calls() == (1, 0, 3)


def test_a_connection_that_is_open_already_fails_over_too(client, servers):
    create(client, attempt=SILENT_SECONDS)
    assert client.call("GET", PATH).region == EAST
    servers.east_fails(Server.swallow)

    assert client.call("GET", PATH).region == WEST
    assert servers.calls()[1:] == (0, 1)


def test_an_error_of_the_server_is_repeated_at_once_in_the_other_region(client, servers):
    for count, status in enumerate((500, 502, 503, 504), start=1):
        create(client)
        # Its Retry-After is of that Region, and no reason to wait for another one.
        servers.common.replies = [(status, {"Retry-After": 3600})]

        assert client.call("GET", PATH).region == WEST
        assert servers.calls() == (count, 0, count)


def test_the_region_that_the_common_name_resolves_to_is_learned_from_its_responses(client, servers):
    # GIVEN a common name that has failed over
    servers.common.region = WEST
    assert client.call("GET", PATH).region == WEST
    # WHEN the Region fails that it resolves to
    servers.common.always = servers.west.always = UNAVAILABLE
    # THEN the other one is called, and not that Region by its own name
    assert client.call("GET", PATH).region == EAST
    assert servers.calls() == (2, 1, 0)


def test_a_429_is_repeated_in_the_same_region_and_not_before_its_time(client, servers):
    servers.common.replies = [(429, {"Retry-After": 1})]
    began = time.monotonic()

    assert client.call("GET", PATH).region == EAST
    assert time.monotonic() - began >= 1
    assert servers.calls() == (2, 0, 0)


def test_a_429_of_an_exhausted_quota_is_not_waited_for(client, servers):
    servers.common.replies = [(429, {"Retry-After": 3600})]

    assert client.call("GET", PATH).status == 429
    assert servers.calls() == (1, 0, 0)


def test_an_error_of_the_caller_is_not_repeated(client, servers):
    servers.common.replies = [(404, {})]

    assert client.call("GET", PATH).status == 404
    assert client.call("GET", PATH).region == EAST
    assert servers.calls() == (2, 0, 0)


def test_a_put_is_repeated_with_its_body(client, servers):
    servers.common.replies = [UNAVAILABLE]

    assert client.call("PUT", PATH, "observation").region == WEST
    assert servers.common.calls == servers.west.calls == [("PUT", f"/v1{PATH}", "observation")]


def test_a_post_is_not_repeated_and_its_failure_is_remembered(client, servers):
    servers.common.replies = [UNAVAILABLE]

    assert client.call("POST", PATH, "order").status == 503
    assert client.call("POST", PATH, "order").region == WEST
    assert servers.calls() == (1, 0, 1)


def test_the_number_of_tries_is_limited_and_they_are_spread_over_the_names(client, servers):
    for server in (servers.common, servers.east, servers.west):
        server.always = UNAVAILABLE

    assert client.call("GET", PATH).status == 503
    # The common name, the other Region, the first one by its own name, and the other one again.
    assert servers.calls() == (1, 1, 2)


def test_without_any_region_the_last_error_is_the_callers(client, servers):
    servers.east_fails(Server.refuse)
    servers.west.refuse()

    outcome = client.call("GET", PATH)

    assert outcome.status is None
    assert outcome.error


def test_the_common_name_is_tried_again_later_by_one_request(client, servers):
    create(client, recovery=0.5)
    servers.common.replies = [UNAVAILABLE]
    assert client.call("GET", PATH).status == 200
    before, *_ = servers.calls()
    time.sleep(0.6)

    assert [client.call("GET", PATH).region for _ in range(2)] == [EAST, EAST]
    assert servers.calls()[0] == before + 2


def test_a_trial_that_fails_costs_one_request_and_is_not_seen_by_the_caller(client, servers):
    create(client, recovery=0.5)
    servers.east_fails(lambda server: setattr(server, "always", UNAVAILABLE))
    client.call("GET", PATH)
    time.sleep(0.6)
    before = servers.calls()

    assert client.call("GET", PATH).region == WEST
    after = servers.calls()
    assert after[0] == before[0] + 1
    assert after[2] == before[2] + 1


def test_the_common_name_is_resolved_again_after_a_failure(servers, python):
    """A connection that is kept open stays in its Region, whatever DNS says of the name."""
    create(python, recovery=0.5)
    servers.common.replies = [UNAVAILABLE]
    python.call("GET", PATH)
    servers.common.address = servers.west.address
    time.sleep(0.6)

    assert python.call("GET", PATH).region == WEST
    assert servers.calls() == (1, 0, 2)
    assert {path for _, path, _ in servers.west.calls} == {f"/v1{PATH}"}


def test_an_attempt_ends_in_time_though_its_response_never_stops_to_come(servers, python):
    create(python, attempt=SILENT_SECONDS)
    servers.common.document, servers.common.byte_seconds = {"name": "x" * 20}, 0.3

    assert python.call("GET", PATH).region == WEST
    assert servers.calls() == (1, 0, 1)


def test_while_one_request_tries_the_common_name_again_the_others_do_not(servers, python):
    create(python, attempt=SILENT_SECONDS, recovery=1.0)
    servers.common.swallow()
    python.call("GET", PATH)
    time.sleep(1.1)
    before = servers.calls()

    with ThreadPoolExecutor(4) as threads:
        assert {each.region for each in threads.map(python.call, ["GET"] * 4, [PATH] * 4)} == {WEST}
    common, east, west = (b - a for a, b in zip(before, servers.calls(), strict=True))
    assert (common, east, west) == (1, 0, 4)


def test_a_publisher_calls_the_regions_by_their_own_names_only(client, servers):
    create(client, None)
    assert client.call("PUT", PATH, "x").region == EAST
    servers.east.refuse()

    assert client.call("PUT", PATH, "x").region == WEST
    assert servers.calls() == (0, 1, 1)


def test_an_environment_without_names_of_its_regions_is_repeated_at_the_common_one(client, servers):
    create(client, COMMON, {})
    servers.common.replies = [UNAVAILABLE, UNAVAILABLE]

    assert client.call("GET", PATH).status == 200
    assert servers.calls() == (3, 0, 0)


def test_the_names_are_read_from_the_document_once(client, servers):
    servers.common.document = {
        "servers": [{"url": COMMON}, *({"url": u} for u in REGIONS.values())]
    }
    client.discover(COMMON)
    servers.common.always = UNAVAILABLE

    assert [client.call("GET", PATH).region for _ in range(2)] == [WEST, WEST]
    assert [path for _, path, _ in servers.common.calls] == ["/v1/openapi.json", f"/v1{PATH}"]
    assert servers.calls() == (2, 0, 2)


def test_a_lost_region_is_left_within_two_seconds_by_configuration(client):
    constants = client.constants

    assert constants["ATTEMPT_SECONDS"] + constants["FIRST_WAIT_SECONDS"] < 2


def test_headers_are_made_for_each_attempt(servers, python):
    servers.east.always = UNAVAILABLE
    signed = []

    def sign(method, url, body):
        signed.append((method, url, body))
        return {"Authorization": "signature"}

    python.create(None, REGIONS, attempt_seconds=PATIENT_SECONDS, recovery_seconds=9, headers=sign)
    python.call("PUT", PATH, "x")

    assert signed == [("PUT", url + PATH, b"x") for url in REGIONS.values()]


def test_an_api_without_the_document_is_reported(servers, python):
    servers.common.always = (403, {})

    with pytest.raises(RuntimeError, match="status 403, expected 200"):
        python.discover(COMMON)


def test_the_typescript_client_compiles():
    compiler = REPOSITORY / "node_modules" / ".bin" / "tsc"
    folder = REPOSITORY / "examples" / "clients" / "typescript"

    done = subprocess.run([compiler, "-p", folder], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout


def test_both_clients_have_the_same_policy():
    source = REPOSITORY / "examples" / "clients" / "typescript" / "regional-client.ts"
    constants = {
        name: value
        for name, value in vars(example()).items()
        if name.isupper() and isinstance(value, int | float)
    }

    assert len(constants) >= 6
    for name, value in constants.items():
        assert f"export const {name} = {value:g};" in source.read_text()
