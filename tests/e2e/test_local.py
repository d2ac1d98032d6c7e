"""`python -m sandbox` as a user types it, and what Terraform says of what it deployed."""

import json
import os
import random
import re
import signal
import socket
import subprocess
import time
from contextlib import suppress

import boto3
import psutil
import pytest
from local_api import REGIONS, left_of, run_sandbox, start_sandbox
from repository_files import REPOSITORY

from sandbox import lifecycle as local
from sandbox.programs import end_strays
from sandbox.workspace import Workspace

pytestmark = pytest.mark.e2e

PATIENCE_SECONDS = 180
SIGNALS = (signal.SIGINT, signal.SIGHUP, signal.SIGKILL)

CHANGES_OF_THE_LOCAL_AWS: dict[str, str] = {}
"""`{address: reason}` of what a second plan would change because of the local AWS alone."""


def test_up_shows_each_regions_url_and_a_curl_line(api):
    for region in REGIONS:
        assert api.local.region_urls[region] in api.up_output
    assert "curl" in api.up_output
    assert "python -m sandbox down" in api.up_output


def test_status_shows_the_same_again(api):
    status = run_sandbox("status", "--folder", str(api.workspace.folder))

    assert status.returncode == 0
    assert api.local.region_urls[REGIONS[1]] in status.stdout


def test_env_leads_other_tools_here(api):
    env = run_sandbox("env", "--folder", str(api.workspace.folder))

    assert f"export AWS_ENDPOINT_URL={api.local.sandbox.endpoint_url}" in env.stdout
    assert "export TF_VAR_api_keys=" in env.stdout
    assert api.local.api_key in env.stdout


def test_a_second_plan_shows_no_change_of_ours(api):
    plan = api.terraform("plan", "-json", "-input=false", "-detailed-exitcode")

    messages = [json.loads(line) for line in plan.stdout.splitlines()]
    changes = {
        message["change"]["resource"]["addr"]
        for message in messages
        if message["type"] == "planned_change"
    }
    assert plan.returncode in (0, 2), plan.stdout[-3000:]
    assert changes == set(CHANGES_OF_THE_LOCAL_AWS)
    assert plan.returncode == (2 if CHANGES_OF_THE_LOCAL_AWS else 0), plan.stderr


def test_up_again_keeps_what_runs(api):
    urls = api.local.region_urls

    api.up("--port", "1")

    assert api.local.region_urls == urls
    assert urls[REGIONS[0]] in api.up_output


def test_a_running_sandbox_cannot_start_to_enforce_iam(api):
    for more in ([], ["--open"], ["--no-deploy"]):
        refused = run_sandbox("up", "--iam-enforced", *more, "--folder", str(api.workspace.folder))

        assert refused.returncode == 2, refused.stdout
        assert "runs without --iam-enforced" in refused.stderr
        assert "python -m sandbox down" in refused.stderr


def test_a_running_sandbox_shows_its_replication_lag_and_keeps_it(api):
    folder = ("--folder", str(api.workspace.folder))
    shown = run_sandbox("status", *folder)
    refused = run_sandbox("up", "--replication-lag", "7", *folder)

    lag = f"{api.local.sandbox.replication_lag:g}"
    assert f"replication takes {lag} s of AWS" in shown.stdout
    assert refused.returncode == 2, refused.stdout
    assert f"runs with --replication-lag {lag}, not 7" in refused.stderr
    assert "python -m sandbox down" in refused.stderr


def test_the_commands_that_pause_replication_work(api):
    guide = (REPOSITORY / "docs" / "how-to" / "run-the-sandbox.md").read_text()
    blocks = re.findall("^```bash\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)
    (commands,) = (block for block in blocks if "replication_paused" in block)
    port = str(api.local.sandbox.ports.faults)

    done = subprocess.run(
        ["bash", "-euc", commands.replace("8444", port).replace("curl", "curl --silent --fail")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert '"source": "us-east-1", "target": "us-west-2", "writes": 0' in done.stdout
    assert done.stdout.count('"paused": true') == 1
    assert not any(each.paused for each in api.local.environment.fault_injection.replication())


def test_a_taken_port_is_one_line_with_the_next_step(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        up = run_sandbox("up", "--folder", str(tmp_path), "--free-ports", "--port", str(port))

    assert up.returncode == 3
    assert f"127.0.0.1:{port} cannot be used" in up.stderr
    assert "Next: end what uses it, or take another" in up.stderr
    assert "Traceback" not in up.stderr


def test_no_terraform_is_one_line_with_the_next_step(tmp_path):
    up = run_sandbox("up", "--folder", str(tmp_path), PATH=str(tmp_path))

    assert up.returncode == 3
    assert "terraform is not on the PATH" in up.stderr
    assert "Next: install Terraform 1.11 or newer" in up.stderr
    assert not list(tmp_path.iterdir())


def test_no_provider_names_the_mirror_and_leaves_nothing(tmp_path):
    (tmp_path / "empty").mkdir()
    up = run_sandbox(
        "up", "--folder", str(tmp_path / "folder"), "--free-ports",
        TF_CLI_ARGS_init=f"-plugin-dir={tmp_path / 'empty'}",
    )  # fmt: skip

    assert up.returncode == 3
    assert "TF_CLI_ARGS_init=-plugin-dir=" in up.stderr
    assert "Traceback" not in up.stderr
    assert left_of(Workspace(tmp_path / "folder")) == []


@pytest.fixture
def applying(tmp_path):
    """An `up` whose Terraform has begun to create resources, its folder, and what runs."""
    workspace = Workspace(tmp_path)
    up = start_sandbox("up", "--folder", str(tmp_path), "--free-ports")
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS

        def wait():
            assert time.monotonic() < deadline
            assert up.poll() is None, up.communicate()
            time.sleep(0.1)

        while not (running := workspace.noted()) or "terraform" not in running.programs:
            wait()
        logs = boto3.client(
            "logs", endpoint_url=running.endpoint_url, region_name=REGIONS[0],
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip
        while not logs.describe_log_groups()["logGroups"]:
            wait()
        yield up, workspace, running
    finally:
        up.kill()
        up.communicate()
        run_sandbox("down", "--folder", str(tmp_path))


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.soak)]
)
def test_an_interrupted_up_leaves_nothing(applying, number):
    # GIVEN an up whose Terraform applies
    up, workspace, running = applying
    terraform = running.programs["terraform"].process()
    providers = terraform.children(recursive=True)

    # WHEN it is interrupted, more than once
    up.send_signal(number)
    up.send_signal(signal.SIGINT)
    _, errors = up.communicate(timeout=PATIENCE_SECONDS)

    # THEN it has ended Terraform, its provider and all programs, and has removed all files
    assert up.returncode == 130
    assert "Interrupted" in errors
    assert "Traceback" not in errors
    assert not [each for each in (terraform, *providers) if each.is_running()]
    assert left_of(workspace) == []
    assert run_sandbox("status", "--folder", str(workspace.folder)).returncode == 3


def test_what_an_up_that_was_killed_has_left_is_found_and_ended(applying):
    # GIVEN an up that is killed while Terraform applies, and so is the emulator
    up, workspace, running = applying
    up.kill()
    up.communicate()
    running.programs["aws"].process().kill()
    # Terraform may have ended by then, for want of anybody who reads what it prints.
    assert left_of(workspace)

    # WHEN the sandbox is taken down, and that is interrupted
    down = start_sandbox("down", "--folder", str(workspace.folder))
    wait_for_lock(down)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        down.send_signal(number)
    _, errors = down.communicate(timeout=PATIENCE_SECONDS)

    # THEN nothing is left all the same
    assert down.returncode == 0, errors
    assert left_of(workspace) == []


@pytest.mark.exhaustive
def test_an_up_beside_an_up_is_refused_and_disturbs_nothing(applying):
    # GIVEN an up that applies
    up, workspace, running = applying

    # WHEN another one begins, and a down
    refused = run_sandbox("up", "--folder", str(workspace.folder), "--free-ports")
    down = run_sandbox("down", "--folder", str(workspace.folder))

    # THEN they are refused, leave no process, and the first one comes to its end
    for each in (refused, down):
        assert each.returncode == 3, each.stdout
        assert "another up or down is working in" in each.stderr
    assert workspace.noted() == running
    _, errors = up.communicate(timeout=PATIENCE_SECONDS)
    assert up.returncode == 0, errors
    assert not end_strays(workspace)
    assert run_sandbox("down", "--folder", str(workspace.folder)).returncode == 0
    assert left_of(workspace) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("number", "says"),
    [
        (signal.SIGKILL, r"was killed \(SIGKILL\) after \d+ of \d+ resources, at work on aws_"),
        (
            signal.SIGTERM,
            r"was interrupted by another program or person after \d+ of \d+ resources",
        ),
    ],
    ids=["killed", "interrupted"],
)
def test_a_terraform_that_others_end_is_named_with_what_it_leaves(applying, number, says):
    up, workspace, running = applying

    running.programs["terraform"].process().send_signal(number)
    _, errors = up.communicate(timeout=PATIENCE_SECONDS)

    assert up.returncode == 3
    assert re.search(says, errors), errors
    assert "Next: run the command again" in errors
    assert left_of(workspace) == []


def wait_for_lock(command):
    """Wait until a command works in its folder: before that, it has begun nothing."""
    process, deadline = psutil.Process(command.pid), time.monotonic() + PATIENCE_SECONDS
    while not any(file.path.endswith(".lock") for file in process.open_files()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("moment", "number"),
    [
        pytest.param(
            moment, number, marks=() if moment % len(SIGNALS) == place else pytest.mark.soak
        )
        for moment in (1, 2, 3, 4, 5)
        for place, number in enumerate(SIGNALS)
    ],
)
def test_an_up_that_ends_at_any_moment_leaves_nothing(tmp_path, number, moment):
    """Moments are random, from the first import to the last health check."""
    workspace = Workspace(tmp_path)
    up = start_sandbox("up", "--folder", str(tmp_path), "--free-ports")
    try:
        with suppress(subprocess.TimeoutExpired):
            up.wait(random.uniform(0, 5 * 2**moment / 4))
        up.send_signal(number)
        _, errors = up.communicate(timeout=PATIENCE_SECONDS)
        print(moment, up.returncode, errors)
        if number == signal.SIGKILL and moment % 2:
            again = run_sandbox("up", "--no-deploy", "--folder", str(tmp_path), "--free-ports")
            assert again.returncode == 0, again.stderr
        if number == signal.SIGKILL or up.returncode == 0:
            assert run_sandbox("down", "--folder", str(tmp_path)).returncode == 0
        assert left_of(workspace) == []
    finally:
        up.kill()
        up.communicate()
        run_sandbox("down", "--folder", str(tmp_path))


def test_a_port_that_is_none_is_a_usage_error(tmp_path):
    up = run_sandbox("up", "--folder", str(tmp_path), "--port", "70000")

    assert up.returncode == 2
    assert "expected a port from 1 to 65535, got '70000'" in up.stderr


def test_status_of_nothing_names_the_next_step(tmp_path):
    status = run_sandbox("status", "--folder", str(tmp_path))

    assert status.returncode == 3
    assert "Next: start it with: python -m sandbox up" in status.stderr


def test_down_of_nothing_is_no_error(tmp_path):
    down = run_sandbox("down", "--folder", str(tmp_path))

    assert down.returncode == 0
    assert "Nothing was running" in down.stdout


def test_a_wrong_verb_is_a_usage_error():
    assert run_sandbox("sideways").returncode == 2


def test_the_values_of_keys_are_readable_by_this_user_only(api):
    assert (api.workspace.folder / "api-keys.tfvars.json").stat().st_mode & 0o077 == 0


def test_nothing_of_this_machines_credentials_reaches_the_local_aws(api, monkeypatch):
    monkeypatch.setitem(os.environ, "AWS_PROFILE", "production")
    environment = local.terraform_environment(api.local.sandbox)

    assert "AWS_PROFILE" not in environment
    assert environment["AWS_ACCESS_KEY_ID"] == "test"
