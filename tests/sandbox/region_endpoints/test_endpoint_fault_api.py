"""The fault-injection API and its client."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import pytest
import urllib3

from ops.errors import ExitCode, OpsError
from ops.fault_injection import Direction, Fault, FaultInjection, InjectedFault

pytestmark = pytest.mark.unit

EAST, WEST = "us-east-1", "eu-west-1"


def call(endpoints, method, path, body=None, content_type="application/json"):
    response = urllib3.request(
        method,
        endpoints.control.url + path,
        body=body if body is None or isinstance(body, (str, bytes)) else json.dumps(body),
        headers={"Content-Type": content_type},
        retries=False,
    )
    return response.status, response.json()


def test_a_fault_is_injected_listed_and_cleared(endpoints):
    given = {"region": EAST, "kind": "error", "path": "/v1", "share": 0.5, "status": 502, "seed": 9}

    created, fault = call(endpoints, "POST", "/faults", given)
    _, listed = call(endpoints, "GET", "/faults")
    cleared, gone = call(endpoints, "DELETE", f"/faults/{fault['id']}")

    assert (created, cleared) == (201, 200)
    assert fault.keys() == {
        "id", "since", "region", "kind", "path", "share", "status", "seed"
    }  # fmt: skip
    assert fault == {**fault, **given}
    assert fault["since"].endswith("+00:00")
    assert listed == gone == {"faults": [fault]}
    assert call(endpoints, "GET", "/faults") == (200, {"faults": []})


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ([], "expected an object with region and kind, got []"),
        ({}, "region: expected one of us-east-1, eu-west-1, got None"),
        (
            {},
            "kind: expected one of refuse, black_hole, error, slow, isolated, table, "
            "replication_paused, partition, sts, control_plane, got None",
        ),
        ({"region": "us-west-9"}, "got 'us-west-9'"),
        ({"region": ["us-east-1"]}, "got ['us-east-1']"),
        ({"kind": "explode"}, "got 'explode'"),
        ({"kind": "error", "share": 0}, "share: expected more than 0 and at most 1, got 0"),
        ({"kind": "error", "share": 1.1}, "got 1.1"),
        ({"kind": "error", "share": True}, "got True"),
        ({"kind": "error", "share": "1"}, "got '1'"),
        ({"kind": "error", "path": "v1"}, "path: expected a path that begins with /, got 'v1'"),
        ({"kind": "error", "status": 200}, "status: expected one of 500, 502, 503, 504, got 200"),
        ({"kind": "error", "seed": 1.5}, "seed: expected a whole number, got 1.5"),
        ({"kind": "error", "delay_seconds": 1}, "delay_seconds: only slow has it"),
        ({"kind": "slow"}, "delay_seconds: expected more than 0 and at most 300, got None"),
        ({"kind": "slow", "delay_seconds": 0}, "got 0"),
        ({"kind": "slow", "delay_seconds": 301}, "got 301"),
        ({"kind": "slow", "delay_seconds": 1, "status": 500}, "status: only error has it"),
        ({"kind": "refuse", "path": "/v1"}, "path: refuse does not depend on a path"),
        ({"kind": "refuse", "share": 0.5}, "share: refuse affects every request"),
        ({"kind": "black_hole", "path": "/v1"}, "path: black_hole does not depend on a path"),
        ({"kind": "table"}, "error: expected one of InternalServerError,"),
        ({"kind": "table", "error": "flood"}, "got 'flood'"),
        ({"kind": "error", "error": "timeout"}, "error: only table has it"),
        ({"kind": "partition", "path": "/v1"}, "path: partition does not depend on a path"),
        ({"kind": "replication_paused", "share": 0.5}, "share: replication_paused affects every"),
        (
            {"kind": "replication_paused", "target": EAST},
            f"target: expected another Region: {WEST}",
        ),
        (
            {"kind": "replication_paused", "target": ["x"]},
            f"target: expected another Region: {WEST}",
        ),
        ({"kind": "partition", "target": WEST}, "target: only replication_paused has it"),
        ({"kind": "error", "id": "a/b"}, "id: expected 1 to 64 letters, digits, _ and -"),
        ({"kind": "black_hole", "color": 1}, "color: unknown; allowed are id, region, kind, path"),
    ],
)
def test_an_invalid_fault_is_refused_with_the_reason(endpoints, fault, problem):
    body = {"region": EAST, **fault} if isinstance(fault, dict) and fault else fault

    status, answer = call(endpoints, "POST", "/faults", body)

    assert status == 400
    assert problem in answer["message"]
    assert endpoints.control.faults() == ()


def test_every_problem_is_named_at_once(endpoints):
    _, answer = call(endpoints, "POST", "/faults", {"region": "x", "kind": "error", "share": 2})

    assert answer["message"].count(";") == 1


def test_body_that_is_not_json_is_refused(endpoints):
    status, answer = call(endpoints, "POST", "/faults", "{")

    assert status == 400
    assert answer["message"].startswith("the body is not JSON")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_web_page_cannot_inject(endpoints, content_type):
    fault = {"region": EAST, "kind": "refuse"}

    status, _ = call(endpoints, "POST", "/faults", fault, content_type)

    assert status == 415
    assert endpoints.control.faults() == ()


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("PUT", "/faults"), ("POST", "/ready"), ("GET", "/faults/x"), ("GET", "/x/y/z")],
)
def test_unknown_places_say_what_there_is(endpoints, method, path):
    status, answer = call(endpoints, method, path)

    assert status == 404
    assert "POST /faults" in answer["message"]


def test_ready_lists_the_url_of_every_region(endpoints):
    status, answer = call(endpoints, "GET", "/ready")

    assert status == 200
    assert answer == {
        "ready": True,
        "regions": {
            "us-east-1": f"https://127.0.1.1:{endpoints.port}",
            "eu-west-1": f"https://127.0.1.2:{endpoints.port}",
        },
    }


def test_nobody_clears_the_faults_of_others_in_one_request(endpoints):
    id = endpoints.control.inject(Fault(EAST, "error"))

    status, answer = call(endpoints, "DELETE", "/faults")

    assert (status, "DELETE /faults/{id}" in answer["message"]) == (404, True)
    assert [each.id for each in endpoints.control.faults()] == [id]


def test_clearing_twice_is_not_an_error(endpoints):
    id = endpoints.control.inject(Fault(EAST, "error"))

    assert [endpoints.control.clear(id), endpoints.control.clear(id)] == [True, False]


def test_a_fault_is_cleared_when_the_block_fails(endpoints):
    with pytest.raises(KeyboardInterrupt), endpoints.control.injected(Fault(EAST, "error")):
        raise KeyboardInterrupt

    assert endpoints.control.faults() == ()


def test_the_client_reports_why_a_fault_is_refused(endpoints):
    with pytest.raises(OpsError, match="kind: expected one of") as failure:
        endpoints.control.inject(Fault(EAST, "explode"))

    assert failure.value.exit_code == ExitCode.USAGE


def test_client_reports_that_there_is_no_sandbox():
    with pytest.raises(OpsError, match="does not respond") as failure:
        FaultInjection("http://127.0.0.1:9").faults()

    assert failure.value.exit_code == ExitCode.PREREQUISITE


def test_the_caller_chooses_the_id_and_repeats_the_request(endpoints):
    fault = Fault(EAST, "error", share=0.5)

    assert endpoints.control.inject(fault, id="drill-1") == "drill-1"
    [first] = endpoints.control.faults()
    again, listed = call(endpoints, "POST", "/faults", {"id": "drill-1", **fault.to_json()})

    assert (again, listed) == (200, first.to_json())
    assert endpoints.control.faults() == (first,)
    assert endpoints.control.clear("drill-1")


def test_an_id_belongs_to_one_fault(endpoints):
    endpoints.control.inject(Fault(EAST, "error"), id="drill-1")

    with pytest.raises(OpsError, match="drill-1 is the fault error 503 of us-east-1"):
        endpoints.control.inject(Fault(EAST, "error", status=500), id="drill-1")

    assert [each.fault.status for each in endpoints.control.faults()] == [503]


def test_faults_of_a_table_are_forwarded_to_the_local_aws(endpoints, upstream):
    id = endpoints.control.inject(Fault(EAST, "table", error="ThrottlingException"))
    endpoints.control.inject(Fault(EAST, "table", error="replication"), id="r")
    for each in endpoints.control.faults():
        assert endpoints.control.clear(each.id)

    lines = [request.partition(b" HTTP")[0].decode() for request in upstream.requests]
    bodies = [json.loads(request.partition(b"\r\n\r\n")[2]) for request in upstream.requests[:2]]
    assert lines == [
        "POST /_local/faults", "POST /_local/faults",
        f"DELETE /_local/faults/{id}", "DELETE /_local/faults/r",
    ]  # fmt: skip
    assert [InjectedFault.from_json(body).fault for body in bodies] == [
        Fault(EAST, "table", error="ThrottlingException"),
        Fault(EAST, "table", error="replication"),
    ]  # fmt: skip
    assert endpoints.control.faults() == ()
    assert endpoints.get().status == 200


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(EAST, "replication_paused", target=WEST), f"replication paused to {WEST}"),
        (Fault(EAST, "replication_paused"), "replication paused"),
        (Fault(EAST, "partition"), "partition"),
    ],
)
def test_pauses_of_replication_are_forwarded_to_the_local_aws(endpoints, upstream, fault, words):
    id = endpoints.control.inject(fault)
    [injected] = endpoints.control.faults()
    assert endpoints.control.clear(id)

    lines = [request.partition(b" HTTP")[0].decode() for request in upstream.requests]
    body = json.loads(upstream.requests[0].partition(b"\r\n\r\n")[2])
    assert lines == ["POST /_local/faults", f"DELETE /_local/faults/{id}"]
    assert InjectedFault.from_json(body).fault == injected.fault == fault
    assert str(fault) == words
    assert endpoints.get().status == 200


def test_what_is_pending_is_what_the_local_aws_says(endpoints, upstream):
    direction = Direction(EAST, WEST, writes=3, oldest_seconds=1.5, paused=True)
    body = json.dumps({"directions": [asdict(direction)]}).encode()
    upstream.reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    assert endpoints.control.replication() == (direction,)
    assert upstream.last.startswith(b"GET /_local/replication HTTP")


def test_quotas_of_a_region_are_shown_and_changed_by_the_local_aws(endpoints, upstream):
    body = json.dumps({EAST: {"running": 0}}).encode()
    upstream.reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    limits = {"lambda_concurrency": 10}

    assert call(endpoints, "GET", "/capacity") == (200, {EAST: {"running": 0}})
    assert upstream.last.startswith(b"GET /_local/capacity HTTP")
    assert call(endpoints, "PUT", f"/capacity/{EAST}", limits)[0] == 200
    assert upstream.last.startswith(b"PUT /_local/capacity/us-east-1 HTTP")
    assert json.loads(upstream.last.partition(b"\r\n\r\n")[2]) == limits


@pytest.mark.parametrize(
    ("path", "limits", "refused"),
    [
        ("/capacity/us-west-9", {}, (404, "no PUT /capacity/us-west-9")),
        (f"/capacity/{EAST}", {"lambda": 1}, (400, "lambda: unknown; there are lambda_concurren")),
        (f"/capacity/{EAST}", {"api_burst": -1}, (400, "api_burst: got -1; a whole number of 0")),
        (f"/capacity/{EAST}", [1], (400, "got [1]; an object of lambda_concurrency")),
    ],
)
def test_quotas_that_cannot_be_are_refused_with_what_is_allowed(
    endpoints, upstream, path, limits, refused
):
    status, found = call(endpoints, "PUT", path, limits)

    assert (status, found["message"][: len(refused[1])]) == refused
    assert upstream.requests == []


def test_what_no_fault_holds_back_is_waited_for(endpoints, upstream):
    def pending(writes, paused):
        direction = Direction(EAST, WEST, writes, float(writes), paused)
        body = json.dumps({"directions": [asdict(direction)]}).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    upstream.reply = pending(1, paused=False)
    assert not endpoints.control.await_replication(0.0)
    upstream.reply = pending(1, paused=True)
    assert endpoints.control.await_replication(0.0)
    upstream.reply = pending(1, paused=False)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(endpoints.control.await_replication, 60.0)
        while len(upstream.requests) < 5:
            assert not waiting.done()
        upstream.reply = pending(0, paused=False)
        assert waiting.result()


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops", "status 500: oops"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "does not list what has not been"),
    ],
)
def test_without_an_answer_of_the_local_aws_nothing_is_said_of_what_is_pending(
    endpoints, upstream, reply, problem
):
    upstream.reply = reply

    with pytest.raises(OpsError, match=problem):
        endpoints.control.replication()


def test_a_fault_that_the_local_aws_refuses_is_not_injected(endpoints, upstream):
    upstream.reply = b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops"

    with pytest.raises(OpsError, match="does not inject it: status 500: oops"):
        endpoints.control.inject(Fault(EAST, "table", error="timeout"))

    assert endpoints.control.faults() == ()


def test_a_fault_that_the_local_aws_does_not_clear_stays_listed(endpoints, upstream):
    endpoints.control.inject(Fault(EAST, "table", error="timeout"), id="t")
    endpoints.control.inject(Fault(EAST, "refuse"), id="r")
    ok, upstream.reply = upstream.reply, b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"

    with pytest.raises(OpsError, match="t is not cleared: the local AWS"):
        endpoints.control.clear("t")

    assert {each.id for each in endpoints.control.faults()} == {"r", "t"}
    upstream.reply = ok
    assert endpoints.control.clear("t")


def test_writes_of_a_region_that_is_lost_for_good_are_discarded_in_the_local_aws(
    endpoints, upstream
):
    upstream.reply = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"discarded":3}'

    assert endpoints.control.discard(EAST) == 3
    assert upstream.last.startswith(f"DELETE /_local/replication/{EAST} HTTP".encode())
    with pytest.raises(OpsError, match="no DELETE /replication/us-west-9"):
        endpoints.control.discard("us-west-9")


def test_the_speed_of_replication_is_changed_in_the_local_aws(endpoints, upstream):
    upstream.reply = b'HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{"speed":2.5}'

    endpoints.control.set_replication_speed(2.5)

    assert upstream.last.startswith(b"PUT /_local/replication HTTP")
    assert upstream.last.endswith(b'{"speed": 2.5}')
    for speed in (0, -1, "fast", None, True):
        status, answer = call(endpoints, "PUT", "/replication", {"speed": speed})
        assert status == 400
        assert "speed: expected more than 0" in answer["message"]
