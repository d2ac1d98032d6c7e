"""README, typed line by line into one shell, in a copy of the repository that holds nothing else.

Only `make test` is left out, as it runs this. AWS is the local one, in the account that the
environment `trial` names. What is typed otherwise stands in `as_typed`.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

import boto3
import pytest
from repository_files import REPOSITORY, SHIPPED
from test_runbooks import blocks_in

from ops.stand import Ports, Workspace, check_free, start_aws, stop

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("terraform_ready")]

BLOCKS = blocks_in(REPOSITORY / "README.md")
LEFT_OUT = {"make test"}
PATIENCE_SECONDS = 900
ACCOUNT = "444455556666"
SHOWS = {
    "make up": r"The weather API on this machine",
    "python -m ops local up --open": r"http://127\.0\.0\.1:\d+/",
    "python -m ops verify": "passed",
    "python -m ops drill --fault refuse": r"writes: \d+ acknowledged, 0 lost\nThe drill passed",
    "pipenv run cdktf list": r"stacks/example[^/]*\n.*stacks/local[^/]*\n.*stacks/trial",
    "pipenv run cdktf diff trial": "to add, 0 to change, 0 to destroy",
    "pipenv run cdktf deploy trial": "https://weather.example.com/v1",
    "terraform -chdir=cdktf.out/stacks/trial plan": "No changes",
    "pipenv run cdktf deploy local --auto-approve": "https://weather.example.com/v1",
}
"""What the outputs of some commands hold; every command has to end with 0."""


class Shell:
    """One bash that stays open, as a reader's does."""

    END = "---- end"

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=folder, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip

    def type(self, command: str) -> str:
        """Runs a command to its end, and returns what it has told.

        A command that hangs, or fails, fails the test.
        """
        self._bash.stdin.write(f'{{ {command}\n}} </dev/null\necho "\n{self.END} $?"\n')
        self._bash.stdin.flush()
        watchdog = threading.Timer(PATIENCE_SECONDS, self.kill)
        watchdog.start()
        lines = []
        try:
            for line in self._bash.stdout:
                if line.startswith(self.END):
                    break
                lines.append(line)
            else:
                line = f"{self.END} nothing: the shell ended, or waited {PATIENCE_SECONDS} s"
        finally:
            watchdog.cancel()
        output = "".join(lines)
        code = line.removeprefix(self.END).strip()
        assert code == "0", f"{command}\nended with {code}:\n{output[-4000:]}"
        return output

    def kill(self) -> None:
        """Ends the shell, and what it runs in the foreground."""
        os.killpg(self._bash.pid, signal.SIGKILL)

    def end(self) -> None:
        """Closes the shell."""
        self._bash.stdin.close()
        self._bash.stdout.close()
        self._bash.wait()


@pytest.fixture(scope="module", autouse=True)
def usual_ports():
    """The ports that `make up` takes: a stand of somebody's own is in the way."""
    for name, port in asdict(Ports()).items():
        check_free(name, port)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What a clone would hold if all that git sees here were committed."""
    folder = tmp_path_factory.mktemp("readme") / "clone"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    for name in filter(None, listed.split("\0")):
        source, copy = REPOSITORY / name, folder / name
        own = source.parent.name == "environments" and source.stem not in SHIPPED
        if source.is_file() and not own:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy)
    yield folder
    # Some two gigabytes, with all that it has installed.
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def shell(clone, tmp_path_factory):
    strangers = ("AWS_", "FAILOVER_", "TF_VAR_", "PIPENV_", "VIRTUAL_ENV", "PYTHON", "MAKE")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(strangers)} | {
        "PATH": os.pathsep.join(
            part for part in os.environ["PATH"].split(os.pathsep)
            if not Path(part).is_relative_to(REPOSITORY)
        ),
        "PYTHON": str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"),
        "BROWSER": "true",
        # cdktf's own is in the home folder, and may be the mirror itself: Terraform refuses that.
        "TF_PLUGIN_CACHE_DIR": str(tmp_path_factory.mktemp("providers")),
        "COLUMNS": "200",
    }  # fmt: skip
    shell = Shell(clone, environment)
    yield shell
    shell.end()
    python = clone / ".venv" / "bin" / "python"
    if python.exists():
        subprocess.run([python, "-m", "ops", "local", "down"], cwd=clone, env=environment)


@pytest.fixture(scope="module")
def aws_of_trial(tmp_path_factory):
    """An account with what README asks for before the first deployment, as shell exports."""
    workspace = Workspace(tmp_path_factory.mktemp("aws"))
    variables = start_aws(workspace, Ports.free(), speed=1).variables | {
        "AWS_ACCESS_KEY_ID": ACCOUNT
    }

    def client(service, region):
        return boto3.client(
            service, region_name=region, endpoint_url=variables["AWS_ENDPOINT_URL"],
            aws_access_key_id=ACCOUNT, aws_secret_access_key="test",
        )  # fmt: skip

    client("s3", "us-west-2").create_bucket(
        Bucket="example-terraform-state",
        CreateBucketConfiguration={"LocationConstraint": "us-west-2"},
    )
    client("route53", "us-east-1").create_hosted_zone(Name="example.com", CallerReference="1")
    yield "export " + " ".join(f"{name}={value}" for name, value in variables.items())
    stop(workspace)


def test_every_block_of_a_shell_is_found():
    languages = re.findall(r"^ *```(.*)$", (REPOSITORY / "README.md").read_text(), re.MULTILINE)

    assert {*languages} <= {"", "bash", "python"}
    assert languages.count("bash") == len(BLOCKS)


def test_every_line_can_be_typed_as_it_stands(clone, shell, aws_of_trial):
    typed = []
    for block in BLOCKS:
        if "trial" in block.text:
            shell.type(aws_of_trial)
        for command in block.commands:
            plain = command.partition("  #")[0].strip()
            if plain in LEFT_OUT:
                continue
            output = shell.type(as_typed(plain))
            assert re.search(SHOWS.get(plain, ""), output), f"{command}\n{output[-4000:]}"
            typed.append(plain)
            if plain == "make up":
                call_what_is_told(shell, output)
            if plain.startswith("sed ") and plain.endswith("trial.toml"):
                spare_the_wait_for_deletion_protection(clone / "environments" / "trial.toml")

    assert {*SHOWS} <= {*typed}
    # The state stands beside cdktf.out, where the next synth does not touch it.
    state = json.loads((clone / "terraform.local.tfstate").read_text())
    assert len(state["resources"]) > 100


def as_typed(command):
    """A command as README has it, but for what depends on the machine or on somebody's answer."""
    if command.startswith("export TF_CLI_ARGS_init="):
        # The mirror of this machine, if there is one.
        return 'export TF_CLI_ARGS_init="$TF_CLI_ARGS_init"'
    if command.startswith(("pipenv run cdktf diff", "pipenv run cdktf deploy")):
        # A machine with a mirror of providers has no registry to lock them with, as README says.
        command += " --skip-provider-lock"
    if command.startswith("pipenv run cdktf deploy") and "--auto-approve" not in command:
        # Nobody is there to review.
        command += " --auto-approve"
    return command


def call_what_is_told(shell, output):
    """The lines that `make up` gives to call the API."""
    lines = re.findall(r"^  (curl .*)$", output, re.MULTILINE)

    assert len(lines) == 3
    shell.type(". .venv/bin/activate")
    for line in lines:
        assert re.search(r'"status": ?"ok"|"location": ?"amsterdam"', shell.type(line)), line


def spare_the_wait_for_deletion_protection(environment_file):
    """The provider waits three minutes for nothing before it protects a replica."""
    text = environment_file.read_text()
    assert "deletion_protection = true " in text
    environment_file.write_text(
        text.replace("deletion_protection = true ", "deletion_protection = false ")
    )
