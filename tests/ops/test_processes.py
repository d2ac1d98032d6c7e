"""Background programs: which process is one, what a clock changes, and that they end."""

import os
import signal
import subprocess
import sys
import time
import uuid

import psutil
import pytest

from ops.processes import Program, end, program, start, started_at, with_variable

pytestmark = pytest.mark.unit

PATIENCE_SECONDS = 30
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]
IGNORE = [
    sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); "
    "time.sleep(600)",
]  # fmt: skip


@pytest.fixture
def begin(tmp_path):
    """Starts programs, and ends what is left of them."""
    begun = []

    def begin(command, **variables):
        begun.append(
            start(
                command, folder=tmp_path, log_file=tmp_path / "log",
                environment={**os.environ, **variables},
            )
        )  # fmt: skip
        return begun[-1]

    yield begin
    for each in begun:
        if process := each.process():
            process.kill()


def wait_until(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("step_seconds", [-86_400, -3600.5, 0.01, 3600, 86_400 * 365])
def test_a_clock_that_is_corrected_does_not_make_a_program_look_dead(
    begin, monkeypatch, step_seconds
):
    running = begin(SLEEP)

    # WHEN the clock is set, and with it the time at which the machine seems to have started
    create_time = psutil.Process.create_time
    monkeypatch.setattr(
        psutil.Process, "create_time", lambda self: create_time(self) + step_seconds
    )
    monkeypatch.setattr(time, "time", lambda: 0.0)

    # THEN it is still found, and found to be the same
    assert running.process().pid == running.pid
    assert program(running.pid) == running


def test_another_process_with_the_same_id_is_another_program(begin):
    running = begin(SLEEP)

    assert Program(running.pid, running.started_at + 0.01).process() is None
    assert not Program(running.pid, running.started_at - 5).stop()
    assert running.process()


def test_a_name_with_spaces_and_parentheses_does_not_hide_the_start(tmp_path):
    link = tmp_path / "a) S (b 1 2"
    link.symlink_to("/bin/sleep")
    with subprocess.Popen([link, "600"]) as process:
        try:
            assert program(process.pid).process()
            assert started_at(process.pid) >= started_at(os.getpid())
        finally:
            process.kill()


def test_a_program_that_has_ended_is_not_found(begin):
    running = begin(SLEEP)

    assert running.stop()
    assert running.process() is None
    assert not running.stop()
    with pytest.raises(psutil.NoSuchProcess):
        started_at(2**22 + 1)


def test_a_zombie_does_not_run():
    with subprocess.Popen(SLEEP) as process:
        running = program(process.pid)
        process.kill()
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)

        assert running.process() is None


def test_a_program_that_does_not_end_is_killed(begin, tmp_path):
    running = begin(IGNORE)
    wait_until(lambda: "on" in (tmp_path / "log").read_text())

    end([running.process()], timeout_seconds=0.1)

    assert running.process() is None


def test_all_that_a_program_has_started_is_found_when_it_is_gone(begin, tmp_path):
    # GIVEN a program with a child, which outlives it
    value = uuid.uuid4().hex
    parent = begin(
        ["sh", "-c", f'"{sys.executable}" -c "import time; time.sleep(600)" & wait'], MARK=value
    )
    wait_until(lambda: len(with_variable("MARK", value)) == 2)
    child = next(each for each in with_variable("MARK", value) if each.pid != parent.pid)
    os.kill(parent.pid, signal.SIGKILL)
    wait_until(lambda: parent.process() is None)

    # THEN the child is found, and nothing else is
    assert [each.pid for each in with_variable("MARK", value)] == [child.pid]
    assert with_variable("MARK", "another") == []

    end([child], timeout_seconds=5)
    assert with_variable("MARK", value) == []


def test_the_caller_is_never_among_the_processes_that_it_finds(begin):
    value = uuid.uuid4().hex
    command = (
        "import sys; from ops.processes import with_variable; print(with_variable(*sys.argv[1:]))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", command, "MARK", value],
        env={**os.environ, "MARK": value}, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip

    assert shown == "[]\n"
