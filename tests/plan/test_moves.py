"""What a plan refuses, done step by step: the runbooks' own commands, with the real Terraform."""

import subprocess
import sys

import pytest
from deployment import REGIONS, SHIPPED, Deployment, aliases, zone_of
from table import TABLE
from test_runbooks import blocks_of

pytestmark = [pytest.mark.plan, pytest.mark.exhaustive]

NEW = "eu-west-1"
WITHOUT_QUESTIONS = {
    f"TF_CLI_ARGS_{command}": "-auto-approve -input=false" for command in ("apply", "destroy")
}


@pytest.fixture
def trial(aws, tmp_path, request):
    """An environment in an account of its own, applied."""
    names = [each for each in dir(sys.modules[__name__]) if each.startswith("test_")]
    account = f"{names.index(request.function.__name__) + 1:012}"
    text = SHIPPED.replace("000000000000", account)
    deployment = Deployment(tmp_path / "trial", aws, text, account=account)
    deployment.synthesize()
    assert deployment.terraform("init", "-input=false").returncode == 0
    deployment.apply()
    return deployment


class Operator:
    """Somebody who types the commands of a page, one block after the other."""

    def __init__(self, folder, page, marker, **deployments):
        self._folder, self._deployments = folder, deployments
        self._blocks = [text for text in blocks_of(page) if marker in text]

    def runs_the_next_block(self, *replaced):
        text = self._blocks.pop(0)
        for name, deployment in self._deployments.items():
            text = text.replace(f"cdktf.out/stacks/{name}", str(deployment.stack))
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        first = next(iter(self._deployments.values()))
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", text],
            cwd=self._folder, env=first.environment | WITHOUT_QUESTIONS,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def test_the_second_region_is_replaced(trial, tmp_path):
    zone = zone_of(trial)
    before = aliases(trial, zone)
    page = "replace-the-second-region.md"
    operator = Operator(tmp_path, page, "old-region", trial=trial)
    operator.runs_the_next_block()
    trial.synthesize(('"us-east-1", "us-west-2"', f'"us-east-1", "{NEW}"'))
    assert "regions is us-east-1, us-west-2 where" in trial.refusal()

    # WHEN the new Region takes the place of the old one
    applied = operator.runs_the_next_block()

    # THEN the primary is as it was, and nothing is destroyed but what noted the Regions
    assert " 1 destroyed." in applied
    after = aliases(trial, zone)
    assert {key for key in before if before[key] == after[key]} == {
        ("primary", "A"),
        ("primary", "AAAA"),
    }
    assert all(f".{NEW}." in after["secondary", type] for type in ("A", "AAAA"))

    # WHEN the old Region is destroyed
    operator.runs_the_next_block()

    # THEN nothing is left there, and the environment is whole
    old = REGIONS[1]
    assert trial.client("apigateway", old).get_rest_apis()["items"] == []
    assert trial.client("lambda", old).list_functions()["Functions"] == []
    table = trial.client("dynamodb").describe_table(TableName="weather-observations")["Table"]
    assert [each["RegionName"] for each in table["Replicas"]] == [NEW]
    assert trial.changes() is None


def test_a_restored_table_is_put_into_service(trial, tmp_path):
    restored = "weather-observations-restored"
    trial.client("dynamodb").create_table(TableName=restored, **TABLE)
    trial.synthesize(('name = "weather-observations"', f'name = "{restored}"'))
    assert "table.name is weather-observations where" in trial.refusal()
    page = "restore-to-a-point-in-time.md"
    operator = Operator(tmp_path, page, "import aws_dynamodb_table.table", trial=trial)

    applied = operator.runs_the_next_block()

    assert " 1 destroyed." in applied
    functions = trial.client("lambda").list_functions()["Functions"]
    assert {f["Environment"]["Variables"]["TABLE_NAME"] for f in functions} == {restored}
    assert trial.changes() is None


def test_a_domain_moves_to_another_stack(trial, aws, tmp_path):
    zone = zone_of(trial)
    before = aliases(trial, zone)
    text = trial.text.replace('"us-east-1", "us-west-2"', f'"{NEW}", "eu-central-1"')
    following = Deployment(
        tmp_path / "next",
        aws,
        text.replace("create_zone = true", "create_zone = false"),
        name="next",
        account=trial.account,
    )
    following.synthesize()
    operator = Operator(tmp_path, "move-the-domain.md", "terraform", next=following, trial=trial)

    # WHEN the other stack is deployed without the records
    operator.runs_the_next_block()

    # THEN customers are where they were
    assert aliases(trial, zone) == before

    # WHEN it imports the records
    moving = [text for text in operator._blocks if "import.tf.json" in text]
    assert len(moving) == 1
    applied = operator.runs_the_next_block(("Z123", zone))

    # THEN customers are there
    assert "4 imported" in applied
    assert " 0 destroyed." in applied
    after = aliases(trial, zone)
    assert after.keys() == before.keys()
    assert all(f".{NEW}." in after["primary", type] for type in ("A", "AAAA"))

    # WHEN the first stack is destroyed
    operator.runs_the_next_block()
    destroyed = trial.terraform("destroy", "-auto-approve", "-input=false")

    # THEN it has taken nothing with it
    assert destroyed.returncode == 0, destroyed.stderr
    assert aliases(following, zone) == after
    (following.stack / "import.tf.json").unlink()
    assert following.changes() is None
