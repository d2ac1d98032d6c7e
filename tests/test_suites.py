"""What a run of tests promises: nothing is left running, and under CI nothing is skipped."""

import importlib.util
import os
import subprocess
import sys

import psutil
import pytest
from repository_files import REPOSITORY

HEADER = """
import os, subprocess, pathlib, pytest
pytestmark = pytest.mark.unit
"""


def run(folder, body, *options, **variables):
    """The verdict on a file of tests, with the suite's own conftest."""
    (folder / "test_file.py").write_text(HEADER + body)
    own = {name: v for name, v in os.environ.items() if not name.startswith(("PYTEST_", "CI"))}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "1", "-p", "conftest", "-p", "no:schemathesis",
         "-p", "no:cacheprovider", "--rootdir", str(folder), "-c", os.devnull,
         str(folder), *options],
        cwd=folder, env={**own, "PYTHONPATH": f"{REPOSITORY / 'tests'}:{REPOSITORY}", **variables},
        capture_output=True, text=True,
    )  # fmt: skip


@pytest.mark.program
def test_a_process_that_a_test_left_is_named_and_ended(tmp_path):
    done = run(
        tmp_path,
        """
def test_one():
    left = subprocess.Popen(["sleep", "600"], start_new_session=True)
    pathlib.Path("pid").write_text(str(left.pid))
""",
    )

    pid = int((tmp_path / "pid").read_text())
    assert done.returncode == pytest.ExitCode.TESTS_FAILED, done.stdout + done.stderr
    assert f"left running, and ended: {pid} sleep 600" in done.stdout
    assert not psutil.pid_exists(pid)


@pytest.mark.program
def test_under_ci_a_skipped_test_fails_the_run(tmp_path):
    body = "def test_one(): pytest.skip('nothing here')"

    assert run(tmp_path, body).returncode == pytest.ExitCode.OK
    under_ci = run(tmp_path, body, CI="true")
    assert under_ci.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 skipped, and every test is required" in under_ci.stdout


@pytest.mark.program
def test_without_the_provider_all_tests_that_need_it_are_skipped_for_one_reason(tmp_path):
    terraform = tmp_path / "terraform"
    terraform.write_text("#!/bin/sh\nexit 1\n")
    terraform.chmod(0o755)
    variables = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    body = """
@pytest.fixture(scope="session")
def api():
    raise RuntimeError("needs the provider")

@pytest.mark.plan
def test_one(): raise RuntimeError("needs the provider")

@pytest.mark.e2e
def test_two(api): pass

def test_three(): pass
"""

    done = run(tmp_path, body, "-ra", **variables)
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    assert "1 passed, 2 skipped" in done.stdout
    (reason,) = (line for line in done.stdout.splitlines() if line.startswith("SKIPPED"))
    assert "SKIPPED [2]" in reason
    assert "the AWS provider cannot be installed: let this machine reach" in reason

    under_ci = run(tmp_path, body, CI="true", **variables)
    assert under_ci.returncode == pytest.ExitCode.TESTS_FAILED
    assert "2 errors" in under_ci.stdout


@pytest.mark.unit
def test_every_test_belongs_to_one_suite(pytestconfig):
    assert pytestconfig.without_suite == []


@pytest.mark.program
def test_tests_that_share_a_sandbox_run_on_one_worker(tmp_path):
    body = """
@pytest.fixture(scope="session")
def api(worker_id):
    return worker_id

@pytest.mark.parametrize("number", range(40))
def test_one(api, number):
    with open("workers", "a") as file:
        file.write(f"{api}\\n")

@pytest.mark.parametrize("number", range(40))
def test_other(number): pass
"""
    done = run(tmp_path, body, "-n", "2", "--dist", "loadgroup")

    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    assert len(set((tmp_path / "workers").read_text().split())) == 1


@pytest.mark.unit
def test_the_environment_of_the_functions_tests_is_theirs_alone():
    before = dict(os.environ)
    conftest = REPOSITORY / "tests" / "lambda_src" / "conftest.py"
    spec = importlib.util.spec_from_file_location("functions_conftest", conftest)

    spec.loader.exec_module(importlib.util.module_from_spec(spec))

    assert dict(os.environ) == before
