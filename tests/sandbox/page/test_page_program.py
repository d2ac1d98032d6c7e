"""The page as a program of the sandbox: its port, its record, and when it is not running."""

import json
import socket
import webbrowser
from dataclasses import asdict

import pytest

from ops.errors import OpsError
from ops.processes import Program
from sandbox import __main__ as cli
from sandbox.programs import check_free
from sandbox.workspace import Ports, Sandbox, Workspace

pytestmark = pytest.mark.unit


def test_a_note_of_an_older_version_is_read(tmp_path):
    ports = {name: port for name, port in asdict(Ports()).items() if name != "page"}
    note = {"ports": ports, "speed": 10.0, "programs": {"aws": {"pid": 1, "started_at": 0.0}}}
    (tmp_path / "sandbox.json").write_text(json.dumps(note))

    sandbox = Workspace(tmp_path).noted()

    assert sandbox.ports == Ports()
    assert sandbox.page_url == ""


def test_a_page_that_has_ended_has_no_url():
    assert Sandbox(Ports(), 1.0, {"page": Program(99_999_999, 0.0)}).page_url == ""


def test_a_taken_page_port_names_the_options_that_take_another():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OpsError) as refused:
            check_free("page", port)

    assert f"--open --page-port {port + 100}" in refused.value.next_step


@pytest.fixture
def browser(monkeypatch):
    shown = []
    for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cli.sys, "platform", "linux")
    monkeypatch.setattr(webbrowser, "open", lambda url: shown.append(url) or True)
    return shown


def test_without_a_screen_no_browser_is_opened(browser):
    cli._show("http://127.0.0.1:8445/")

    assert browser == []


@pytest.mark.parametrize("name", ["BROWSER", "DISPLAY", "WAYLAND_DISPLAY"])
def test_with_a_screen_the_browser_is_opened(browser, monkeypatch, name):
    monkeypatch.setenv(name, ":0")

    cli._show("http://127.0.0.1:8445/")

    assert browser == ["http://127.0.0.1:8445/"]


@pytest.mark.parametrize("error", [webbrowser.Error("none"), OSError("none")])
def test_a_browser_that_cannot_be_opened_is_not_an_error(browser, monkeypatch, error):
    def fail(url):
        raise error

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", fail)

    cli._show("http://127.0.0.1:8445/")
