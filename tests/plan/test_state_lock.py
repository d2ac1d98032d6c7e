"""Terraform that was killed leaves its lock in the state bucket, until somebody removes it."""

import json
import os
import re
import subprocess
import time

import boto3
import pytest
from test_runbooks import terraform_command

pytestmark = [pytest.mark.plan, pytest.mark.exhaustive]

PATIENCE_SECONDS = 60
BUCKET = "terraform-state"
BACKEND = {
    "bucket": BUCKET,
    "key": "trial.tfstate",
    "region": "us-east-2",
    "use_lockfile": True,
    "use_path_style": True,
    "skip_credentials_validation": True,
    "skip_requesting_account_id": True,
}


def test_the_lock_of_a_terraform_that_was_killed_is_removed_by_force_unlock(aws, tmp_path):
    # GIVEN a stack whose only resource takes long, with its state in a bucket
    s3 = boto3.client(
        "s3", endpoint_url=aws.endpoint_url, region_name="us-east-2",
        aws_access_key_id="test", aws_secret_access_key="test",
    )  # fmt: skip
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    slow = {"provisioner": [{"local-exec": {"command": "until test -e fast; do sleep 0.1; done"}}]}
    (tmp_path / "main.tf.json").write_text(
        json.dumps(
            {
                "terraform": {"backend": {"s3": BACKEND}},
                "resource": {"terraform_data": {"slow": slow}},
            }
        )
    )
    environment = {**os.environ, **aws.variables, "CHECKPOINT_DISABLE": "1"}

    def start(subcommand, *arguments):
        return subprocess.Popen(
            ["terraform", subcommand, "-no-color", *arguments], cwd=tmp_path, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(*arguments):
        process = start(*arguments)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, output

    assert run("init", "-input=false")[0] == 0

    # WHEN it is killed while it applies
    killed = start("apply", "-auto-approve", "-input=false")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not s3.list_objects_v2(Bucket=BUCKET, Prefix="trial.tfstate.tflock").get("KeyCount"):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    killed.kill()
    killed.communicate()
    (tmp_path / "fast").touch()

    # THEN the next run is refused, and names whose lock it is
    code, output = run("apply", "-auto-approve", "-input=false")
    assert code == 1
    assert "Error acquiring the state lock" in output
    assert {"ID", "Who", "Created"} <= {*re.findall(r"(\w+): +\S", output)}

    # AND runs again after the documented command
    assert terraform_command("deploy-changes.md", "force-unlock") == ["force-unlock", "LOCK_ID"]
    lock = re.search(r"\bID: +(\S+)", output)[1]
    code, output = run("force-unlock", "-force", lock)
    assert code == 0, output
    code, output = run("apply", "-auto-approve", "-input=false")
    assert code == 0, output
