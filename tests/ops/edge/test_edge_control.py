"""The control API and its client."""

import json

import pytest
import urllib3

from ops.edge.control import EdgeControl
from ops.edge.faults import Fault
from ops.errors import ExitCode, OpsError

pytestmark = pytest.mark.unit

EAST = "us-east-1"


def call(edges, method, path, body=None, content_type="application/json"):
    response = urllib3.request(
        method,
        edges.control.url + path,
        body=body if body is None or isinstance(body, (str, bytes)) else json.dumps(body),
        headers={"Content-Type": content_type},
        retries=False,
    )
    return response.status, response.json()


def test_fault_goes_in_is_listed_and_comes_out(edges):
    given = {"region": EAST, "kind": "error", "path": "/v1", "share": 0.5, "status": 502, "seed": 9}

    created, fault = call(edges, "POST", "/faults", given)
    _, listed = call(edges, "GET", "/faults")
    mended, gone = call(edges, "DELETE", f"/faults/{fault['id']}")

    assert (created, mended) == (201, 200)
    assert fault.keys() == {
        "id", "since", "region", "kind", "path", "share", "status", "delay_seconds", "seed"
    }  # fmt: skip
    assert fault == {**fault, **given, "delay_seconds": None}
    assert fault["since"].endswith("+00:00")
    assert listed == gone == {"faults": [fault]}
    assert call(edges, "GET", "/faults") == (200, {"faults": []})


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        ([], "expected an object with region and kind, got []"),
        ({}, "region: expected one of us-east-1, eu-west-1, got None"),
        ({}, "kind: expected one of refuse, black_hole, error, slow, got None"),
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
        ({"kind": "refuse", "path": "/v1"}, "path: refuse breaks connections"),
        ({"kind": "refuse", "share": 0.5}, "share: refuse breaks every connection"),
        ({"kind": "black_hole", "path": "/v1"}, "path: black_hole breaks connections"),
        ({"kind": "black_hole", "color": 1}, "color: unknown; allowed are region, kind, path"),
    ],
)
def test_what_cannot_be_injected_is_refused_in_words(edges, fault, problem):
    body = {"region": EAST, **fault} if isinstance(fault, dict) and fault else fault

    status, answer = call(edges, "POST", "/faults", body)

    assert status == 400
    assert problem in answer["message"]
    assert edges.control.faults() == ()


def test_every_problem_is_named_at_once(edges):
    _, answer = call(edges, "POST", "/faults", {"region": "x", "kind": "error", "share": 2})

    assert answer["message"].count(";") == 1


def test_body_that_is_not_json_is_refused(edges):
    status, answer = call(edges, "POST", "/faults", "{")

    assert status == 400
    assert answer["message"].startswith("the body is not JSON")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_web_page_cannot_inject(edges, content_type):
    fault = {"region": EAST, "kind": "refuse"}

    status, _ = call(edges, "POST", "/faults", fault, content_type)

    assert status == 415
    assert edges.control.faults() == ()


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("PUT", "/faults"), ("POST", "/ready"), ("GET", "/faults/x"), ("GET", "/x/y/z")],
)
def test_unknown_places_say_what_there_is(edges, method, path):
    status, answer = call(edges, method, path)

    assert status == 404
    assert "POST /faults" in answer["message"]


def test_ready_says_where_the_regions_stand(edges):
    status, answer = call(edges, "GET", "/ready")

    assert status == 200
    assert answer == {
        "ready": True,
        "regions": {
            "us-east-1": f"https://127.0.1.1:{edges.port}",
            "eu-west-1": f"https://127.0.1.2:{edges.port}",
        },
    }
    assert edges.control.wait_until_ready() == edges.control.regions() == answer["regions"]


def test_requests_are_counted(edges):
    before = edges.control.requests()[EAST]
    edges.get()
    edges.get(host="other.example.com")
    with edges.control.broken(Fault(EAST, "error", status=500)):
        edges.statuses(3)
    with edges.control.broken(Fault(EAST, "slow", delay_seconds=0.01)):
        edges.get()
    with edges.connect(), edges.control.broken(Fault(EAST, "refuse")):
        pass

    after = edges.control.requests()[EAST]

    def more(kind, key):
        return getattr(after, kind).get(key, 0) - getattr(before, kind).get(key, 0)

    assert after.requests - before.requests == 6
    assert after.connections - before.connections == 5
    assert [more("answered", status) for status in (200, 403, 500)] == [2, 1, 3]
    assert [more("faults", kind) for kind in ("error", "slow", "refuse")] == [3, 1, 1]


def test_mend_all_gives_what_was_injected(edges):
    ids = [edges.control.inject(Fault(EAST, "error")), edges.control.inject(Fault(EAST, "refuse"))]

    assert [each.id for each in edges.control.mend_all()] == ids

    assert edges.control.faults() == ()
    assert edges.get().status == 200


def test_mending_twice_is_no_fault(edges):
    id = edges.control.inject(Fault(EAST, "error"))

    assert [edges.control.mend(id), edges.control.mend(id)] == [True, False]


def test_broken_mends_when_the_block_fails(edges):
    with pytest.raises(KeyboardInterrupt), edges.control.broken(Fault(EAST, "error")):
        raise KeyboardInterrupt

    assert edges.control.faults() == ()


def test_client_says_why_a_fault_is_refused(edges):
    with pytest.raises(OpsError, match="kind: expected one of") as failure:
        edges.control.inject(Fault(EAST, "explode"))

    assert failure.value.exit_code == ExitCode.USAGE


def test_client_says_that_no_edges_answer():
    with pytest.raises(OpsError, match="do not answer") as failure:
        EdgeControl("http://127.0.0.1:9").wait_until_ready(0.1)

    assert failure.value.exit_code == ExitCode.SURROUNDINGS
