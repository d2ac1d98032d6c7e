"""Terraform's output: what it means, when it is none, and when it ends early."""

import json
import os
import time
from contextlib import suppress

import psutil
import pytest

from ops.deployment import deployed_outputs, terraform_outputs
from ops.errors import ExitCode, OpsError
from ops.terraform import Terraform

pytestmark = pytest.mark.unit

PLANNED = {
    "@level": "info",
    "@message": "Plan",
    "type": "change_summary",
    "changes": {"operation": "plan", "add": 5, "change": 0, "remove": 0},
}
"""Terraform's messages. Source: https://developer.hashicorp.com/terraform/internals/machine-readable-ui"""


def started(name, type="apply_start"):
    hook = {"action": "create", "resource": {"addr": f"aws_x.{name}"}}
    return {"@level": "info", "@message": type, "type": type, "hook": hook}


def completed(name):
    return started(name, "apply_complete")


def diagnosed(summary, detail):
    diagnostic = {"severity": "error", "summary": summary, "detail": detail}
    return {
        "@level": "error",
        "@message": f"Error: {summary}",
        "type": "diagnostic",
        "diagnostic": diagnostic,
    }


@pytest.fixture
def terraform(tmp_path):
    """Terraform in a folder, as a script of the test's."""

    def terraform(script):
        program = tmp_path / "terraform"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return Terraform(tmp_path, {"PATH": f"{tmp_path}:{os.environ['PATH']}"})

    return terraform


@pytest.mark.parametrize(
    "script", ["echo Warning; echo '{}'", "echo '[]'", "echo '{\"a\": 1}'", "true", "echo null"]
)
def test_what_is_not_outputs_is_named(terraform, script):
    with pytest.raises(OpsError, match="printed something else than outputs") as caught:
        terraform(script).outputs()
    assert caught.value.exit_code is ExitCode.PREREQUISITE


def test_it_is_ended_with_all_it_started_when_it_hangs(terraform, tmp_path, monkeypatch):
    monkeypatch.setattr("ops.terraform.OUTPUTS_TIMEOUT_SECONDS", 0.5)

    with pytest.raises(OpsError, match=r"did not end within 0\.5 s") as caught:
        terraform(f"sleep 600 & echo $! > {tmp_path}/child; wait").outputs()

    assert "--descriptor FILE" in caught.value.next_step
    child = int((tmp_path / "child").read_text())
    with suppress(psutil.NoSuchProcess):
        # It was killed; the system takes a moment.
        process = psutil.Process(child)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)


def refused(terraform, script, *messages):
    """What an apply that prints some messages and then runs a script is refused with."""
    printed = "\n".join(json.dumps(message) for message in messages)
    with pytest.raises(OpsError) as caught:
        terraform(f"cat <<'END'\n{printed}\nEND\n{script}").apply(print, print)
    return caught.value


def test_who_kills_it_is_told_what_it_leaves(terraform):
    error = refused(terraform, "kill -9 $$", PLANNED, *map(started, "abcde"), completed("a"))

    assert str(error.args[0]) == (
        "terraform apply was killed (SIGKILL) after 1 of 5 resources, at work on aws_x.b, "
        "aws_x.c, aws_x.d and 1 more: what it created last may exist and be missing from the "
        "state"
    )
    assert "too little memory" in error.next_step


def test_an_interruption_from_outside_is_named(terraform):
    error = refused(
        terraform,
        "exit 1",
        PLANNED,
        started("a"),
        {"@level": "info", "@message": "\nInterrupt received.\nPlease wait", "type": "log"},
        {"@level": "error", "@message": "Error: execution halted", "type": "diagnostic"},
    )

    assert "was interrupted by another program or person after 0 of 5" in error.args[0]
    assert "execution halted" not in error.args[0]


def test_its_advice_on_a_full_disk_is_not_passed_on(terraform):
    detail = "Error saving state: write terraform.tfstate: no space left on device."
    error = refused(
        terraform,
        "exit 1",
        diagnosed("Failed to save state", detail),
        diagnosed("Failed to persist state to backend", "printed above\nstate push"),
    )

    assert error.args[0] == f"terraform apply failed: {detail}"
    assert error.next_step == "free some space, and run the command again"


def test_a_version_that_is_none_is_too_old(terraform):
    with pytest.raises(OpsError, match="'OpenTofu' is too old"):
        terraform("echo OpenTofu").check_version()


def test_a_program_that_may_not_be_run_is_named(terraform, tmp_path):
    made = terraform("true")
    (tmp_path / "terraform").chmod(0o644)

    with pytest.raises(OpsError, match=r"terraform output failed"):
        Terraform(made.folder, {"PATH": str(tmp_path)}).outputs()


def test_an_older_deployment_is_named(terraform, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    terraform("""echo '{"table_name": {"value": "weather"}}'""")

    with pytest.raises(OpsError, match="or by an older version: missing outputs") as caught:
        deployed_outputs(tmp_path, "production")
    assert "cdktf deploy production" in caught.value.next_step


def test_a_sandboxs_shell_does_not_redirect_where_the_state_is_read(
    terraform, tmp_path, monkeypatch
):
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.vpce.example.com")
    terraform(f"env > {tmp_path}/seen; echo '{{}}'")

    terraform_outputs(tmp_path, "production")

    seen = (tmp_path / "seen").read_text()
    assert "AWS_ENDPOINT_URL=" not in seen
    assert "AWS_ENDPOINT_URL_S3=https://s3.vpce.example.com" in seen
