"""The program: how it starts, refuses to start, and ends."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ops.errors import OpsError
from ops.fault_injection import Fault, FaultInjection
from sandbox.listener import listen

pytestmark = pytest.mark.e2e

REPOSITORY = Path(__file__).resolve().parents[3]


def start(config: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable,
            "-W",
            "default",
            "-m",
            "sandbox.region_endpoints",
            "--config",
            str(config),
        ],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def file(tmp_path, endpoint_config, upstream):
    def write(**changes):
        path = tmp_path / "endpoints.json"
        changes = {"endpoints_file": tmp_path / "endpoints.json"} | changes
        path.write_text(endpoint_config(tmp_path, upstream.port, **changes).to_json())
        return path

    return write


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_cleanly_whatever_is_open_or_broken(file, tmp_path, number):
    process = start(file())
    try:
        line = process.stdout.readline()
        control = FaultInjection(line.split()[-1])
        east, west = (url.removeprefix("https://") for url in re.findall(r"https://[\d.:]+", line))
        written = json.loads((tmp_path / "endpoints.json").read_text())
        address, port = east.split(":")
        idle = socket.create_connection((address, int(port)), timeout=2)
        control.inject(Fault("us-east-1", "black_hole"))
        swallowed = socket.create_connection((address, int(port)), timeout=2)
        control.inject(Fault("eu-west-1", "refuse"))
    finally:
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)

    assert line.startswith(
        f"Region endpoints: us-east-1 https://{east}, eu-west-1 https://{west}, faults "
    )
    assert written["*.execute-api.us-east-1.amazonaws.com"]["port"] == int(port)
    # -W default: no socket, task or transport is left for the garbage collector.
    assert (process.returncode, errors) == (0, "")
    for connection in (idle, swallowed):
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        connection.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address, int(port)), timeout=2)


@pytest.mark.parametrize("taken", ["127.0.1.1", "127.0.1.2", "127.0.0.1"])
def test_port_taken_is_one_line_and_exit_code_3(file, taken):
    with socket.create_server((taken, 0)) as other:
        port = other.getsockname()[1]
        process = start(file(**({"faults_port": port} if taken == "127.0.0.1" else {"port": port})))
        output, errors = process.communicate(timeout=30)

    assert process.returncode == 3
    assert output == ""
    assert errors == (
        f"Region endpoints: {taken}:{port} cannot be used: Address already in use; "
        "next: end the program that listens there, or choose another port\n"
    )


@pytest.mark.parametrize(
    ("platform", "command"),
    [
        ("darwin", "sudo ifconfig lo0 alias 192.0.2.1"),
        ("linux", "sudo ip address add 192.0.2.1/8 dev lo"),
    ],
)
def test_address_that_the_machine_has_not_comes_with_the_command(monkeypatch, platform, command):
    # 192.0.2.0/24 is for documentation: no machine has it.
    monkeypatch.setattr(sys, "platform", platform)

    with pytest.raises(OpsError) as failure:
        listen("192.0.2.1", 8443)

    assert "192.0.2.1:8443 cannot be used" in str(failure.value)
    assert failure.value.next_step == f"give this machine the address: {command}"


def test_an_invalid_configuration_is_one_line_and_exit_code_2(tmp_path):
    path = tmp_path / "endpoints.json"
    path.write_text("{}")
    process = start(path)
    _, errors = process.communicate(timeout=30)

    assert process.returncode == 2
    assert errors.count("\n") == 1
    assert str(path) in errors


def test_folder_that_cannot_be_written_is_one_line_and_exit_code_3(file, tmp_path):
    (tmp_path / "blocked").write_text("")
    process = start(file(certificates=tmp_path / "blocked"))
    _, errors = process.communicate(timeout=30)

    assert process.returncode == 3
    assert errors.count("\n") == 1
    assert "blocked" in errors
