"""The live page in a browser: its buttons inject faults and clear them.

`FAILOVER_WRITE_DOCS=1` regenerates docs/live-page.png.
"""

import os
import re
import time

import pytest
from browser import wait_until
from local_api import run_sandbox
from repository_files import REPOSITORY

from ops.fault_injection import Fault, FaultInjection
from ops.processes import Program
from sandbox import programs
from sandbox.workspace import Ports, Sandbox, Workspace

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("full_speed")]

WRITES_DOCS = os.environ.get("FAILOVER_WRITE_DOCS") == "1"


def region(name, part):
    return f"[data-region='{name}'] {part}"


def test_up_open_adds_the_page_to_an_api_that_runs(api, opened):
    output, url = opened

    assert "The local API runs already" in output
    assert "Applying" not in output
    status = run_sandbox("status", "--folder", str(api.workspace.folder))
    assert url in status.stdout


def test_the_buttons_inject_a_fault_and_clear_it_and_the_page_shows_the_failover(
    api, opened, browser, tmp_path
):
    primary, secondary = api.outputs.regions

    # GIVEN a page that shows the primary serving
    browser.open(opened[1])
    browser.wait_for(region(primary, ".duty"), "serving")
    browser.wait_for("#story", f"{primary} serves all customers")
    browser.wait_for("#resolves", primary)
    assert browser.text(region(primary, ".role")).startswith("primary")
    assert "unhealthy" not in browser.text("#regions")
    if WRITES_DOCS:
        time.sleep(45)

    # WHEN its button is pressed
    browser.click(region(primary, ".inject"))

    # THEN customers see errors, DNS fails over, and the secondary serves
    browser.wait_for("#log", f"Fault injected in {primary}: it refuses connections")
    browser.wait_for(region(secondary, ".duty"), "serving")
    browser.wait_for("#resolves", secondary)
    browser.wait_for("#story", f"Failed over: {secondary} serves")
    browser.wait_for(region(primary, ".checks"), "unhealthy")
    assert browser.text(region(primary, ".duty")) == "fault injected"
    for text in ("Customers get errors", f"DNS resolves to {secondary}", f"{secondary} serves"):
        assert text in browser.text("#log")
    assert re.search(r"\d+ requests? failed", browser.text("#lost"))
    assert float(browser.text("#outage").removesuffix(" s")) > 0
    if WRITES_DOCS:
        time.sleep(9)
    picture = REPOSITORY / "docs" / "live-page.png" if WRITES_DOCS else tmp_path / "live-page.png"
    picture.write_bytes(browser.picture())

    # AND once the fault is cleared, it serves again
    browser.click(region(primary, ".clear"))
    browser.wait_for("#log", f"Fault cleared in {primary}")
    browser.wait_for(region(primary, ".duty"), "serving")
    browser.wait_for("#story", f"{primary} serves all customers")
    browser.wait_for("#resolves", primary)
    assert browser.complaints() == []


def test_the_buttons_work_without_a_mouse_and_hand_on_the_focus(api, opened, browser):
    _, secondary = api.outputs.regions
    browser.open(opened[1])
    browser.wait_for("#story", "serves all customers")

    browser.run("document.querySelector(arguments[0]).focus()", region(secondary, ".inject"))
    browser.press(" ")
    browser.wait_for(region(secondary, ".duty"), "fault injected")
    assert browser.run("return document.activeElement.textContent") == f"Clear {secondary}"
    browser.wait_for("#story", f"{secondary} cannot take over")

    browser.press(" ")
    browser.wait_for(region(secondary, ".duty"), "not serving")


def test_a_fault_of_another_program_is_shown_and_cannot_be_cleared_here(api, opened, browser):
    _, secondary = api.outputs.regions
    browser.open(opened[1])

    with FaultInjection(api.local.sandbox.fault_injection_url).injected(Fault(secondary, "error")):
        browser.wait_for(region(secondary, ".fault"), "Another program injected a fault")
        assert not browser.shows(region(secondary, ".clear"))
        assert not browser.shows(region(secondary, ".inject"))
    browser.wait_for(region(secondary, ".duty"), "not serving")


def test_a_phone_shows_it_without_scrolling_sideways(opened, browser):
    browser.open(opened[1])
    with browser.phone(width=360):
        browser.wait_for("#story", "serves all customers")
        wait_until(lambda: browser.run("return innerWidth") == 360, "a narrow window")
        assert browser.run("return document.documentElement.scrollWidth") == 360


def test_a_page_without_an_api_says_so_and_goes_on_trying(browser, tmp_path):
    # GIVEN a page of a sandbox whose local AWS has died
    workspace, dead = Workspace(tmp_path), Program(99_999_999, 0.0)
    running = programs.start_page(workspace, Sandbox(Ports.free(), 1.0, {"aws": dead}))
    try:
        browser.open(running.page_url)
        browser.wait_for("#problem", "Next: start it: python -m sandbox up")
        assert browser.text("#story") == "The sandbox does not respond."

        # WHEN the page itself ends, and is there again
        assert programs.stop(workspace)
        browser.wait_for("#story", "The live page has ended")
        programs.start_page(workspace, running)

        # THEN it is shown again by itself
        browser.wait_for("#story", "The sandbox does not respond.")
    finally:
        assert programs.stop(workspace)
