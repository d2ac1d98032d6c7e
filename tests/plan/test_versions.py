"""Versions of functions behind their alias: who points it, by the real Terraform and provider.

One API of one function, applied to a local AWS that follows the weights of aliases.
"""

import shutil

import pytest
from cdktf import App, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider
from deployment import Deployment

from constructs_lib import (
    Authorization,
    FunctionPackage,
    Logging,
    Operation,
    RegionalApi,
    ReleasedBy,
)
from examples.shop import main as shop

pytestmark = pytest.mark.plan

REGION = "us-east-1"
PING = Operation(name="ping", method="GET", path="/ping", authorization=Authorization.NONE)


class Api(Deployment):
    """An API, whose function has a variable `RELEASE`."""

    def synthesize(self, release, released_by=ReleasedBy.TERRAFORM):
        app = App(outdir=str(self.folder / "out"))
        stack = TerraformStack(app, self.name)
        stack.add_override(
            "terraform.required_providers.aws",
            {"source": "hashicorp/aws", "version": ">= 5.100.0, <= 6.25.0"},
        )
        RegionalApi(
            stack,
            "api",
            provider=AwsProvider(stack, "aws", region=REGION, alias=REGION),
            region=REGION,
            name="orders",
            stage_name="v1",
            operations=[PING],
            package=FunctionPackage(stack, "package", source=shop.FUNCTIONS),
            environment={"RELEASE": release},
            logging=Logging(access_logs=False, tracing=False),
            released_by=released_by,
        )
        app.synth()
        shutil.copytree(self.folder / "out" / "stacks" / self.name, self.stack, dirs_exist_ok=True)

    def alias(self):
        """`(version, weights)` of the alias."""
        found = self.client("lambda").get_alias(FunctionName="orders-ping", Name="live")
        weights = found.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        return found["FunctionVersion"], weights

    def point(self, version, **weights):
        self.client("lambda").update_alias(
            FunctionName="orders-ping", Name="live", FunctionVersion=version,
            RoutingConfig={"AdditionalVersionWeights": weights},
        )  # fmt: skip

    def serving(self):
        """The release that the alias serves."""
        found = self.client("lambda").get_function_configuration(
            FunctionName="orders-ping", Qualifier="live"
        )
        return found["Environment"]["Variables"]["RELEASE"]

    def definition(self):
        """Id of the deployed definition of the API."""
        gateway = self.client("apigateway")
        (api,) = gateway.get_rest_apis()["items"]
        return gateway.get_stage(restApiId=api["id"], stageName="v1")["deploymentId"]


@pytest.fixture(scope="module")
def first(aws, tmp_path_factory):
    """The API, applied once."""
    api = Api(tmp_path_factory.mktemp("versions"), aws, "", name="orders")
    api.synthesize("first")
    assert api.terraform("init", "-input=false").returncode == 0
    api.apply()
    assert (api.alias(), api.serving()) == (("1", {}), "first")
    assert api.changes() is None
    yield api
    api.apply("-destroy")
    assert api.client("lambda").list_functions()["Functions"] == []


def test_one_apply_publishes_a_version_and_gives_it_all_requests(first):
    before, definition = int(first.alias()[0]), first.definition()

    first.synthesize("second")
    first.apply()

    assert (first.alias(), first.serving()) == ((str(before + 1), {}), "second")
    # AND nothing is deployed in API Gateway, which calls the alias
    assert first.definition() == definition
    assert first.changes() is None


def test_what_terraform_releases_has_no_weight_and_is_the_newest(first):
    first.synthesize("third")
    first.apply()
    newest, _ = first.alias()
    older = str(int(newest) - 1)

    first.point(older, **{newest: 0.1})
    assert "routing_config" in first.changes()
    first.apply()

    assert (first.alias(), first.serving()) == ((newest, {}), "third")


def test_no_plan_and_no_apply_ends_what_the_operator_releases(first):
    first.synthesize("fourth", ReleasedBy.OPERATOR)
    before, _ = first.alias()
    first.apply()
    new = str(int(before) + 1)
    # GIVEN a share of the requests for the version that this published
    assert first.alias() == (before, {})
    first.point(before, **{new: 0.1})

    # WHEN somebody plans, and applies another change
    assert first.changes() is None
    first.synthesize("fifth", ReleasedBy.OPERATOR)
    first.apply()

    # THEN the release is as it was, and goes on, or back
    assert first.alias() == (before, {new: 0.1})
    first.point(new)
    assert (first.serving(), first.changes()) == ("fourth", None)
    first.point(before)
    assert first.serving() != "fourth"
    assert first.changes() is None
    # AND Terraform can take over
    first.synthesize("fifth")
    first.apply()
    assert (first.serving(), first.changes()) == ("fifth", None)
