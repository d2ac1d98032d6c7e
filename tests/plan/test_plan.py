"""The real Terraform and the real AWS provider read what is synthesized, on every environment.

The provider asks AWS for the account and looks up a hosted zone while it plans: the local AWS
answers, as the account that the environment allows.
"""

import json
import os
import subprocess

import boto3
import pytest
from cdktf import App
from repository_files import ENVIRONMENTS, REPOSITORY
from synthesis import Synthesized, in_one_stack

import weather_api.stack
from examples.shop import main as shop
from ops.key_values import VARIABLE

pytestmark = pytest.mark.plan

FILES = {path.stem: path for path in ENVIRONMENTS} | {
    "hardened": REPOSITORY / "tests" / "hardened" / "local.toml"
}
STACKS = [
    name if name == "hardened" else pytest.param(name, marks=pytest.mark.exhaustive)
    for name in (*FILES, "orders")
]
KEY_VALUES = {
    name: f"{index:a>20}"
    for index, name in enumerate(
        ("demo-1", "visitor-1", "operator-1", "acme-1", "globex-1", "globex-2", "initech-1")
    )
}


@pytest.fixture(scope="module", params=STACKS)
def stack(request, tmp_path_factory, aws):
    """`(folder, environment, synthesized)` of one stack, initialized."""
    app = App(outdir=str(tmp_path_factory.mktemp(request.param)))
    account = "000000000000"
    if request.param == "orders":
        built = shop.build(app)
    else:
        settings = in_one_stack(FILES[request.param])
        account = next(iter(settings.allowed_account_ids), account)
        built = weather_api.stack.build_stack(app, settings)
    synthesized = Synthesized(built)
    app.synth()
    folder = tmp_path_factory.getbasetemp() / app.outdir / "stacks" / built.node.id
    # The plan needs no state; a bucket, where one is set, is not to be had here.
    (folder / "backend_override.tf.json").write_text('{"terraform": {"backend": {"local": {}}}}')
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        **aws.variables,
        # The local AWS takes a key of twelve digits for the account.
        "AWS_ACCESS_KEY_ID": account,
        VARIABLE: json.dumps({built.node.id: KEY_VALUES}),
        "CHECKPOINT_DISABLE": "1",
    }
    for zone in synthesized.data("aws_route53_zone").values():
        boto3.client(
            "route53", endpoint_url=aws.endpoint_url, aws_access_key_id=account,
            aws_secret_access_key="test", region_name="us-east-1",
        ).create_hosted_zone(Name=zone["name"], CallerReference=request.param)  # fmt: skip
    terraform(folder, environment, "init", "-input=false")
    return folder, environment, synthesized


def terraform(folder, environment, *arguments):
    done = subprocess.run(
        ["terraform", *arguments, "-no-color"],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_terraform_validates_it_without_a_warning(stack):
    folder, environment, _ = stack

    answer = json.loads(terraform(folder, environment, "validate", "-json"))

    assert answer["valid"]
    assert answer["diagnostics"] == []


@pytest.fixture(scope="module")
def plan(stack, tmp_path_factory):
    """What Terraform prints of the stack's plan, and the plan as JSON."""
    folder, environment, _ = stack
    file = tmp_path_factory.mktemp("plan") / "plan"
    printed = terraform(folder, environment, "plan", "-input=false", f"-out={file}")
    return printed, json.loads(terraform(folder, environment, "show", "-json", str(file)))


def test_the_plan_creates_every_resource_and_nothing_else(stack, plan):
    _, _, synthesized = stack
    _, document = plan

    changes = {
        change["address"]: change["change"]["actions"]
        for change in document["resource_changes"]
        if change["mode"] == "managed"
    }
    assert set(changes) == {a for a in synthesized.addresses() if not a.startswith("data.")}
    assert {tuple(actions) for actions in changes.values()} == {("create",)}


def test_the_plan_shows_no_api_key(plan):
    printed, _ = plan

    assert " to add, 0 to change, 0 to destroy" in printed
    assert not [value for value in KEY_VALUES.values() if value in printed]
