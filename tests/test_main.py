"""main.py as its users run it: a program."""

import os
import shutil
import subprocess
import sys

import pytest
from repository_files import ENVIRONMENTS, REPOSITORY

from constructs_lib.settings import load
from constructs_lib.settings.stack_names import parts, stack_name

pytestmark = pytest.mark.program

SOURCES = (
    *("main.py", "weather_api", "constructs_lib", "cdktf_bindings"),
    *("lambda_src", "environments"),
)

# Another clock for Python and for the jsii kernel: a year later, and at another speed.
OTHER_CLOCK_PYTHON = """
import time
_time = time.time
time.time = lambda: _time() * 1.02 + 31_536_000
time.time_ns = lambda: int(time.time() * 1e9)
"""
OTHER_CLOCK_NODE = """
const now = Date.now; Date.now = () => now() + 31536000000;
"""


def checkout(folder, copy=shutil.copy2):
    """A copy of the sources; with `shutil.copyfile`, at other times and so without bytecode."""
    folder.mkdir(parents=True)
    for name in SOURCES:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, copy_function=copy)
        else:
            copy(source, folder / name)
    return folder


def run_main(folder, **environment):
    return subprocess.Popen(
        [sys.executable, str(folder / "main.py")],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def synthesized_files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_inputs_give_the_same_bytes_in_any_folder_at_any_time(tmp_path):
    # GIVEN two checkouts, one of them with another clock and another hash seed
    one = checkout(tmp_path / "one")
    other = checkout(tmp_path / "a folder" / "further down", copy=shutil.copyfile)
    clock = tmp_path / "clock"
    clock.mkdir()
    (clock / "sitecustomize.py").write_text(OTHER_CLOCK_PYTHON)
    (clock / "clock.js").write_text(OTHER_CLOCK_NODE)

    # WHEN main.py runs in each
    runs = [
        run_main(one, PYTHONHASHSEED="1"),
        run_main(
            other,
            PYTHONHASHSEED="2",
            PYTHONPATH=str(clock),
            NODE_OPTIONS=f"--require={clock / 'clock.js'}",
            TZ="Pacific/Kiritimati",
        ),
    ]
    for run in runs:
        _, errors = run.communicate()
        assert run.returncode == 0, errors

    # THEN every environment is synthesized, to the same bytes, without a path of this machine
    files = synthesized_files(one / "cdktf.out")
    stacks = {stack_name(each, part) for each in map(load, ENVIRONMENTS) for part in parts(each)}
    assert {f"stacks/{stack}/cdk.tf.json" for stack in stacks} <= files.keys()
    assert files == synthesized_files(other / "cdktf.out")
    assert not [name for name, content in files.items() if str(tmp_path).encode() in content]


def test_one_environment_can_be_named(tmp_path):
    folder = checkout(tmp_path / "checkout")

    run = run_main(folder, FAILOVER_ENVIRONMENT="local")
    _, errors = run.communicate()

    assert run.returncode == 0, errors
    assert [path.name for path in (folder / "cdktf.out" / "stacks").iterdir()] == ["local"]


def test_synthesis_runs_no_terraform(tmp_path):
    # GIVEN a Terraform that notes that it was run, and fails
    terraform = tmp_path / "terraform"
    terraform.write_text(f"#!/bin/sh\ntouch {tmp_path / 'was-run'}\nexit 1\n")
    terraform.chmod(0o755)

    run = run_main(
        REPOSITORY,
        CDKTF_OUTDIR=str(tmp_path / "output"),
        PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
    )
    _, errors = run.communicate()

    assert run.returncode == 0, errors
    assert not (tmp_path / "was-run").exists()


def test_the_output_may_lie_in_folders_that_are_not_there_yet(tmp_path):
    folder = checkout(tmp_path / "checkout")
    output = tmp_path / "not" / "yet"

    run = run_main(folder, FAILOVER_ENVIRONMENT="local", CDKTF_OUTDIR=str(output))
    _, errors = run.communicate()

    assert run.returncode == 0, errors
    assert (output / "stacks" / "local" / "cdk.tf.json").is_file()


def test_an_output_that_cannot_be_made_is_one_line_and_exit_code_3(tmp_path):
    folder = checkout(tmp_path / "checkout")
    (tmp_path / "file").touch()

    run = run_main(folder, CDKTF_OUTDIR=str(tmp_path / "file" / "output"))
    _, errors = run.communicate()

    assert run.returncode == 3
    assert errors.count("\n") == 1
    assert "CDKTF_OUTDIR" in errors


FULL_DISK_PYTHON = """
import errno, pathlib
def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")
pathlib.Path.write_bytes = full
"""
"""For what Python itself writes: the functions' archive, in a folder of any name."""


@pytest.mark.parametrize("writer", ["python", "node"])
def test_a_full_disk_is_one_line_and_exit_code_3(tmp_path, writer):
    output = tmp_path / "output"
    output.mkdir()
    if writer == "python":
        (tmp_path / "sitecustomize.py").write_text(FULL_DISK_PYTHON)
    else:
        (output / "manifest.json").symlink_to("/dev/full")

    run = run_main(
        REPOSITORY,
        FAILOVER_ENVIRONMENT="local",
        CDKTF_OUTDIR=str(output),
        PYTHONPATH=str(tmp_path),
    )
    _, errors = run.communicate()

    assert run.returncode == 3, errors
    assert errors.count("\n") == 1, errors
    assert f"{output}, or a temporary file, cannot be written (" in errors
    assert "no space left on device" in errors.lower()


def test_errors_of_all_files_are_reported_at_once_without_a_traceback_or_the_bindings(tmp_path):
    # GIVEN two files with an error each, and no bindings to load
    folder = checkout(tmp_path / "checkout")
    for name in ("local", "example"):
        path = folder / "environments" / f"{name}.toml"
        path.write_text(path.read_text().replace('"us-west-2"', '"us-wset-2"'))
    (folder / "cdktf.py").write_text("raise SystemExit('cdktf was imported')")

    # WHEN main.py runs
    run = run_main(folder)
    output, errors = run.communicate()

    # THEN both are named, nothing is synthesized and the exit code says that settings are invalid
    assert run.returncode == 2
    assert output == ""
    assert "local.toml: 1 error" in errors
    assert "example.toml: 1 error" in errors
    assert errors.count("Fix: write us-west-2.") == 2
    assert "Traceback" not in errors
    assert not (folder / "cdktf.out").exists()


def test_an_unknown_environment_is_reported_with_those_that_exist(tmp_path):
    run = run_main(checkout(tmp_path / "checkout"), FAILOVER_ENVIRONMENT="prod")
    _, errors = run.communicate()

    assert run.returncode == 2
    assert "one of: example, local" in errors


@pytest.mark.parametrize("named", [None, "folder"])
def test_a_folder_with_the_name_of_an_environment_is_reported(tmp_path, named):
    folder = checkout(tmp_path / "checkout")
    (folder / "environments" / "folder.toml").mkdir()

    run = run_main(folder, **({"FAILOVER_ENVIRONMENT": named} if named else {}))
    _, errors = run.communicate()

    assert run.returncode == 2
    assert "folder.toml: 1 error" in errors
    assert "cannot be read: Is a directory" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("named", [None, "trial"])
def test_two_environments_of_one_account_may_not_share_state_name_or_table(tmp_path, named):
    # GIVEN a copy of the example in which only the stack's name differs
    folder = checkout(tmp_path / "checkout")
    example = folder / "environments" / "example.toml"
    shutil.copyfile(example, folder / "environments" / "trial.toml")

    run = run_main(folder, **({"FAILOVER_ENVIRONMENT": named} if named else {}))
    _, errors = run.communicate()

    assert run.returncode == 2
    for shared in ("backend.key", "domain.record_name", "table.name"):
        assert f"{shared}: " in errors
    assert "is also what the environment example uses" in errors
    assert "Traceback" not in errors


def test_the_lock_file_beside_an_environment_file_is_put_where_terraform_looks(tmp_path):
    # GIVEN an environment with a lock file
    folder = tmp_path / "environments"
    folder.mkdir()
    shutil.copy(REPOSITORY / "environments" / "local.toml", folder)
    (folder / "local.lock.hcl").write_text("# the lock file of local\n")

    # WHEN it is synthesized, twice
    for _ in range(2):
        process = run_main(
            REPOSITORY,
            FAILOVER_ENVIRONMENTS=str(folder),
            CDKTF_OUTDIR=str(tmp_path / "out"),
        )
        _, errors = process.communicate()
        assert process.returncode == 0, errors

    # THEN Terraform finds the file beside the configuration
    placed = tmp_path / "out" / "stacks" / "local" / ".terraform.lock.hcl"
    assert placed.read_text() == "# the lock file of local\n"
