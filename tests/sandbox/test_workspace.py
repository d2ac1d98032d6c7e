"""The folder of a sandbox: one command at a time, and nothing in it or running after `down`."""

import os
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, fields

import pytest

from ops.errors import ExitCode, OpsError
from ops.processes import start
from sandbox import lifecycle
from sandbox.__main__ import main
from sandbox.interrupts import deferred
from sandbox.listener import HOST
from sandbox.programs import end_strays
from sandbox.workspace import PROGRAMS, VARIABLE, Ports, Sandbox, Workspace

pytestmark = pytest.mark.unit

PATIENCE_SECONDS = 30
REPORT = "drills/local-20260101T120000Z.json"
"""What a drill has written, which is not the sandbox's."""
OTHERS = {REPORT, "trial.environment.json", "notes.log", "certificates/mine.pem"}


@pytest.fixture
def workspace(tmp_path):
    workspace = Workspace(tmp_path / "sandbox")
    yield workspace
    for process in workspace.processes():
        process.kill()


def run(workspace, *, environment=None):
    """A process as one of the sandbox's programs."""
    workspace.folder.mkdir(exist_ok=True)
    return start(
        [sys.executable, "-c", "import time; time.sleep(600)"],
        folder=workspace.folder,
        log_file=workspace.log_file("aws"),
        environment={**os.environ, VARIABLE: str(workspace.folder), **(environment or {})},
    )


def fill(workspace):
    """All that a sandbox writes, drafts of it included, and what others have written there."""
    own = (
        *(f"{name}.log" for name in PROGRAMS), "sandbox.json", ".sandbox.json.new",
        "local.environment.json", ".local.environment.json.17", "api-keys.tfvars.json",
        ".api-keys.tfvars.json.new", ".api-keys.tfvars.json.lock", "endpoints.json",
        ".endpoints.json.new", "endpoints.config.json", "certificates/ca.pem",
        "certificates/ca.key", "terraform/terraform.local.tfstate", "temporary/local-aws-x/state",
        "drills/local.journal.json",
    )  # fmt: skip
    for name in (*own, *OTHERS):
        path = workspace.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")


def files(workspace):
    found = workspace.folder.rglob("*")
    return {str(path.relative_to(workspace.folder)) for path in found if path.is_file()}


def note(workspace, **programs):
    workspace.note(Sandbox(Ports(), 1.0, programs))


def test_down_leaves_no_process_and_no_file(workspace):
    # GIVEN programs, one of which is not noted, as after a crash
    noted, stray = run(workspace), run(workspace)
    fill(workspace)
    note(workspace, aws=noted)

    # WHEN it is taken down
    assert main(["down", "--folder", str(workspace.folder)]) == ExitCode.PASSED

    # THEN nothing of it is left, and all of others' is
    assert [noted.process(), stray.process()] == [None, None]
    assert files(workspace) == OTHERS


def test_down_of_a_folder_that_was_removed_ends_what_runs(workspace, capsys):
    stray = run(workspace)
    for file in workspace.folder.iterdir():
        file.unlink()
    workspace.folder.rmdir()

    assert main(["down", "--folder", str(workspace.folder)]) == ExitCode.PASSED

    assert stray.process() is None
    assert "is down" in capsys.readouterr().out
    assert not workspace.folder.exists()


def test_down_of_nothing_leaves_nothing(workspace):
    assert main(["down", "--folder", str(workspace.folder)]) == ExitCode.PASSED
    assert not workspace.folder.exists()


def test_processes_of_other_sandboxes_are_left_alone(workspace):
    other = Workspace(workspace.folder.with_name("other"))
    running = run(other)

    with workspace.locked():
        lifecycle.down(workspace)

    assert running.process()
    running.process().kill()


def test_programs_that_are_noted_are_no_strays(workspace):
    noted, stray = run(workspace), run(workspace)
    note(workspace, aws=noted)

    assert end_strays(workspace)

    assert noted.process()
    assert stray.process() is None
    assert not end_strays(workspace)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OpsError("x", next_step="y"), OSError()])
def test_what_is_begun_and_fails_leaves_no_process_and_no_file(workspace, error):
    def begin():
        with (
            deferred() as interrupts,
            workspace.locked(),
            lifecycle.whole_or_nothing(workspace, interrupts),
        ):
            note(workspace, aws=run(workspace))
            fill(workspace)
            run(workspace)
            raise error

    with pytest.raises(type(error)):
        begin()

    assert workspace.processes() == []
    assert files(workspace) == OTHERS


def test_a_second_signal_does_not_interrupt_the_clean_up(workspace, monkeypatch):
    down = lifecycle.down

    def interrupted_down(workspace):
        os.kill(os.getpid(), signal.SIGINT)
        return down(workspace)

    monkeypatch.setattr(lifecycle, "down", interrupted_down)

    def begin():
        with (
            deferred() as interrupts,
            workspace.locked(),
            lifecycle.whole_or_nothing(workspace, interrupts),
        ):
            note(workspace, aws=run(workspace))
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        begin()

    assert workspace.processes() == []
    assert not workspace.folder.exists()


def test_what_ran_before_continues_to_run_when_bringing_it_up_to_date_fails(workspace):
    running = run(workspace)
    note(workspace, aws=running)

    def update():
        with (
            deferred() as interrupts,
            workspace.locked(),
            lifecycle.whole_or_nothing(workspace, interrupts),
        ):
            raise OpsError("terraform apply failed", next_step="fix it")

    with pytest.raises(OpsError):
        update()

    assert running.process()
    assert workspace.running()


def test_a_command_of_a_folder_excludes_every_other_one(workspace, capsys):
    with workspace.locked():
        for command in (["up", "--no-deploy", "--free-ports"], ["down"]):
            assert main([*command, "--folder", str(workspace.folder)]) == ExitCode.PREREQUISITE
            assert "another up or down is working" in capsys.readouterr().err

    assert not workspace.folder.exists()


@pytest.mark.parametrize("command", [["up", "--no-deploy", "--free-ports"], ["up"], ["down"]])
def test_a_folder_that_cannot_be_written_is_one_line_and_the_next_step(tmp_path, command, capsys):
    (tmp_path / "file").touch()

    code = main([*command, "--folder", str(tmp_path / "file" / "sandbox")])

    error, next_step = capsys.readouterr().err.splitlines()
    assert code == ExitCode.PREREQUISITE
    assert error.endswith("cannot be used: Not a directory")
    assert next_step.startswith("  Next: make it writable, with free space")


def test_the_lock_excludes_even_while_its_file_is_removed(workspace):
    """GIVEN commands that take the lock and remove its file, THEN never two have it at once."""
    inside, most = [], []

    def take(_):
        for _ in range(50):
            try:
                with workspace.locked():
                    inside.append(1)
                    most.append(len(inside))
                    time.sleep(0.0005)
                    inside.pop()
            except OpsError:
                time.sleep(0.0005)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(take, range(4)))

    assert set(most) == {1}


@pytest.mark.parametrize("speed", ["0.5", "0", "-1", "nan", "inf", "1000000", "fast", ""])
def test_a_speed_that_route_53_cannot_run_at_is_refused_with_the_fix(workspace, speed, capsys):
    try:
        code = main(["up", f"--speed={speed}", "--folder", str(workspace.folder)])
    except SystemExit as ended:
        code = ended.code

    assert code == ExitCode.USAGE
    assert "give a factor of 1, as fast as AWS, or more" in capsys.readouterr().err
    assert not workspace.folder.exists()


@pytest.mark.parametrize(
    ("option", "fix"),
    [
        ("--cold-start=-1", "give seconds on AWS from 0 to 60"),
        ("--cold-start=61", "give seconds on AWS from 0 to 60"),
        ("--lambda-concurrency=10", "give a Region and a whole number of 0 or more"),
        ("--lambda-concurrency=us-west-9=10", "for example us-west-2=10"),
        ("--lambda-concurrency=us-west-2=many", "for example us-west-2=10"),
        ("--api-throttle=us-west-2=100", "for example us-west-2=100/50"),
        ("--api-throttle=us-west-2=a/b", "for example us-west-2=100/50"),
    ],
)
def test_a_capacity_that_cannot_be_is_refused_with_the_fix(workspace, option, fix, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["up", option, "--folder", str(workspace.folder)])

    assert ended.value.code == ExitCode.USAGE
    assert fix in capsys.readouterr().err
    assert not workspace.folder.exists()


def test_a_running_sandbox_takes_no_other_capacity(workspace, monkeypatch, capsys):
    # A running sandbox without programs: only what it was started with is asked.
    running = Sandbox(Ports(), 10.0, {}, ("--lambda-concurrency=us-west-2=10",))
    monkeypatch.setattr(Workspace, "running", lambda _: running)

    options = ["--lambda-concurrency=us-west-2=10", "--lambda-concurrency=us-east-1=5"]
    code = main(["up", *options, "--folder", str(workspace.folder)])

    assert code == ExitCode.USAGE
    error = capsys.readouterr().err
    assert "runs without --lambda-concurrency=us-east-1=5, which it takes at its start" in error


def test_ports_that_are_used_are_not_chosen(monkeypatch):
    chosen = Ports.free()
    others = iter([chosen.aws, chosen.aws, chosen.aws + len(fields(Ports))])
    monkeypatch.setattr("random.randrange", lambda *_: next(others))

    with socket.create_server((HOST, chosen.status)):
        ports = Ports.free()

    assert ports.aws == chosen.aws + len(fields(Ports))
    assert next(others, None) is None


def test_nothing_else_is_given_a_chosen_port_before_it_is_used():
    lowest = 32_768

    assert all(1024 < port < lowest for port in asdict(Ports.free()).values())


def test_a_sandbox_that_ends_takes_its_releases_with_it_and_no_others(tmp_path):
    for environment in ("local", "trial"):
        (tmp_path / "releases" / environment / "kept").mkdir(parents=True)

    Workspace(tmp_path).clear()

    assert [each.name for each in (tmp_path / "releases").iterdir()] == ["trial"]
