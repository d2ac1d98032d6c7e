"""The tool as a process: with a broken AWS configuration, without a reader, on a full disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_environment import outputs
from repository_files import REPOSITORY

from ops.descriptor import Descriptor, write
from ops.errors import ExitCode

pytestmark = pytest.mark.program

CODES = set(ExitCode)


def descriptor(folder):
    write(folder / "d.json", Descriptor.on_aws(outputs()))
    return ["--descriptor", str(folder / "d.json"), "--folder", str(folder)]


def clean(**variables):
    kept = {n: v for n, v in os.environ.items() if not n.startswith("AWS_")}
    return kept | {"AWS_EC2_METADATA_DISABLED": "true", "PYTHONPATH": str(REPOSITORY)} | variables


def started(arguments, folder, environment, **options):
    return subprocess.run(
        [sys.executable, "-m", "ops", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, **options,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("config", "profile", "says"),
    [
        ("", "nobody", "The config profile (nobody) could not be found"),
        ("[default\nnot a file", "default", "Unable to parse config file"),
        (
            "[profile p]\nsso_session = s\nsso_account_id = 1\nsso_role_name = r\n"
            "[sso-session s]\nsso_region = us-east-1\nsso_start_url = https://x.example/start\n",
            "p",
            "Error loading SSO Token",
        ),
        ("[profile p]\ncredential_process = false\n", "p", "Error when retrieving credentials"),
        ("[profile p]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = q\n", "p", "source"),
    ],
    ids=["profile", "configuration", "sso", "process", "role"],
)
@pytest.mark.parametrize("command", [["switch", "engage", "--yes"], ["verify"]])
def test_a_broken_aws_configuration_is_named(tmp_path, config, profile, says, command):
    (tmp_path / "config").write_text(config)
    environment = clean(
        HOME=str(tmp_path), AWS_CONFIG_FILE=str(tmp_path / "config"), AWS_PROFILE=profile
    )

    done = started([*command, *descriptor(tmp_path), "--json"], tmp_path, environment)

    document = json.loads(done.stdout)
    assert done.returncode == document["exit_code"] == ExitCode.PREREQUISITE
    assert says in document["error"]["message"]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["--help"], ["switch", "--help"], ["customers", "x"]])
def test_a_reader_that_has_gone_is_no_error(tmp_path, words):
    read, written = os.pipe()
    os.close(read)
    with os.fdopen(written, "w") as pipe:
        done = subprocess.run(
            [sys.executable, "-m", "ops", *words],
            stdout=pipe, stderr=subprocess.PIPE, cwd=tmp_path, env=clean(), text=True,
        )  # fmt: skip

    assert done.returncode in CODES
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_output_that_cannot_be_written_is_an_error(tmp_path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ops", "switch", "engage", "--json"],
            stdout=full, stderr=subprocess.PIPE, cwd=tmp_path, env=clean(), text=True,
        )  # fmt: skip

    assert done.returncode == ExitCode.PREREQUISITE
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
