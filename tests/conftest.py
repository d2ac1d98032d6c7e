"""Which worker runs a test, what a run must not skip, and what it must not leave running."""

import os
import signal
import uuid
from contextlib import ExitStack

import hypothesis
import psutil
import pytest
from _pytest.nodeid import coerce_node_id
from prerequisites import require_terraform
from provider_mirror import light_mirror

import cdktf_bindings as bindings
from sandbox.programs import start_aws, stop
from sandbox.workspace import Ports, Workspace

bindings.install()
# Terraform and its provider use a sixth less of the processor if they collect less garbage.
os.environ.setdefault("GOGC", "400")
os.environ.setdefault("GOMEMLIMIT", "2GiB")
# A busy machine takes its time for any single example.
hypothesis.settings.register_profile("quick", deadline=None, max_examples=20)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=30)
hypothesis.settings.load_profile("thorough" if os.environ.get("CI") else "quick")

DRILLS = (
    *("test_drill", "test_drill_capacity", "test_drill_killed"),
    *("test_two_operators", "test_on_call"),
)
"""Modules that share a sandbox in which drills run."""

LONGEST = (
    *("e2e/test_deploy_from_a_bucket", "plan/test_changes", "e2e/test_deploy", "drills"),
    *("plan/test_layout", "e2e/test_layout", "e2e/test_three_regions", "e2e/test_readme"),
    "e2e/test_failback",
    *("api", "hardened"),
)
"""Groups that share a sandbox, or take minutes."""
SUITES = ("e2e", "plan", "program", "model", "unit")
NEED_TERRAFORM = ("e2e", "plan")
RUN = "PYTEST_XDIST_TESTRUNUID"
"""Set by xdist in its workers, and so in all that tests start."""


def pytest_configure(config):
    # A shell's background job may ignore them, and so would all that the tests start.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(each) == signal.SIG_IGN:
            signal.signal(
                each, signal.default_int_handler if each == signal.SIGINT else signal.SIG_DFL
            )
    if hasattr(config, "workerinput"):
        return
    if config.getoption("testrunuid", None) is None:
        config.option.testrunuid = uuid.uuid4().hex
    # Workers inherit it.
    mirror = ExitStack()
    mirror.enter_context(light_mirror())
    config.add_cleanup(mirror.close)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Begin with the longest: while a sandbox waits, the other tests use the processor."""
    for item in items:
        if item.get_closest_marker("soak"):
            item.add_marker("exhaustive")
    items.sort(key=_rank)
    config.without_suite = [
        item.nodeid
        for item in items
        if sum(item.get_closest_marker(name) is not None for name in SUITES) != 1
    ]
    if config.getoption("loadgroup", default=False):
        for item in items:
            # xdist's marker would do, but xdist 3.8 writes where pytest 9.2 no longer reads.
            item._id = coerce_node_id(f"{item.nodeid}@{_group(item)}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Before any fixture: one that would bring up a sandbox fails where there is no provider."""
    if any(item.get_closest_marker(name) for name in NEED_TERRAFORM):
        require_terraform()


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    """The emulator of AWS alone, for a module's own Terraform."""
    workspace = Workspace(tmp_path_factory.mktemp("aws"))
    try:
        yield start_aws(workspace, Ports.free(), speed=1)
    finally:
        stop(workspace)


def _group(item):
    """Tests of one group run one after the other, on one worker."""
    if "api" in item.fixturenames:
        return "drills" if item.path.stem in DRILLS else "api"
    if "hardened" in item.fixturenames:
        return "hardened"
    return f"{item.path.parent.name}/{item.path.stem}"


def _rank(item):
    group = _group(item)
    suites = [n for n, name in enumerate(SUITES) if item.get_closest_marker(name)]
    return (LONGEST.index(group) if group in LONGEST else len(LONGEST), suites)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    if hasattr(session.config, "workerinput"):
        return
    complaints = []
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if os.environ.get("CI") and skipped:
        complaints.append(f"CI: {len(skipped)} skipped, and every test is required")
    complaints += [f"left running, and ended: {text}" for text in _end_leftovers(session.config)]
    for complaint in complaints:
        reporter.write_line(complaint, red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _end_leftovers(config):
    """End what tests of this run's workers left running, and return its commands."""
    run, left = config.option.testrunuid, []
    for process in psutil.process_iter():
        try:
            if process.environ().get(RUN) == run and process.is_running():
                left.append((process, f"{process.pid} {' '.join(process.cmdline())[:200]}"))
        except psutil.Error:
            pass
    _, alive = psutil.wait_procs([process for process, _ in left], timeout=5)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=5)
    return [text for process, text in left if process in alive]
