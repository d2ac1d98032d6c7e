"""What a release would change: by Region, in order, and never data."""

import json
import subprocess
import sys
import time
from dataclasses import replace

import pytest
from fake_environment import EAST, WEST, outputs, sandbox_access
from repository_files import REPOSITORY

from ops.deploy.changes import Action, Change, StackPlan, changes_in
from ops.deploy.planning import plan_stack, plan_stacks, refuse_to_destroy_data
from ops.deploy.stack_terraform import StackTerraform
from ops.deploy.workplace import Workplace
from ops.descriptor import Descriptor
from ops.errors import ExitCode, OpsError
from ops.folders import OUTPUT_FOLDER
from ops.http_client import Network

pytestmark = pytest.mark.unit

PROVIDERS = {
    f"aws.{alias}": {"name": "aws", "expressions": {"region": {"constant_value": region}}}
    for alias, region in (("primary", EAST), ("secondary", WEST))
}


def change(address, actions, *, mode="managed", before=None):
    return {
        "address": address,
        "mode": mode,
        "type": address.partition(".")[0],
        "change": {"actions": actions, "before": before},
    }


def document(*changes, providers=PROVIDERS, **provider_of):
    """What `terraform show -json` prints. `provider_of` has the alias of each name."""
    resources = [
        {"address": f"aws_lambda_function.{name}", "provider_config_key": f"aws.{alias}"}
        for name, alias in provider_of.items()
    ]
    return {
        "resource_changes": list(changes),
        "configuration": {
            "provider_config": providers,
            "root_module": {"resources": resources},
        },
    }


class FakePlanner:
    def __init__(self, name, plan):
        self.name, self._plan = name, plan
        self.files = []

    def plan(self, file, replace=()):
        self.files.append(file)
        if isinstance(self._plan, Exception):
            raise self._plan
        return self._plan


@pytest.mark.parametrize(
    ("actions", "action"),
    [
        (["create"], Action.ADD),
        (["update"], Action.CHANGE),
        (["delete", "create"], Action.REPLACE),
        (["create", "delete"], Action.REPLACE),
        (["delete"], Action.DESTROY),
    ],
)
def test_each_action_of_terraform_has_one_word(actions, action):
    found = changes_in(document(change("aws_lambda_function.a", actions), a="secondary"))

    assert found == (Change("aws_lambda_function.a", action, WEST),)


@pytest.mark.parametrize("actions", [["no-op"], ["read"], ["forget"]])
def test_what_changes_nothing_on_aws_is_no_change(actions):
    assert changes_in(document(change("aws_lambda_function.a", actions))) == ()


def test_data_sources_are_no_changes():
    assert changes_in(document(change("data.aws_region.a", ["create"], mode="data"))) == ()


def test_an_action_that_is_not_known_is_refused():
    planner = FakePlanner("local", document(change("aws_lambda_function.a", ["melt"])))

    with pytest.raises(OpsError, match=r"plan of local cannot be understood.*melt"):
        plan_stack(planner, None)


def test_a_resource_is_counted_in_the_region_of_its_provider():
    plan = StackPlan(
        "local",
        changes_in(
            document(
                change("aws_lambda_function.a", ["create"]),
                change("aws_lambda_function.b", ["update"]),
                change("aws_lambda_function.c[0]", ["update"]),
                change("aws_route53_record.d", ["delete"]),
                a="primary",
                b="secondary",
                c="secondary",
            )
        ),
    )

    assert plan.counts() == {
        EAST: {"add": 1, "change": 0, "replace": 0, "destroy": 0},
        WEST: {"add": 0, "change": 2, "replace": 0, "destroy": 0},
        "global": {"add": 0, "change": 0, "replace": 0, "destroy": 1},
    }


def test_what_is_no_longer_configured_is_counted_in_the_region_of_its_arn():
    arn = f"arn:aws:lambda:{WEST}:123456789012:function:gone"
    gone = change("aws_lambda_function.gone", ["delete"], before={"arn": arn})

    assert changes_in(document(gone))[0].where == WEST


def test_what_is_no_longer_configured_is_counted_in_the_only_region_of_the_stack():
    only = {"aws.secondary": PROVIDERS["aws.secondary"]}
    gone = change("aws_api_gateway_method.gone", ["delete"], before={"id": "x"})

    assert changes_in(document(gone, providers=only))[0].where == WEST
    assert changes_in(document(gone))[0].where == "global"


@pytest.mark.parametrize("action", [Action.REPLACE, Action.DESTROY])
@pytest.mark.parametrize(
    "type",
    [
        "aws_dynamodb_table",
        "aws_dynamodb_table_replica",
        "aws_kms_key",
        "aws_kms_replica_key",
        "aws_route53_zone",
    ],
)
def test_a_release_that_would_destroy_data_is_refused(type, action):
    lost = Change(f"{type}.it", action, EAST)
    harmless = Change("aws_lambda_function.a", Action.DESTROY, EAST)

    with pytest.raises(OpsError, match=rf"destroy data.*\n  {action}: {type}\.it") as refused:
        refuse_to_destroy_data([StackPlan("local-data", (harmless, lost))])

    assert refused.value.exit_code is ExitCode.CHECK_FAILED
    assert "aws_lambda_function" not in str(refused.value)


@pytest.mark.parametrize("action", [Action.ADD, Action.CHANGE])
def test_data_may_be_added_and_changed(action):
    refuse_to_destroy_data([StackPlan("x", (Change("aws_dynamodb_table.it", action, EAST),))])


def test_every_stack_is_planned_in_order_into_its_own_file(tmp_path):
    planners = [FakePlanner(name, document()) for name in ("x-data", "x-west", "x-east")]
    steps = []

    plans = plan_stacks(planners, tmp_path, steps.append)

    assert [plan.stack for plan in plans] == ["x-data", "x-west", "x-east"]
    assert all(plan.is_empty for plan in plans)
    assert [planner.files for planner in planners] == [
        [tmp_path / f"{name}.tfplan"] for name in ("x-data", "x-west", "x-east")
    ]
    assert steps == ["Planning x-data", "Planning x-west", "Planning x-east"]


WAITS = OpsError(
    'Unsupported attribute\nno attribute named "cross-stack-output-aws_kms_key"', next_step=""
)


def test_a_stack_that_reads_what_another_one_will_output_is_planned_later(tmp_path):
    first = FakePlanner("x-data", document(change("aws_lambda_function.a", ["create"])))

    plans = plan_stacks([first, FakePlanner("x-west", WAITS)], tmp_path)

    assert plans[1].waits_for == ("x-data",)
    assert not plans[1].is_empty


def test_an_output_that_nothing_will_add_is_an_error(tmp_path):
    unchanged = FakePlanner("x-data", document())

    with pytest.raises(OpsError, match="Unsupported attribute"):
        plan_stacks([unchanged, FakePlanner("x-west", WAITS)], tmp_path)


def test_another_error_of_a_plan_is_an_error_whatever_changes_before(tmp_path):
    first = FakePlanner("x-data", document(change("aws_lambda_function.a", ["create"])))
    broken = FakePlanner("x-west", OpsError("ExpiredToken", next_step=""))

    with pytest.raises(OpsError, match="ExpiredToken"):
        plan_stacks([first, broken], tmp_path)


def planning_terraform(folder, exit_code):
    """A Terraform that notes how it is called, and whose plans end so."""
    (folder / "terraform").write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {folder}/calls\n'
        'case "$1" in\n'
        f'  plan) : > "${{5#-out=}}"; exit {exit_code} ;;\n'
        "  show) echo '{\"resource_changes\": []}' ;;\n"
        "esac\n"
    )
    (folder / "terraform").chmod(0o755)
    return StackTerraform(folder, {"PATH": f"{folder}:/usr/bin:/bin"})


def test_a_plan_is_readable_by_its_owner_only_and_applied_as_it_is(tmp_path):
    terraform = planning_terraform(tmp_path, exit_code=2)
    file = tmp_path / "x.tfplan"

    assert terraform.plan(file, ["aws_x.y", "aws_x.z"]) == {"resource_changes": []}
    terraform.apply_plan(file, lambda _: None, lambda _: None)

    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "calls").read_text().splitlines() == [
        f"plan -input=false -json -detailed-exitcode -out={file} -lock-timeout=60s "
        "-replace=aws_x.y -replace=aws_x.z",
        f"show -json -no-color {file}",
        f"apply -input=false -json -lock-timeout=60s {file}",
    ]


def test_a_plan_without_changes_is_not_read(tmp_path):
    terraform = planning_terraform(tmp_path, exit_code=0)

    assert plan_stack(terraform, tmp_path / "x.tfplan").is_empty
    assert "show" not in (tmp_path / "calls").read_text()


def test_a_plan_that_fails_is_an_error(tmp_path):
    terraform = planning_terraform(tmp_path, exit_code=1)

    with pytest.raises(OpsError, match="terraform plan failed"):
        terraform.plan(tmp_path / "x.tfplan")


def test_terraform_works_in_a_sandbox_as_its_descriptor_says(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"api_keys": {"local": {"demo-1": "a" * 20}}}))
    keys.chmod(0o600)
    access = replace(sandbox_access(), api_keys_file=keys, synthesized=tmp_path / "out")
    place = Workplace.of(
        "local", Descriptor(outputs(), Network((), "example.com"), "http://127.0.0.1:4566", access)
    )

    assert place.output == tmp_path / "out"
    aws = {name: value for name, value in place.variables.items() if name.startswith("AWS_")}
    assert aws == {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4566",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def test_terraform_works_on_aws_with_the_operators_credentials_and_no_sandboxs(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")

    place = Workplace.of("trial", None)

    assert place.variables["AWS_PROFILE"] == "production"
    assert "AWS_ENDPOINT_URL" not in place.variables
    assert place.output == OUTPUT_FOLDER


RUNS = """
import sys
from pathlib import Path
from ops.deploy.stack_terraform import StackTerraform
folder = Path(sys.argv[1])
terraform = StackTerraform(folder, {"PATH": f"{folder}:/usr/bin:/bin"})
file = folder / "x.tfplan"
terraform.{call}
"""


@pytest.mark.parametrize("call", ["plan(file)", "apply_plan(file, lambda _: None, lambda _: None)"])
def test_terraform_finishes_although_the_command_is_killed(tmp_path, call):
    """A plan, too: it would leave the state locked."""
    (tmp_path / "terraform").write_text(
        "#!/bin/sh\n: > started\nwhile [ ! -e killed ]; do sleep 0.05; done\n"
        "echo one; echo two; : > finished\n"
    )
    (tmp_path / "terraform").chmod(0o755)
    command = [sys.executable, "-c", RUNS.replace("{call}", call), str(tmp_path)]
    with subprocess.Popen(command, cwd=REPOSITORY) as process:
        until_exists(tmp_path / "started")
        process.kill()
    (tmp_path / "killed").touch()

    until_exists(tmp_path / "finished")


def until_exists(file):
    deadline = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < deadline, file
        time.sleep(0.02)


def test_progress_is_read_while_terraform_applies(tmp_path):
    changes = {"operation": "plan", "add": 1, "change": 0, "remove": 0}
    planned = {"@level": "info", "type": "change_summary", "changes": changes}
    hook = {"action": "create", "resource": {"addr": "aws_x.y"}}
    applied = [
        {"@level": "info", "type": type, "hook": hook} for type in ("apply_start", "apply_complete")
    ]
    (tmp_path / "lines").write_text("\n".join(map(json.dumps, [planned, *applied])))
    (tmp_path / "terraform").write_text("#!/bin/sh\ncat lines\n")
    (tmp_path / "terraform").chmod(0o755)
    terraform, seen = StackTerraform(tmp_path, {"PATH": f"{tmp_path}:/usr/bin:/bin"}), []

    terraform.apply_plan(tmp_path / "x.tfplan", seen.append, lambda _: None)

    assert [(each.done, each.total) for each in seen] == [(0, 1), (0, 1), (1, 1)]


def test_what_terraform_says_when_it_fails_is_the_error(tmp_path):
    diagnostic = {"summary": "BadRequestException", "detail": "Invalid model"}
    line = {"@level": "error", "@message": "Error", "type": "diagnostic", "diagnostic": diagnostic}
    (tmp_path / "lines").write_text(json.dumps(line) + "\n")
    (tmp_path / "terraform").write_text("#!/bin/sh\ncat lines\nexit 1\n")
    (tmp_path / "terraform").chmod(0o755)
    terraform = StackTerraform(tmp_path, {"PATH": f"{tmp_path}:/usr/bin:/bin"})

    with pytest.raises(OpsError, match=r"(?s)BadRequestException.*Invalid model"):
        terraform.apply_plan(tmp_path / "x.tfplan", lambda _: None, lambda _: None)
