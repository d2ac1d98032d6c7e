"""`ops local` as a user types it, and what Terraform says of what it deployed."""

import json
import os
import signal
import socket
import time

import boto3
import pytest
from local_api import REGIONS, start_ops

from ops import local
from ops.stand import Workspace

pytestmark = pytest.mark.e2e

CHANGES_OF_THE_LOCAL_AWS: dict[str, str] = {}
"""`{address: reason}` of what a second plan would change because of the local AWS alone."""


def test_up_shows_each_regions_url_and_a_curl_line(api):
    for region in REGIONS:
        assert api.local.region_urls[region] in api.up_output
    assert "curl" in api.up_output
    assert "local down" in api.up_output


def test_status_shows_the_same_again(api, ops):
    status = ops("local", "status", "--folder", str(api.workspace.folder))

    assert status.returncode == 0
    assert api.local.region_urls[REGIONS[1]] in status.stdout


def test_env_leads_other_tools_here(api, ops):
    env = ops("local", "env", "--folder", str(api.workspace.folder))

    assert f"export AWS_ENDPOINT_URL={api.local.stand.endpoint_url}" in env.stdout
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


def test_up_again_keeps_what_runs(api, ops):
    again = ops("local", "up", "--folder", str(api.workspace.folder), "--port", "1")

    assert again.returncode == 0, again.stdout + again.stderr
    assert api.local.region_urls[REGIONS[0]] in again.stdout


def test_a_stand_that_runs_cannot_begin_to_enforce_iam_and_says_so(api, ops):
    for more in ([], ["--open"], ["--no-deploy"]):
        refused = ops("local", "up", "--iam-enforced", *more, "--folder", str(api.workspace.folder))

        assert refused.returncode == 2, refused.stdout
        assert "runs without --iam-enforced" in refused.stderr
        assert "python -m ops local down" in refused.stderr


def test_a_taken_port_is_one_line_with_the_next_step(tmp_path, ops):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        up = ops("local", "up", "--folder", str(tmp_path), "--free-ports", "--port", str(port))

    assert up.returncode == 3
    assert f"port {port} on 127.0.0.1 cannot be used" in up.stderr
    assert "Next: end what uses it, or take another" in up.stderr
    assert "Traceback" not in up.stderr


def test_no_terraform_is_one_line_with_the_next_step(tmp_path, ops):
    up = ops("local", "up", "--folder", str(tmp_path), PATH=str(tmp_path))

    assert up.returncode == 3
    assert "terraform is not on the PATH" in up.stderr
    assert "Next: install Terraform 1.11 or newer" in up.stderr
    assert not list(tmp_path.iterdir())


def test_no_provider_names_the_mirror_and_leaves_something_to_take_down(tmp_path, ops):
    (tmp_path / "empty").mkdir()
    up = ops(
        "local", "up", "--folder", str(tmp_path / "folder"), "--free-ports",
        TF_CLI_ARGS_init=f"-plugin-dir={tmp_path / 'empty'}",
    )  # fmt: skip
    program = Workspace(tmp_path / "folder").noted().programs["aws"]
    down = ops("local", "down", "--folder", str(tmp_path / "folder"))

    assert up.returncode == 3
    assert "TF_CLI_ARGS_init=-plugin-dir=" in up.stderr
    assert "Traceback" not in up.stderr
    assert down.returncode == 0
    assert program.process() is None


def test_an_interrupted_up_lets_terraform_finish_and_leaves_nothing_after_down(tmp_path, ops):
    # GIVEN an up whose Terraform applies
    workspace = Workspace(tmp_path)
    with start_ops("local", "up", "--folder", str(tmp_path), "--free-ports") as up:
        deadline = time.monotonic() + 120
        while not (stand := workspace.noted()) or "terraform" not in stand.programs:
            assert time.monotonic() < deadline
            assert up.poll() is None
            time.sleep(0.1)
        logs = boto3.client(
            "logs", endpoint_url=stand.endpoint_url, region_name=REGIONS[0],
            aws_access_key_id="test", aws_secret_access_key="test",
        )  # fmt: skip
        while not logs.describe_log_groups()["logGroups"]:
            time.sleep(0.1)
        terraform = stand.programs["terraform"].process()
        providers = terraform.children(recursive=True)

        # WHEN it is interrupted
        up.send_signal(signal.SIGINT)
        _, errors = up.communicate()

    # THEN Terraform has ended by itself, with its provider, and has written the state
    assert up.returncode == 130
    assert "Interrupted" in errors
    assert "Traceback" not in errors
    assert not terraform.is_running()
    assert not [provider for provider in providers if provider.is_running()]
    state = json.loads((workspace.synthesized / "terraform.local.tfstate").read_text())
    assert state["resources"]
    # AND the API does not pretend to be whole, and down leaves nothing
    assert ops("local", "status", "--folder", str(tmp_path)).returncode == 3
    assert ops("local", "down", "--folder", str(tmp_path)).returncode == 0
    assert not [p for p in stand.programs.values() if p.process()]


def test_a_port_that_is_none_is_a_usage_error(tmp_path, ops):
    up = ops("local", "up", "--folder", str(tmp_path), "--port", "70000")

    assert up.returncode == 2
    assert "a port is a number from 1 to 65535" in up.stderr


def test_status_of_nothing_names_the_next_step(tmp_path, ops):
    status = ops("local", "status", "--folder", str(tmp_path))

    assert status.returncode == 3
    assert "Next: start it with: python -m ops local up" in status.stderr


def test_down_of_nothing_is_no_error(tmp_path, ops):
    down = ops("local", "down", "--folder", str(tmp_path))

    assert down.returncode == 0
    assert "Nothing was running" in down.stdout


def test_a_wrong_verb_is_a_usage_error(ops):
    assert ops("local", "sideways").returncode == 2


def test_the_values_of_keys_are_readable_by_this_user_only(api):
    assert (api.workspace.folder / "api-keys.tfvars.json").stat().st_mode & 0o077 == 0


def test_nothing_of_this_machines_credentials_reaches_the_local_aws(api, monkeypatch):
    monkeypatch.setitem(os.environ, "AWS_PROFILE", "production")
    environment = local.terraform_environment(api.local.stand)

    assert "AWS_PROFILE" not in environment
    assert environment["AWS_ACCESS_KEY_ID"] == "test"
