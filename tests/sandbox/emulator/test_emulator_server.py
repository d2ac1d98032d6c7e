"""The server as a program: how it starts, refuses to start, and what it leaves behind."""

import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_after_a_function_ran(emulator, tmp_path, monkeypatch, number):
    # GIVEN a server whose temporary files can be seen, and a function that ran on it
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process = emulator.start()
    aws = emulator.serving(process)
    function = aws.echo_function("us-east-1")
    aws.client("lambda").invoke(FunctionName=function, Payload=b'{"headers": {}}')
    workers = children_of(process.pid)
    assert workers
    assert list(tmp_path.iterdir())

    # WHEN it is ended
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)

    # THEN it ended well, with its workers and its files
    assert (process.returncode, errors) == (0, "")
    assert [pid for pid in workers if is_running(pid)] == []
    assert list(tmp_path.iterdir()) == []


def test_an_idle_connection_does_not_keep_the_server(emulator):
    process = emulator.start()
    aws = emulator.serving(process)

    with requests.Session() as session:
        session.get(f"{aws.url}/_ministack/ready", timeout=20)
        # It would be kept for an hour; `end` waits for seconds.
        assert emulator.end(process) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the socket's option")
def test_an_answer_comes_whole(patched):
    """A body that comes after its head is lost to the provider on a busy machine: see server.py."""
    address = urlsplit(patched.url)
    query = b"Action=GetCallerIdentity&Version=2011-06-15"
    request = (
        b"POST / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n"
        b"Content-Type: application/x-www-form-urlencoded\r\n"
        b"Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sts/aws4_request\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (address.port, len(query), query)
    )
    for _ in range(50):
        with socket.create_connection((address.hostname, address.port)) as connection:
            connection.sendall(request)
            first = connection.recv(4096)

        assert first.startswith(b"HTTP/1.1 200 ")
        assert first.endswith(b"</GetCallerIdentityResponse>"), first[-200:]


def test_port_taken_is_one_line_and_exit_code_3(emulator, patched, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    port = patched.url.rsplit(":", 1)[1]

    second = emulator.start(port=int(port))
    output, errors = second.communicate(timeout=30)

    assert second.returncode == 3
    assert output == ""
    assert errors.count("\n") == 1
    assert f"127.0.0.1:{port}" in errors
    assert list(tmp_path.iterdir()) == []


def test_another_version_of_ministack_is_refused(emulator):
    program = (
        "from sandbox.emulator import patches, server; patches.MINISTACK_VERSION = '9.9.9'; "
        "raise SystemExit(server.main(['--port', '0']))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=emulator.REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert "9.9.9" in done.stderr
    assert "installed is 1." in done.stderr


@pytest.mark.parametrize("port", ["none", "70000", "-1"])
def test_an_invalid_port_is_a_usage_error(emulator, port):
    done = subprocess.run(
        [sys.executable, "-m", "sandbox.emulator", "--port", port],
        cwd=emulator.REPOSITORY,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 2
    assert port in done.stderr


def test_server_takes_nothing_from_the_callers_aws_configuration(emulator, monkeypatch):
    with monkeypatch.context() as callers:
        for name in ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION"):
            callers.setenv(name, "of-the-caller")
        callers.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        callers.setenv("AUTH", "true")
        process = emulator.start()
    try:
        aws = emulator.serving(process)

        caller = aws.client("sts").get_caller_identity()
    finally:
        emulator.end(process)

    assert caller["Account"] == "000000000000"


def test_iam_enforced_server_evaluates_policies(emulator):
    process = emulator.start("--iam-enforced")
    try:
        aws = emulator.serving(process)
        aws.client("iam").create_user(UserName="reader")
        key = aws.client("iam").create_access_key(UserName="reader")["AccessKey"]
        reader = emulator.boto3.client(
            "dynamodb",
            region_name="us-east-1",
            endpoint_url=aws.url,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
        )

        with pytest.raises(reader.exceptions.ClientError, match="AccessDenied"):
            reader.list_tables()
    finally:
        emulator.end(process)


def children_of(pid: int) -> list[int]:
    shown = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    ).stdout
    return [int(each) for each in shown.split()]


def is_running(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rsplit(")", 1)[1].split()[0] != "Z"
