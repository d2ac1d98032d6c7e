"""What a client sends arrives, and what the local AWS answers comes back, byte for byte."""

import pytest

pytestmark = pytest.mark.unit

DOMAIN = "weather.example.com"


def lines(raw: bytes) -> list[bytes]:
    return raw.partition(b"\r\n\r\n")[0].split(b"\r\n")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"])
def test_method_and_body_arrive(endpoints, upstream, method):
    body = bytes(range(256))

    answer = endpoints.send(
        f"{method} /v1/x HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: 256\r\n\r\n".encode() + body
    )

    assert (answer.status, answer.body) == (200, b"fine")
    assert lines(upstream.last)[0] == f"{method} /v1/x HTTP/1.1".encode()
    assert upstream.last.endswith(b"\r\n\r\n" + body)


@pytest.mark.parametrize(
    "target",
    [
        "/v1/a%2Fb",
        "/v1/a%2fb/%7Euser/~user",
        "/v1/%C3%A9t%c3%a9?q=%20+%2B&empty=&flag",
        "/v1//double//slashes/",
        "/v1/../up/./here/%2e%2e",
        "/v1/x?",
        "/v1/x??a=b?c",
        "/v1/%zz%",
        '/v1/[brackets]|{pipes}^`"<>\\',
        "/v1/a;b=c,d@e:f!$'()*",
        "/v1/x#fragment",
        "*",
    ],
)
def test_target_arrives_as_sent(endpoints, upstream, target):
    answer = endpoints.get(target)

    assert answer.status == 200
    assert lines(upstream.last)[0] == f"GET {target} HTTP/1.1".encode()


def test_headers_arrive_in_order_and_case_with_repetitions(endpoints, upstream):
    endpoints.send(
        f"GET /v1/x HTTP/1.1\r\nhOsT: {DOMAIN}\r\nX-Api-Key: Secret\r\nx-twice: 1\r\n"
        "X-TWICE: 2\r\nAccept-Encoding: gzip\r\nX-Empty:\r\n\r\n".encode()
    )

    assert lines(upstream.last)[1:] == [
        b"hOsT: weather.example.com",
        b"X-Api-Key: Secret",
        b"x-twice: 1",
        b"X-TWICE: 2",
        b"Accept-Encoding: gzip",
        b"X-Empty: ",
        b"X-Amz-Local-Region: us-east-1",
    ]


def test_hop_by_hop_headers_stay_behind(endpoints, upstream):
    endpoints.send(
        f"GET /v1/x HTTP/1.1\r\nHost: {DOMAIN}\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\n"
        "TE: trailers\r\nKeep-Alive: timeout=5\r\nX-Other: 2\r\n\r\n".encode()
    )

    names = [line.partition(b":")[0] for line in lines(upstream.last)[1:]]
    assert names == [b"Host", b"X-Other", b"X-Amz-Local-Region"]


def test_port_of_the_host_stays_behind(endpoints, upstream):
    endpoints.send(f"GET /v1/x HTTP/1.1\r\nHost: {DOMAIN}:{endpoints.port}\r\n\r\n".encode())

    assert lines(upstream.last)[1] == f"Host: {DOMAIN}".encode()


@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_the_address_decides_the_region_and_the_client_cannot(endpoints, upstream, region):
    endpoints.send(
        f"GET /v1/x HTTP/1.1\r\nHost: {DOMAIN}\r\nx-amz-local-region: mars-1\r\n\r\n".encode(),
        region,
    )

    assert lines(upstream.last)[2:] == [f"X-Amz-Local-Region: {region}".encode()]


def test_chunked_body_arrives_with_its_length(endpoints, upstream):
    endpoints.send(
        f"POST /v1/x HTTP/1.1\r\nHost: {DOMAIN}\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n".encode()
    )

    assert b"\r\nContent-Length: 7\r\n" in upstream.last
    assert b"chunked" not in upstream.last
    assert upstream.last.endswith(b"\r\n\r\nabcdefg")


def test_client_that_waits_for_100_continue_gets_it(endpoints, upstream):
    connection = endpoints.connect()
    connection.sendall(
        f"POST /v1/x HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: 2\r\n"
        "Expect: 100-continue\r\n\r\n".encode()
    )
    interim = connection.recv(1000)
    connection.sendall(b"hi")
    final = connection.recv(1000)
    connection.close()

    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert final.startswith(b"HTTP/1.1 200 OK")
    assert upstream.last.endswith(b"\r\n\r\nhi")


def test_answer_comes_back_as_given(endpoints, upstream):
    upstream.reply = (
        b"HTTP/1.1 418 I'm a teapot\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\n"
        b"X-Amzn-RequestId: 7\r\nConnection: keep-alive\r\n"
        b"Keep-Alive: timeout=5\r\nContent-Length: 3\r\n\r\n\x00\xff\n"
    )

    answer = endpoints.get()

    assert answer.head.split(b"\r\n")[0] == b"HTTP/1.1 418 I'm a teapot"
    assert answer.headers == [
        b"Set-Cookie: a=1",
        b"set-cookie: b=2",
        b"X-Amzn-RequestId: 7",
        b"Content-Length: 3",
    ]
    assert answer.body == b"\x00\xff\n"


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nfi\r\n2\r\nne\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nfine",
    ],
)
def test_answer_of_unknown_length_comes_back_with_its_length(endpoints, upstream, reply):
    upstream.reply = reply

    answer = endpoints.get()

    assert answer.body == b"fine"
    assert b"Content-Length: 4" in answer.headers


def test_answer_to_head_has_headers_only(endpoints, upstream, over):
    connection = endpoints.connect()
    head = f"HEAD /v1/x HTTP/1.1\r\nHost: {DOMAIN}\r\n\r\n".encode()

    answers = [over(connection, head), over(connection, head)]
    connection.close()

    assert [(each.status, each.body) for each in answers] == [(200, b"")] * 2
    assert b"Content-Length: 4" in answers[0].headers


def test_answer_without_content_gets_no_length(endpoints, upstream):
    upstream.reply = b"HTTP/1.1 204 No Content\r\n\r\n"

    assert endpoints.get().headers == []


def test_large_bodies_pass_and_larger_ones_get_413(endpoints, upstream):
    limit = 10 * 1024 * 1024

    def post(size: int):
        head = f"POST /v1/x HTTP/1.1\r\nHost: {DOMAIN}\r\nContent-Length: {size}\r\n\r\n"
        return endpoints.send(head.encode() + b"x" * size)

    assert post(limit).status == 200
    assert upstream.last.endswith(b"x" * limit)
    upstream.requests.clear()
    assert post(limit + 1).status == 413
    assert upstream.requests == []


def test_a_client_keeps_its_connection(endpoints):
    assert endpoints.statuses(20) == [200] * 20


def test_malformed_request_gets_400(endpoints, upstream):
    answer = endpoints.send(b"GET /v1/x HTTP/1.1\r\nHost: a\r\nHost: b\r\nno colon\r\n\r\n")

    assert answer.status == 400
    assert upstream.requests == []


@pytest.mark.parametrize(
    "host",
    [
        "abc123.execute-api.us-east-1.amazonaws.com",
        "ABC123.execute-api.us-east-1.amazonaws.com",
        "weather.example.com.execute-api.us-east-1.amazonaws.com",
        DOMAIN,
    ],
)
def test_hosts_of_the_region_are_served(endpoints, host):
    assert endpoints.get(host=host).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "def456.execute-api.eu-west-1.amazonaws.com",
        "zzz999.execute-api.us-east-1.amazonaws.com",
        "other.example.com",
        "127.0.1.1",
        "",
    ],
)
def test_other_hosts_get_403_as_from_the_regional_endpoint(endpoints, upstream, host):
    answer = endpoints.get(host=host)

    assert answer.status == 403
    assert answer.body == b'{"message": "Forbidden"}'
    assert b"x-amzn-ErrorType: ForbiddenException" in answer.headers
    assert upstream.requests == []


def test_local_aws_that_does_not_answer_is_named(endpoints, upstream):
    upstream.reply = b"not HTTP\r\n\r\n"

    answer = endpoints.get()

    assert answer.status == 502
    assert f"the local AWS at http://127.0.0.1:{upstream.port} does not respond" in answer.message
