"""Every command of README, typed into one shell, in a copy of the repository and nothing else.

The tutorial's commands on Terraform are typed where the sandbox runs. `as_typed` says what differs
from the text. What is left out is run by `.ci/run`, on a fresh clone.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from repository_files import REPOSITORY, SHIPPED
from test_runbooks import blocks_in

from sandbox.programs import check_free
from sandbox.workspace import Ports

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive]

BLOCKS = blocks_in(REPOSITORY / "README.md")
(TUTORIAL_ON_TERRAFORM,) = (
    block for block in blocks_in(REPOSITORY / "docs" / "tutorial.md") if "terraform" in block.text
)
LEFT_OUT = {"make check", "make scan"}
PATIENCE_SECONDS = 900
SHOWS = {
    "make up": r"The weather API on this machine",
    "python -m sandbox up --open": r"http://127\.0\.0\.1:\d+/",
    "python -m ops verify --environment local": "passed",
    "python -m ops drill --fault refuse --environment local": r"writes: \d+ acknowledged, 0 lost",
    "terraform -chdir=.local/terraform/cdktf.out/stacks/local plan": "No changes",
    "pipenv run cdktf list": r"stacks/example[^/]*\n.*stacks/local",
    "pipenv run cdktf deploy local --auto-approve": "https://weather.example.com/v1",
}
"""What the outputs of some commands contain; every command has to exit with 0."""


class Shell:
    """One bash that stays open, as a reader's does."""

    END = "---- end"

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"], cwd=folder, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip

    def type(self, command: str, attempts: int = 3) -> str:
        """Run a command to its end, and return what it printed.

        A command that hangs, or fails, fails the test. On a busy machine, a health check may need
        a while until it has recovered, and a function may not reach its table in time: `verify`
        is run again, and a request that the API asks to repeat is repeated.
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
        failed = code == "1" and "ops verify" in command
        if (failed or "please repeat the request" in output) and attempts > 1:
            time.sleep(10)
            return self.type(command, attempts - 1)
        assert code == "0", f"{command}\nended with {code}:\n{output[-4000:]}"
        return output

    def kill(self) -> None:
        """Kill the shell, and what it runs in the foreground."""
        os.killpg(self._bash.pid, signal.SIGKILL)

    def end(self) -> None:
        """Close the shell."""
        self._bash.stdin.close()
        self._bash.stdout.close()
        self._bash.wait()


@pytest.fixture(scope="module", autouse=True)
def usual_ports():
    """The default ports, which `make up` takes: another sandbox would be in the way."""
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
    # Named as `.ci/run` knows a cache, which it must not take for a mirror.
    cache = tmp_path_factory.mktemp("home") / "plugin-cache"
    cache.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(strangers)} | {
        "PATH": os.pathsep.join(
            part for part in os.environ["PATH"].split(os.pathsep)
            if not Path(part).is_relative_to(REPOSITORY)
        ),
        "PYTHON": str(Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"),
        "BROWSER": "true",
        # cdktf's own is in the home folder, and may be the mirror itself: Terraform refuses that.
        "TF_PLUGIN_CACHE_DIR": str(cache),
        "COLUMNS": "200",
    }  # fmt: skip
    shell = Shell(clone, environment)
    yield shell
    shell.end()
    python = clone / ".venv" / "bin" / "python"
    if python.exists():
        subprocess.run([python, "-m", "sandbox", "down"], cwd=clone, env=environment)


def test_every_shell_block_is_found():
    languages = re.findall(r"^ *```(.*)$", (REPOSITORY / "README.md").read_text(), re.MULTILINE)

    assert {*languages} <= {"", "bash", "python"}
    assert languages.count("bash") == len(BLOCKS)


def test_every_command_of_readme_works(clone, shell):
    typed = []

    def type_block(block):
        for command in block.commands:
            plain = command.partition("  #")[0].strip()
            if plain in LEFT_OUT:
                continue
            output = shell.type(as_typed(plain))
            assert re.search(SHOWS.get(plain, ""), output), f"{command}\n{output[-4000:]}"
            typed.append(plain)
            if plain == "make up":
                call_what_is_printed(shell, output)
                type_block(TUTORIAL_ON_TERRAFORM)

    for block in BLOCKS:
        type_block(block)

    assert {*SHOWS} <= {*typed}
    # The state of cdktf's deployment is beside cdktf.out, where the next synthesis keeps it.
    state = json.loads((clone / "terraform.local.tfstate").read_text())
    assert len(state["resources"]) > 100


def as_typed(command):
    """A command as README has it, except for what depends on the machine."""
    if command.startswith("pipenv run cdktf deploy"):
        # A machine with a mirror of providers has no registry to lock them with.
        return f"{command} --skip-provider-lock"
    if "ops drill" in command:
        # A sandbox is 20 times as fast as AWS, and so the time of a busy machine counts 20 times.
        return f"{command} --max-rto-seconds 600"
    return command


def call_what_is_printed(shell, output):
    """Run the commands that `make up` prints to call the API."""
    lines = re.findall(r"^  (curl .*)$", output, re.MULTILINE)

    assert len(lines) == 3
    shell.type(". .venv/bin/activate")
    for line in lines:
        assert re.search(r'"status": ?"ok"|"location": ?"amsterdam"', shell.type(line)), line
