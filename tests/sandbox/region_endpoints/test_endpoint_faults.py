"""Every fault, as a client of the Region sees it, and its end once cleared."""

import contextlib
import errno
import random
import socket
import ssl
import threading
import time

import pytest

from ops.fault_injection import INSIDE_HEADER, Fault, FaultInjection
from sandbox.region_endpoints import region_endpoint

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "eu-west-1"
GET = b"GET /v1/x HTTP/1.1\r\nHost: weather.example.com\r\n\r\n"


def eventually(condition, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def is_reset(connection):
    """Whether the kernel has seen a reset; TLS on top of it may only tell of an end."""
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET


def test_refuse_is_connection_refused_in_that_region_only(endpoints):
    endpoints.control.inject(Fault(EAST, "refuse"))

    with pytest.raises(ConnectionRefusedError):
        endpoints.get()
    assert endpoints.get(region=WEST).status == 200


def test_refuse_resets_open_connections(endpoints, over):
    connection = endpoints.connect()
    over(connection, GET)

    endpoints.control.inject(Fault(EAST, "refuse"))

    eventually(lambda: is_reset(connection))
    connection.close()


def test_refuse_resets_connections_that_never_said_anything(endpoints):
    idle = socket.create_connection(endpoints.address(), timeout=2)
    eventually(lambda: endpoints.endpoints[EAST].listener.open_connections >= 1)

    endpoints.control.inject(Fault(EAST, "refuse"))

    eventually(lambda: is_reset(idle))
    idle.close()


def test_refuse_cuts_a_request_that_is_being_answered(endpoints, over):
    endpoints.control.inject(Fault(EAST, "slow", delay_seconds=20))
    connection = endpoints.connect()
    connection.sendall(GET)

    endpoints.control.inject(Fault(EAST, "refuse"))

    eventually(lambda: is_reset(connection))
    connection.close()


def test_a_cleared_refusal_listens_again(endpoints):
    id = endpoints.control.inject(Fault(EAST, "refuse"))

    assert endpoints.control.clear(id)

    assert endpoints.get().status == 200


def test_two_refusals_end_with_the_last(endpoints):
    first, second = (endpoints.control.inject(Fault(EAST, "refuse")) for _ in range(2))

    endpoints.control.clear(first)
    with pytest.raises(ConnectionRefusedError):
        endpoints.get()
    endpoints.control.clear(second)

    assert endpoints.get().status == 200


def test_a_refusal_that_cannot_be_cleared_stays_listed(endpoints):
    id = endpoints.control.inject(Fault(EAST, "refuse"))

    with socket.create_server(endpoints.address()):
        with pytest.raises(Exception, match=r"127\.0\.1\.1:\d+ cannot be used") as failure:
            endpoints.control.clear(id)
        assert failure.value.exit_code == 3
        assert [each.id for each in endpoints.control.faults()] == [id]

    assert endpoints.control.clear(id)
    assert endpoints.get().status == 200


def test_black_hole_accepts_and_never_answers(endpoints):
    endpoints.control.inject(Fault(EAST, "black_hole"))

    # The connection itself is made, and the TLS handshake is never answered.
    with (
        socket.create_connection(endpoints.address(), timeout=0.3) as plain,
        pytest.raises(TimeoutError),
    ):
        endpoints.trusting.wrap_socket(plain, server_hostname="weather.example.com")
    assert endpoints.get(region=WEST).status == 200


def test_black_hole_freezes_open_connections(endpoints, over):
    connection = endpoints.connect()
    over(connection, GET)

    endpoints.control.inject(Fault(EAST, "black_hole"))

    # Neither an answer, nor the end of the connection, and what is sent is taken.
    connection.settimeout(0.3)
    connection.sendall(GET * 1000)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.close()


def test_black_hole_freezes_a_handshake_that_has_begun(endpoints):
    plain = socket.create_connection(endpoints.address(), timeout=0.3)
    eventually(lambda: endpoints.endpoints[EAST].listener.open_connections >= 1)

    endpoints.control.inject(Fault(EAST, "black_hole"))
    time.sleep(0.05)

    with pytest.raises(TimeoutError):
        endpoints.trusting.wrap_socket(plain, server_hostname="weather.example.com")
    plain.close()


def test_black_hole_swallows_the_answer_to_a_request_that_was_under_way(endpoints):
    endpoints.control.inject(Fault(EAST, "slow", delay_seconds=0.2))
    connection = endpoints.connect()
    connection.sendall(GET)

    endpoints.control.inject(Fault(EAST, "black_hole"))

    connection.settimeout(0.5)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.close()


@pytest.mark.parametrize("ends", ["closes", "resets"])
def test_black_hole_lets_go_when_the_client_gives_up(endpoints, client_resets, ends):
    endpoints.control.inject(Fault(EAST, "black_hole"))
    listener = endpoints.endpoints[EAST].listener
    connection = socket.create_connection(endpoints.address(), timeout=1)
    eventually(lambda: listener.open_connections == 1)

    if ends == "resets":
        client_resets(connection)
    else:
        connection.close()

    eventually(lambda: listener.open_connections == 0)


def test_a_cleared_black_hole_serves_new_connections(endpoints):
    id = endpoints.control.inject(Fault(EAST, "black_hole"))
    swallowed = socket.create_connection(endpoints.address(), timeout=0.2)
    eventually(lambda: endpoints.endpoints[EAST].listener.open_connections == 1)

    endpoints.control.clear(id)

    assert endpoints.get().status == 200
    with pytest.raises(TimeoutError):
        endpoints.trusting.wrap_socket(swallowed, server_hostname="weather.example.com")
    swallowed.close()


def test_a_black_hole_for_a_share_swallows_the_connections_that_the_seed_picks(endpoints):
    chance = random.Random(7)
    expected = [chance.random() >= 0.5 for _ in range(12)]
    endpoints.control.inject(Fault(EAST, "black_hole", share=0.5, seed=7))

    seen = []
    listener = endpoints.endpoints[EAST].listener
    for _ in expected:
        accepted, swallowed = listener.accepted, listener.swallowed
        with socket.create_connection(endpoints.address()):
            eventually(lambda: listener.accepted > accepted)  # noqa: B023
            seen.append(listener.swallowed == swallowed)

    assert seen == expected
    assert 0 < sum(seen) < 12


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (500, "Internal server error"),
        (502, "Internal server error"),
        (503, "Service Unavailable"),
        (504, "Endpoint request timed out"),
    ],
)
def test_error_answers_as_api_gateway_does(endpoints, upstream, status, message):
    id = endpoints.control.inject(Fault(EAST, "error", status=status))

    answer = endpoints.get()

    assert (answer.status, answer.message) == (status, message)
    assert f"X-Local-Fault: {id}".encode() in answer.headers
    assert upstream.requests == []
    assert endpoints.get(region=WEST).status == 200


def test_an_error_keeps_open_connections_and_ends_when_cleared(endpoints, over):
    connection = endpoints.connect()
    with endpoints.control.injected(Fault(EAST, "error")):
        broken = over(connection, GET)
    cleared = over(connection, GET)
    connection.close()

    assert (broken.status, cleared.status) == (503, 200)


def test_an_error_for_a_share_hits_the_requests_that_the_seed_picks(endpoints):
    chance = random.Random(42)
    expected = [503 if chance.random() < 0.3 else 200 for _ in range(40)]
    endpoints.control.inject(Fault(EAST, "error", share=0.3, seed=42))

    assert endpoints.statuses(40) == expected


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/weather", 503),
        ("/v1/weather?a=/v1/other", 503),
        ("/v1/weather/amsterdam", 503),
        ("/v1/weathers", 200),
        ("/v1", 200),
        ("/v2/v1/weather", 200),
    ],
)
def test_error_under_a_path_leaves_the_others(endpoints, path, status):
    endpoints.control.inject(Fault(EAST, "error", path="/v1/weather"))

    assert endpoints.get(path).status == status


def test_requests_of_another_path_do_not_use_up_the_chance(endpoints):
    chance = random.Random(5)
    expected = [503 if chance.random() < 0.5 else 200 for _ in range(10)]
    endpoints.control.inject(Fault(EAST, "error", path="/v1/weather", share=0.5, seed=5))

    seen = []
    for _ in expected:
        endpoints.get("/v1/other")
        seen += endpoints.statuses(1, "/v1/weather")

    assert seen == expected


def test_slow_delays_and_then_answers(endpoints):
    with endpoints.control.injected(Fault(EAST, "slow", delay_seconds=0.3)):
        answer = endpoints.get()

    assert answer.status == 200
    assert answer.seconds >= 0.3


def test_slow_delays_its_region_only(endpoints):
    endpoints.control.inject(Fault(EAST, "slow", delay_seconds=300))

    assert endpoints.get(region=WEST).status == 200


def test_slow_requests_do_not_hold_up_others(endpoints):
    endpoints.control.inject(Fault(EAST, "slow", delay_seconds=300, path="/v1/slow"))
    with contextlib.closing(endpoints.connect()) as slow:
        slow.sendall(GET.replace(b"/v1/x", b"/v1/slow"))

        assert endpoints.get().status == 200


def test_slow_and_error_come_together(endpoints):
    endpoints.control.inject(Fault(EAST, "slow", delay_seconds=0.1))
    endpoints.control.inject(Fault(EAST, "error", status=502))

    answer = endpoints.get()

    assert answer.status == 502
    assert answer.seconds >= 0.1


def test_faults_stay_when_the_one_who_injected_them_is_gone(endpoints):
    id = FaultInjection(endpoints.control.url).inject(Fault(WEST, "error", path="/v1", status=500))

    seen = FaultInjection(endpoints.control.url).faults()

    assert [(each.id, each.fault) for each in seen] == [
        (id, Fault(WEST, "error", path="/v1", status=500))
    ]


def test_many_connections_at_once_survive_a_fault_that_comes_and_goes(endpoints):
    stop = threading.Event()
    outcomes = set()

    def call():
        while not stop.is_set():
            try:
                outcomes.add(endpoints.get().status)
            except (OSError, EOFError, ssl.SSLError) as error:
                outcomes.add(type(error).__name__)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for kind in ("refuse", "black_hole", "refuse") * 3:
        with endpoints.control.injected(Fault(EAST, kind, share=1.0)), contextlib.suppress(OSError):
            time.sleep(0.03)
    # What is in a black hole now would wait for its own time-out.
    with endpoints.control.injected(Fault(EAST, "refuse")):
        pass
    eventually(lambda: endpoints.get().status == 200)
    stop.set()
    for thread in threads:
        thread.join()

    assert 200 in outcomes
    eventually(lambda: endpoints.endpoints[EAST].listener.open_connections == 0)


def test_an_isolated_region_responds_to_clients_within_it_only(endpoints, upstream, monkeypatch):
    monkeypatch.setattr(region_endpoint, "LONGEST_DELAY_SECONDS", 0.05)

    def status(*headers):
        lines = ["GET /v1/x HTTP/1.1", "Host: weather.example.com", *headers, "", ""]
        return endpoints.send("\r\n".join(lines).encode(), EAST).status

    with endpoints.control.injected(Fault(EAST, "isolated")):
        places = [(), (f"{INSIDE_HEADER}: {WEST}",), (f"{INSIDE_HEADER}: {EAST}",)]
        responses = [status(*place) for place in places]

    assert responses == [504, 504, 200]
    assert endpoints.get().status == 200
    # What had no response was not carried out, and AWS does not see where a client is.
    assert len(upstream.requests) == 2
    assert not any(INSIDE_HEADER.lower().encode() in each.lower() for each in upstream.requests)
