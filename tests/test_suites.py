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


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The folder and the verdict of a run on two workers, in which a test leaves a process."""
    folder = tmp_path_factory.mktemp("suite")
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

def test_leaves():
    left = subprocess.Popen(["sleep", "600"], start_new_session=True)
    pathlib.Path("pid").write_text(str(left.pid))
"""
    return folder, run(folder, body, "-n", "2", "--dist", "loadgroup")


@pytest.mark.program
def test_a_process_that_a_test_left_is_named_and_ended(ran):
    folder, done = ran

    pid = int((folder / "pid").read_text())
    assert "81 passed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert f"left running, and ended: {pid} sleep 600" in done.stdout
    assert not psutil.pid_exists(pid)


@pytest.mark.program
def test_tests_that_share_a_sandbox_run_on_one_worker(ran):
    folder, _ = ran

    assert len(set((folder / "workers").read_text().split())) == 1


@pytest.mark.program
def test_what_cannot_run_is_skipped_and_under_ci_fails_the_run(tmp_path):
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

def test_four(): pytest.skip("nothing here")
"""

    done = run(tmp_path, body, "-ra", **variables)
    assert done.returncode == pytest.ExitCode.OK, done.stdout + done.stderr
    assert "1 passed, 3 skipped" in done.stdout
    # Whatever needs the provider has one reason.
    skipped = sorted(line for line in done.stdout.splitlines() if line.startswith("SKIPPED"))
    assert "nothing here" in skipped[0]
    assert "SKIPPED [2]" in skipped[1]
    assert "the AWS provider cannot be installed: let this machine reach" in skipped[1]
    assert len(skipped) == 2

    under_ci = run(tmp_path, body, CI="true", **variables)
    assert under_ci.returncode == pytest.ExitCode.TESTS_FAILED
    assert "1 skipped, and every test is required" in under_ci.stdout
    assert "2 errors" in under_ci.stdout


@pytest.mark.unit
def test_every_test_belongs_to_one_suite(pytestconfig):
    assert pytestconfig.without_suite == []


@pytest.mark.unit
def test_the_environment_of_the_functions_tests_is_theirs_alone():
    before = dict(os.environ)
    conftest = REPOSITORY / "tests" / "lambda_src" / "conftest.py"
    spec = importlib.util.spec_from_file_location("functions_conftest", conftest)

    spec.loader.exec_module(importlib.util.module_from_spec(spec))

    assert dict(os.environ) == before
