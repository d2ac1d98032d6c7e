"""Workflows are linted, and call this project's tools as these want to be called."""

import re
import shlex

import pytest
import yaml
from repository_files import REPOSITORY

from ops.__main__ import parser
from scans.workflows import SCHEMAS, problems

pytestmark = pytest.mark.unit

GITHUB = REPOSITORY / ".github"


@pytest.fixture
def linters(tmp_path):
    """Programs that print their arguments; `fails` chooses those that find something."""

    def linters(*fails):
        folder = tmp_path / "bin"
        folder.mkdir()
        for name in ("check-jsonschema", "zizmor"):
            program = folder / name
            program.write_text(f'#!/bin/sh\necho "{name} $*"\nexit {int(name in fails)}\n')
            program.chmod(0o755)
        return folder

    return linters


def test_every_file_is_linted(linters):
    found = "".join(problems(GITHUB, linters("check-jsonschema", "zizmor")))

    files = [str(file) for file in GITHUB.rglob("*.yml") if "ISSUE_TEMPLATE" not in file.parts]
    assert [file for file in files if file not in found] == []
    assert f"{GITHUB}\n" in found
    assert [schema for schema in SCHEMAS if schema not in found] == []


def test_nothing_is_reported_if_no_linter_finds_anything(linters):
    assert problems(GITHUB, linters()) == []


def test_what_one_linter_finds_is_reported(linters):
    (found,) = problems(GITHUB, linters("zizmor"))

    assert found.startswith("zizmor --offline")


def steps(name):
    workflow = yaml.safe_load((GITHUB / "workflows" / name).read_text())
    action = yaml.safe_load((GITHUB / "actions" / "prepare" / "action.yml").read_text())
    jobs = [step for job in workflow["jobs"].values() for step in job["steps"]]
    return [step["run"] for step in [*jobs, *action["runs"]["steps"]] if "run" in step]


def commands(name):
    """The commands of a workflow, parsed as the tool does."""
    lines = [
        re.split(r" (?:2?>|\|\||&&)", line)[0]
        for step in steps(name)
        for line in step.splitlines()
        if "-m ops" in line
    ]
    return [parser().parse_args(shlex.split(line)[3:]) for line in lines]


def test_the_commands_of_the_deployment_are_those_of_the_tool():
    parsed = commands("deploy.yml")

    assert [each.command for each in parsed]
    deployed = [each for each in parsed if hasattr(each, "until")]
    assert [(d.plan_only, d.until is not None, d.auto_approve) for d in deployed] == [
        (True, False, False), (False, True, True), (False, False, True),
    ]  # fmt: skip


def test_the_commands_of_the_weekly_drill_are_those_of_the_tool():
    verified, drilled, asked, *_ = commands("prove.yml")

    names = [each.command.split()[-1] for each in (verified, drilled, asked)]
    assert names == ["verify", "drill", "readiness"]
    # Nobody is there to confirm, and without --execute nothing is done on AWS.
    assert (drilled.fault, drilled.execute, drilled.yes) == ("switch", True, True)
