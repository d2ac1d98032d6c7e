"""Every ring that needs Terraform says so once; under CI no ring may be skipped."""

import os

import pytest
from rings import require_terraform

from constructs_lib import bindings

bindings.install()


@pytest.fixture(scope="session")
def terraform_ready():
    require_terraform()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if os.environ.get("CI") and skipped:
        reporter.write_line(f"CI: {len(skipped)} skipped, and every test is required", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
