"""Headless Chromium, for tests of what a web page shows and may do."""

import base64
import re
import subprocess
import time
from contextlib import contextmanager

import urllib3
from prerequisites import CHROMEDRIVER, CHROMIUM

PATIENCE_SECONDS = 60
SCRIPT_SECONDS = 180
"""How long one script may take on a busy machine."""
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Browser:
    """Headless Chromium, driven as the W3C's WebDriver has it.

    Source: https://www.w3.org/TR/webdriver2/
    """

    def __init__(self, driver_url, profile, *arguments):
        self._http = urllib3.PoolManager(retries=False, timeout=2 * SCRIPT_SECONDS)
        self._url = f"{driver_url}/session"
        options = {
            "binary": CHROMIUM,
            "args": [
                "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                "--hide-scrollbars", f"--user-data-dir={profile}", *arguments,
            ],
        }  # fmt: skip
        wanted = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"script": 1000 * SCRIPT_SECONDS},
        }
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
