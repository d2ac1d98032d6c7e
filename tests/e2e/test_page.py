"""The live page as a person meets it: in a browser, with the buttons that break and mend a Region.

`FAILOVER_WRITE_DOCS=1` makes docs/live-page.png anew.
"""

import base64
import os
import re
import subprocess
import time
from contextlib import contextmanager

import pytest
import urllib3
from repository_files import REPOSITORY
from rings import CHROMEDRIVER, CHROMIUM, require_chromium

from ops import stand
from ops.edge.control import EdgeControl
from ops.edge.faults import Fault
from ops.processes import Program
from ops.stand import Ports, Stand, Workspace

pytestmark = pytest.mark.e2e

PATIENCE_SECONDS = 60
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
WRITES_DOCS = os.environ.get("FAILOVER_WRITE_DOCS") == "1"


class Browser:
    """Headless Chromium, driven as the W3C's WebDriver has it.

    Source: https://www.w3.org/TR/webdriver2/
    """

    def __init__(self, driver_url, profile):
        self._http = urllib3.PoolManager(retries=False, timeout=60)
        self._url = f"{driver_url}/session"
        options = {
            "binary": CHROMIUM,
            "args": [
                "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                "--hide-scrollbars", f"--user-data-dir={profile}",
            ],
        }  # fmt: skip
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self._call("POST", "", {"capabilities": {"alwaysMatch": wanted}})
        self._url += f"/{session['sessionId']}"

    def open(self, url, width=1200, height=800):
        """Opens a page that has so much room."""
        self._call("POST", "/window/rect", {"width": width, "height": height})
        inner = self.run("return [innerWidth, innerHeight]")
        frame = {"width": 2 * width - inner[0], "height": 2 * height - inner[1]}
        self._call("POST", "/window/rect", frame)
        self._call("POST", "/url", {"url": url})

    @contextmanager
    def phone(self, width, height=800):
        """Shows the page as a phone does; a window cannot be so narrow."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": True}
        self._emulate("setDeviceMetricsOverride", metrics)
        try:
            yield
        finally:
            self._emulate("clearDeviceMetricsOverride", {})

    def run(self, script, *arguments):
        return self._call("POST", "/execute/sync", {"script": script, "args": arguments})

    def click(self, css):
        """Clicks like a mouse: what is hidden or covered cannot be clicked."""
        found = self._call("POST", "/element", {"using": "css selector", "value": css})
        self._call("POST", f"/element/{found[ELEMENT]}/click", {})

    def press(self, key):
        keys = [{"type": kind, "value": key} for kind in ("keyDown", "keyUp")]
        self._call(
            "POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": keys}]}
        )

    def text(self, css):
        """Text as it is seen; empty where there is none."""
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", css)

    def shows(self, css):
        return self.run("return document.querySelector(arguments[0]).checkVisibility()", css)

    def wait_for(self, css, text):
        wait_until(lambda: text in self.text(css), f"{css} shows {text!r}", self.seen)

    def seen(self):
        return self.text("body")

    def picture(self):
        return base64.b64decode(self._call("GET", "/screenshot"))

    def complaints(self):
        """What the console shows in red: scripts that fail, what the policy forbids."""
        log = self._call("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in log if entry["level"] == "SEVERE"]

    def close(self):
        self._call("DELETE", "")
        self._http.clear()

    def _emulate(self, command, values):
        command = {"cmd": f"Emulation.{command}", "params": values}
        self._call("POST", "/goog/cdp/execute", command)

    def _call(self, method, path, body=None):
        answer = self._http.request(method, self._url + path, json=body)
        value = answer.json()["value"]
        assert answer.status == 200, value
        return value


def wait_until(condition, what, seen=lambda: ""):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE_SECONDS} s: {what}\n{seen()}"
        time.sleep(0.1)


@contextmanager
def driver():
    with subprocess.Popen([CHROMEDRIVER, "--port=0"], stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = next(
                filter(None, (re.search(r"successfully on port (\d+)", s) for s in process.stdout))
            )
            yield f"http://127.0.0.1:{ready[1]}"
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    require_chromium()
    with driver() as url:
        browser = Browser(url, tmp_path_factory.mktemp("profile"))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def opened(api, ops):
    """`up --open` of an API that runs, and the URL that it tells."""
    ran = api.workspace.noted().programs["edge"]
    # A browser that shows nothing, wherever this runs.
    up = ops("local", "up", "--open", "--folder", str(api.workspace.folder), BROWSER="true")
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        # What ran before runs on.
        assert api.workspace.noted().programs["edge"] == ran
        yield up.stdout, re.search(r"mend it: (\S+)", up.stdout)[1]
    finally:
        page = api.workspace.noted().programs["page"]
        page.stop()
    # The page mends what it has broken, and nothing is to meet what a test has left.
    edge = EdgeControl(api.local.stand.control_url)
    assert edge.mend_all() == ()
    names, network = api.local.outputs, api.local.network
    home = network.hosts[names["domain_targets"][names["regions"][0]]][0]
    wait_until(lambda: home in network.resolve(names["record_name"]).addresses, "back")


def region(name, part):
    return f"[data-region='{name}'] {part}"


def test_up_open_adds_the_page_to_an_api_that_runs(api, ops, opened):
    output, url = opened

    assert "The local API runs already" in output
    assert "Applying" not in output
    status = ops("local", "status", "--folder", str(api.workspace.folder))
    assert url in status.stdout


def test_a_region_is_broken_with_the_button_the_other_one_serves_and_it_is_mended(
    api, opened, browser, tmp_path
):
    primary, standby = api.local.outputs["regions"]

    # GIVEN a page that shows the primary serving
    browser.open(opened[1])
    browser.wait_for(region(primary, ".duty"), "serving")
    browser.wait_for("#story", f"{primary} serves all customers")
    browser.wait_for("#leads", primary)
    assert browser.text(region(primary, ".role")).startswith("primary")
    assert "unhealthy" not in browser.text("#regions")
    if WRITES_DOCS:
        time.sleep(45)

    # WHEN its button is pressed
    browser.click(region(primary, ".break"))

    # THEN customers see errors, DNS leads away, and the standby serves
    browser.wait_for("#log", f"{primary} is broken: it refuses connections")
    browser.wait_for(region(standby, ".duty"), "serving")
    browser.wait_for("#leads", standby)
    browser.wait_for("#story", f"Failed over: {standby} serves")
    browser.wait_for(region(primary, ".checks"), "unhealthy")
    assert browser.text(region(primary, ".duty")) == "broken"
    for told in ("Customers get errors", f"DNS answers {standby} now", f"{standby} serves"):
        assert told in browser.text("#log")
    assert re.search(r"\d+ requests? failed", browser.text("#lost"))
    assert float(browser.text("#outage").removesuffix(" s")) > 0
    if WRITES_DOCS:
        time.sleep(9)
    picture = REPOSITORY / "docs" / "live-page.png" if WRITES_DOCS else tmp_path / "live-page.png"
    picture.write_bytes(browser.picture())

    # AND once it is mended, it serves again
    browser.click(region(primary, ".mend"))
    browser.wait_for("#log", f"{primary} is mended")
    browser.wait_for(region(primary, ".duty"), "serving")
    browser.wait_for("#story", f"{primary} serves all customers")
    browser.wait_for("#leads", primary)
    assert browser.complaints() == []


def test_the_buttons_work_without_a_mouse_and_hand_on_the_focus(api, opened, browser):
    _, standby = api.local.outputs["regions"]
    browser.open(opened[1])
    browser.wait_for("#story", "serves all customers")

    browser.run("document.querySelector(arguments[0]).focus()", region(standby, ".break"))
    browser.press(" ")
    browser.wait_for(region(standby, ".duty"), "broken")
    assert browser.run("return document.activeElement.textContent") == f"Mend {standby}"
    browser.wait_for("#story", f"{standby} could not take over")

    browser.press(" ")
    browser.wait_for(region(standby, ".duty"), "standing by")


def test_what_another_program_broke_is_shown_and_not_mended(api, opened, browser):
    _, standby = api.local.outputs["regions"]
    browser.open(opened[1])

    with EdgeControl(api.local.stand.control_url).broken(Fault(standby, "error")):
        browser.wait_for(region(standby, ".fault"), "Another program broke it")
        assert not browser.shows(region(standby, ".mend"))
        assert not browser.shows(region(standby, ".break"))
    browser.wait_for(region(standby, ".duty"), "standing by")


def test_a_phone_shows_it_without_scrolling_sideways(opened, browser):
    browser.open(opened[1])
    with browser.phone(width=360):
        browser.wait_for("#story", "serves all customers")
        wait_until(lambda: browser.run("return innerWidth") == 360, "a narrow window")
        assert browser.run("return document.documentElement.scrollWidth") == 360


def test_a_page_without_an_api_says_so_and_goes_on_trying(browser, tmp_path):
    # GIVEN a page of a stand whose local AWS has died
    workspace, dead = Workspace(tmp_path), Program(99_999_999, 0.0)
    running = stand.start_page(workspace, Stand(Ports.free(), 1.0, {"aws": dead}))
    try:
        browser.open(running.page_url)
        browser.wait_for("#problem", "the local API does not run. Next: start it with")
        assert browser.text("#story") == "The local API does not answer."

        # WHEN the page itself ends, and is there again
        assert stand.stop(workspace)
        browser.wait_for("#story", "The live page has ended")
        stand.start_page(workspace, running)

        # THEN it is shown again by itself
        browser.wait_for("#story", "The local API does not answer.")
    finally:
        assert stand.stop(workspace)
