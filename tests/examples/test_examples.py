"""The examples as their authors would run them: with the wheel installed, outside of the clone.

The environment is empty but for the wheel. Its dependencies come from the environment of the tests,
by a path file, in place of a download of 800 MB; nothing of the repository is on the path.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib.metadata import version

import pytest
from packaging.requirements import Requirement
from repository_files import REPOSITORY

EXAMPLES = sorted(path.parent.name for path in (REPOSITORY / "examples").glob("*/main.py"))
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
REQUIREMENTS = [
    *PROJECT["dependencies"],
    *(each for extra in PROJECT["optional-dependencies"].values() for each in extra),
]


def run(*command, cwd, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "FAILOVER"))}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd, env=environment | variables, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "uv", "build", "--offline", "--out-dir", folder, cwd=REPOSITORY)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """Python of an environment with the wheel."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    options = ("--offline", "--no-deps", "--python", python)
    run(sys.executable, "-m", "uv", "pip", "install", *options, wheel, cwd=folder)
    (site_packages,) = folder.glob("lib/python*/site-packages")
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return python


@pytest.mark.program
def test_wheel_has_the_library_and_the_operators_tool_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.partition("/")[0] for name in names} == {
        "constructs_lib", "cdktf_bindings", "ops",
        f"multi_region_failover_api-{PROJECT['version']}.dist-info",
    }  # fmt: skip
    for name in ("constructs_lib/py.typed", "cdktf_bindings/py.typed", "cdktf_bindings/kernel.cjs"):
        assert name in names


@pytest.mark.program
def test_installed_library_comes_from_the_wheel_and_the_repository_is_not_importable(
    python, tmp_path
):
    found = json.loads(
        run(
            python, "-c",
            "import importlib.util as u, json; print(json.dumps({n: s and s.origin for n, s in"
            " ((n, u.find_spec(n)) for n in ('constructs_lib', 'ops', 'weather_api', 'sandbox',"
            " 'scripts', 'get_health', 'repository_files'))}))",
            cwd=tmp_path,
        )
    )  # fmt: skip
    installed = {name: origin for name, origin in found.items() if origin}

    assert set(installed) == {"constructs_lib", "ops"}
    assert all(origin.startswith(str(python.parent.parent)) for origin in installed.values())


@pytest.mark.program
def test_the_operators_tool_is_a_command(python, tmp_path):
    assert "verify" in run(python.with_name("failover-ops"), "--help", cwd=tmp_path)


@pytest.mark.plan
@pytest.mark.parametrize("name", EXAMPLES)
def test_example_is_synthesized_and_terraform_validates_it(name, python, tmp_path):
    example = shutil.copytree(
        REPOSITORY / "examples" / name, tmp_path / name,
        ignore=shutil.ignore_patterns("__pycache__", "cdktf.out"),
    )  # fmt: skip

    run(python, "main.py", cwd=example)

    (stack,) = (example / "cdktf.out" / "stacks").iterdir()
    run("terraform", "init", "-backend=false", "-input=false", cwd=stack)
    answer = json.loads(run("terraform", "validate", "-json", cwd=stack))
    assert (answer["valid"], answer["diagnostics"]) == (True, [])


@pytest.mark.unit
def test_minimal_example_is_at_most_60_lines():
    assert len((REPOSITORY / "examples" / "minimal" / "main.py").read_text().splitlines()) <= 60


@pytest.mark.unit
@pytest.mark.parametrize("requirement", REQUIREMENTS)
def test_what_is_tested_with_is_within_the_ranges_of_the_dependencies(requirement):
    needed = Requirement(requirement)

    assert needed.specifier.contains(version(needed.name))
