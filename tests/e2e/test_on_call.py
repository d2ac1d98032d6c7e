"""`ops` with Pipfile's [packages] alone, in a folder that holds a descriptor and nothing else."""

import json
import shutil
import subprocess
import sys
import venv

import pytest
from repository_files import REPOSITORY

pytestmark = [pytest.mark.e2e, pytest.mark.exhaustive]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Python with the packages, and where the tool was copied to."""
    folder = tmp_path_factory.mktemp("laptop")
    lock = json.loads((REPOSITORY / "Pipfile.lock").read_text())
    (folder / "lock.json").write_text(json.dumps({"default": lock["default"], "develop": {}}))
    venv.create(folder / "venv", symlinks=True)
    subprocess.run(
        [sys.executable, "scripts/install.py", "--lock", folder / "lock.json",
         "--environment", folder / "venv"],
        cwd=REPOSITORY, check=True,
    )  # fmt: skip
    for package in ("ops", "constructs_lib"):
        shutil.copytree(REPOSITORY / package, folder / "tool" / package)
    return folder / "venv" / "bin" / "python", folder / "tool"


@pytest.fixture
def laptop(api, installed, tmp_path):
    python, tool = installed
    shutil.copy(api.workspace.descriptor_file, tmp_path / "descriptor.json")

    def run(*arguments):
        return subprocess.run(
            [python, "-m", "ops", *arguments, "--descriptor", "descriptor.json"],
            cwd=tmp_path, env={"PYTHONPATH": str(tool), "PATH": "/nowhere", "COLUMNS": "200"},
            capture_output=True, text=True,
        )  # fmt: skip

    return run


def test_a_region_is_evacuated_reported_and_restored(laptop, tmp_path):
    evacuated = laptop("switch", "engage", "--reason", "us-east-1 is down")
    try:
        status = laptop("switch", "status")
    finally:
        released = laptop("switch", "release")
    after = laptop("switch", "status")

    for done in (evacuated, status, released, after):
        assert done.returncode == 0, done.stdout + done.stderr
    assert "within 30 s (health check: 10 s x 3)" in evacuated.stdout
    assert "reason: us-east-1 is down" in status.stdout
    assert "is restored" in released.stdout
    assert "us-east-1 of local is not evacuated." in after.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["descriptor.json"]


def test_the_environment_is_verified(laptop):
    verified = laptop("verify", "--json")

    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert json.loads(verified.stdout)["passed"]
