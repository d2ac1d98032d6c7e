"""The layout `regional`: every stack with the real Terraform and the real AWS provider.

The commands of docs/how-to/deploy-by-region.md, on a local AWS.
"""

import json
import subprocess
from contextlib import contextmanager

import pytest
from deployment import REGIONS, SHIPPED, Checkout, left_over
from lost_region import HOMES, without
from repository_files import REPOSITORY
from test_runbooks import blocks_of

from constructs_lib.outputs import Outputs

pytestmark = pytest.mark.plan

PAGE = "deploy-by-region.md"
LAYOUT = 'layout = "regional"\n'
HARDENED = (REPOSITORY / "tests" / "hardened" / "local.toml").read_text()
BY_REGION = {"us-east-1": "local-us-east-1", "us-west-2": "local-us-west-2"}
STACKS = ("local-data", "local-us-west-2", "local-us-east-1", "local-routing")
ELSEWHERE = dict.fromkeys(HOMES)
"""Control planes of no Region: they are never lost."""
WITHOUT_QUESTIONS = {
    f"TF_CLI_ARGS_{command}": "-auto-approve -input=false" for command in ("apply", "destroy")
}


def checkout(folder, aws, text, account):
    """An environment in an account of its own."""
    text = text.replace("000000000000", account)
    return Checkout(folder, aws, text, account=account)


def types(deployment, *markers, page=PAGE, **variables):
    """Somebody types a block of the page, where every question is answered with yes."""
    (block,) = [text for text in blocks_of(page) if all(marker in text for marker in markers)]
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", block.replace("trial", "local")],
        cwd=deployment.folder, env=deployment.environment | WITHOUT_QUESTIONS | variables,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def deployed(aws, tmp_path_factory):
    folder = tmp_path_factory.mktemp("regional")
    deployment = checkout(folder, aws, LAYOUT + SHIPPED, "000000000001")
    deployment.synthesize()
    types(deployment, "for part in data us-west-2", " init ", "part apply")
    return deployment


def test_each_stack_is_deployed_by_terraform_itself(deployed):
    assert tuple(deployed.stacks) == STACKS
    # A second plan of each changes nothing, and none has a warning
    assert deployed.changes_by_stack() == {}


def test_the_last_one_has_the_outputs_of_the_whole_environment(deployed):
    printed = json.loads(deployed.runs(STACKS[-1], "output", "-json"))

    outputs = Outputs.from_json({name: each["value"] for name, each in printed.items()})
    assert outputs.environment == "local"
    assert outputs.account_id == deployed.account
    assert outputs.region_urls.keys() == set(REGIONS)
    assert all(arn.startswith("arn:aws:acm:") for arn in outputs.certificate_arns.values())
    assert not any(each["sensitive"] for each in printed.values())


def bursts(deployment):
    """`{region: burst of all methods}` as API Gateway has it."""
    found = {}
    for region in REGIONS:
        client = deployment.client("apigateway", region)
        (api,) = client.get_rest_apis()["items"]
        stage = client.get_stage(restApiId=api["id"], stageName="v1")
        found[region] = stage["methodSettings"]["*/*"]["throttlingBurstLimit"]
    return found


def with_burst(deployment, burst):
    """Synthesize it with another limit."""
    text = deployment.text
    deployment.text = text.replace("[api]\n", f"[api]\nburst = {burst}\n", 1)
    deployment.synthesize()
    deployment.text = text


@pytest.mark.parametrize(("lost", "living", "burst"), [(*REGIONS, 301), (*reversed(REGIONS), 302)])
def test_a_region_is_deployed_while_the_other_one_is_lost(aws, deployed, lost, living, burst):
    before = bursts(deployed)
    with_burst(deployed, burst)

    # WHEN every endpoint of a Region resets connections, and the other one is deployed
    with without(lost, aws.endpoint_url, ELSEWHERE) as (url, refused):
        (block,) = [text for text in blocks_of(PAGE) if "us-west-2 init" in text]
        # AND whoever has the other page in hand types the same
        assert block in blocks_of("regional-outage.md")
        for command in block.splitlines():
            words = command.split()[2:]
            deployed.runs(BY_REGION[living], *words, AWS_ENDPOINT_URL=url, **WITHOUT_QUESTIONS)

    # THEN it is changed, and the lost Region was not even asked
    assert refused == []
    assert bursts(deployed) == {living: burst, lost: before[lost]}


def test_a_region_is_deployed_while_iam_is_lost_too(aws, deployed):
    primary, secondary = REGIONS
    before = bursts(deployed)
    with_burst(deployed, 303)

    with without(primary, aws.endpoint_url) as (url, refused):
        types(deployed, "apply -refresh=false", AWS_ENDPOINT_URL=url)

    assert refused == []
    assert bursts(deployed) == {primary: before[primary], secondary: 303}


def test_the_states_move_to_a_bucket_by_the_documented_steps(deployed):
    region, bucket, page = "us-east-2", f"states-{deployed.account}", "deploy-changes.md"
    deployed.client("s3", region).create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region}
    )
    # GIVEN states that were pulled, and a file with another backend
    deployed.synthesize()
    deployed.deploys()
    types(deployed, "state pull", page=page)
    backend = f'type = "s3"\nbucket = "{bucket}"\nkey = "api/local.tfstate"\nregion = "{region}"'
    deployed.text = deployed.text.replace('type = "local"', backend)
    deployed.synthesize()

    # WHEN Terraform opens the new backends and gets the states, THEN it knows all that is deployed
    planned = types(deployed, "-reconfigure", page=page)

    assert planned.count("No changes.") == len(STACKS) - 1
    # AND nothing is to be changed but the output that says where the state is
    assert planned.count("Changes to Outputs:") == 1
    assert " to add, " not in planned


@contextmanager
def nothing_is_left(deployment):
    """The block destroys all stacks."""
    # None of the operations that are deployed here is for publishers.
    assert {kind for kind, found in left_over(deployment) if not found} <= {"policy"}
    yield
    assert [(kind, found) for kind, found in left_over(deployment) if found] == []
    for name in deployment.stacks:
        assert deployment.runs(name, "state", "list") == ""


def test_destroyed_in_reverse_order_nothing_is_left(deployed):
    with nothing_is_left(deployed):
        types(deployed, "destroy")


@pytest.mark.soak
def test_with_every_option_the_stacks_are_deployed_and_destroyed(aws, tmp_path):
    deployment = checkout(tmp_path, aws, LAYOUT + HARDENED, "000000000002")
    deployment.synthesize()

    types(deployment, "for part in data us-west-2", " init ", "part apply")

    assert deployment.changes_by_stack() == {}
    with nothing_is_left(deployment):
        types(deployment, "destroy")


@pytest.mark.exhaustive
def test_an_environment_that_serves_changes_its_layout_and_nothing_else(aws, tmp_path):
    # GIVEN an environment that is deployed as one stack
    deployment = checkout(tmp_path, aws, HARDENED, "000000000003")
    deployment.synthesize()
    deployment.deploys()
    ids = {region: deployment.client("apigateway", region).get_rest_apis()["items"][0]["id"]
           for region in REGIONS}  # fmt: skip
    types(deployment, "state pull")

    # WHEN its layout is changed as the page says
    deployment.text = LAYOUT + deployment.text
    deployment.synthesize()
    applied = types(deployment, "state push")

    # THEN each apply has changed nothing, and neither would another one
    assert applied.count("0 added, 0 changed, 0 destroyed.") == len(STACKS)
    types(deployment, "-detailed-exitcode")
    for region, id in ids.items():
        (api,) = deployment.client("apigateway", region).get_rest_apis()["items"]
        assert api["id"] == id

    # AND until the old state is deleted, the way back is the old layout
    deployment.text = deployment.text.removeprefix(LAYOUT)
    deployment.synthesize()
    assert deployment.changes_by_stack() == {}

    # AND its one stack can be destroyed
    with nothing_is_left(deployment):
        deployment.runs("local", "destroy", "-auto-approve", "-input=false")
