"""An environment of a few operations, applied to the local AWS by the real Terraform."""

import json
import os
import shutil
import subprocess
from functools import partial

import boto3
from cdktf import App
from repository_files import REPOSITORY

from constructs_lib import Evacuation, FailoverApiStack, Hints, Key, Latch
from constructs_lib.settings import load
from ops.key_values import VARIABLE
from weather_api.operations import (
    EVACUATION_ITEM,
    EVACUATION_OPERATION,
    FAILBACK_ACTIONS,
    FUNCTIONS,
    HEALTH_OPERATION,
    OPERATIONS,
    SERVING_ITEM,
)

REGIONS = ("us-east-1", "us-west-2")
SHIPPED = (REPOSITORY / "environments" / "local.toml").read_text()
DEPLOYED = (HEALTH_OPERATION, EVACUATION_OPERATION, "get_weather")
NAME = "weather.example.com."
"""The customers' name, as Route 53 writes it."""
KEY_VALUES = {
    name: f"{index:a>20}"
    for index, name in enumerate(
        ("demo-1", "visitor-1", "operator-1", "acme-1", "globex-1", "globex-2", "initech-1")
    )
}


class Deployment:
    """One environment, synthesized from the text of its file."""

    def __init__(self, folder, aws, text, *, name="local", account="000000000000"):
        self.folder, self.aws, self.text, self.name = folder, aws, text, name
        self.account = account
        folder.mkdir(exist_ok=True)
        self.stack = folder / "stack"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **aws.variables,
            # The local AWS takes a key of twelve digits for the account.
            "AWS_ACCESS_KEY_ID": account,
            VARIABLE: json.dumps({name: KEY_VALUES}),
            "CHECKPOINT_DISABLE": "1",
        }

    def synthesize(self, *changes, operations=DEPLOYED):
        """Synthesizes the environment with some `(old, new)` replaced in its file."""
        text = self.text
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        file = self.folder / f"{self.name}.toml"
        file.write_text(text)
        app = App(outdir=str(self.folder / "out"))
        built = FailoverApiStack(
            app,
            settings=load(file),
            # Few, because a plan takes as long as there are functions.
            operations=[o for o in OPERATIONS if o.name in operations],
            health_operation=HEALTH_OPERATION,
            evacuation=Evacuation(
                EVACUATION_OPERATION, EVACUATION_ITEM, Latch(FAILBACK_ACTIONS, SERVING_ITEM)
            ),
            functions=FUNCTIONS,
            partition_key=Key("pk"),
            sort_key=Key("sk"),
            hints=Hints(changes="See the table."),
        )
        app.synth()
        self._place(built)

    def _place(self, built):
        shutil.copytree(self.folder / "out" / "stacks" / self.name, self.stack, dirs_exist_ok=True)
        (self.stack / "backend_override.tf.json").write_text(
            '{"terraform": {"backend": {"local": {}}}}'
        )

    def terraform(self, *arguments, folder=None, **variables):
        return subprocess.run(
            ["terraform", *arguments, "-no-color"],
            cwd=folder or self.stack, env=self.environment | variables,
            capture_output=True, text=True,
        )  # fmt: skip

    def apply(self, *arguments):
        done = self.terraform("apply", "-auto-approve", "-input=false", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refusal(self, *arguments, folder=None):
        """What a plan is refused with, in one line."""
        done = self.terraform("plan", "-input=false", *arguments, folder=folder)
        assert done.returncode == 1, done.stdout
        return " ".join(done.stderr.replace("│", " ").split())

    def changes(self):
        """What a plan would change; nothing, if all is as it was deployed."""
        done = self.terraform("plan", "-input=false", "-detailed-exitcode")
        assert done.returncode in (0, 2), done.stderr
        return done.stdout if done.returncode else None

    def client(self, service, region=REGIONS[0]):
        return boto3.client(
            service, region_name=region, endpoint_url=self.aws.endpoint_url,
            aws_access_key_id=self.account, aws_secret_access_key="test",
        )  # fmt: skip

    def address(self, type, part=""):
        """The first resource of a type in the state whose name has a part."""
        listed = self.terraform("state", "list").stdout.split()
        return next(each for each in listed if each.startswith(f"{type}.") and part in each)


class Checkout(Deployment):
    """The same in the folders of a checkout, whatever the layout.

    Attributes:
        stacks: `{name: folder}` in the order in which they are deployed.
    """

    def _place(self, built):
        shutil.copytree(self.folder / "out", self.folder / "cdktf.out", dirs_exist_ok=True)
        self.stacks = {
            stack.node.id: self.folder / "cdktf.out" / "stacks" / stack.node.id
            for stack in built.layout.stacks
        }

    def runs(self, name, *arguments, **variables):
        """What Terraform prints in the folder of a stack."""
        done = self.terraform(*arguments, folder=self.stacks[name], **variables)
        assert done.returncode == 0, f"{name}: {done.stdout[-3000:]}{done.stderr}"
        return done.stdout

    def deploys(self):
        for name in self.stacks:
            self.runs(name, "init", "-input=false")
            self.runs(name, "apply", "-auto-approve", "-input=false")

    def changes_by_stack(self):
        """`{name: what a plan would change}`, without those that change nothing; no warnings."""
        plans = {
            name: self.terraform("plan", "-input=false", "-detailed-exitcode", folder=folder)
            for name, folder in self.stacks.items()
        }
        assert {plan.returncode for plan in plans.values()} <= {0, 2}, plans
        assert not any("Warning:" in plan.stdout for plan in plans.values()), plans
        return {name: plan.stdout for name, plan in plans.items() if plan.returncode}


def left_over(deployed):
    """What is in AWS of a stack that was destroyed: `(kind, found)`.

    Args:
        deployed: What has a `client(service, region)`.
    """
    for region in REGIONS:
        client = partial(deployed.client, region=region)
        yield "table", client("dynamodb").list_tables()["TableNames"]
        yield "api", client("apigateway").get_rest_apis()["items"]
        yield "domain name", client("apigateway").get_domain_names()["items"]
        yield "api key", client("apigateway").get_api_keys()["items"]
        yield "usage plan", client("apigateway").get_usage_plans()["items"]
        yield "function", client("lambda").list_functions()["Functions"]
        yield "log group", client("logs").describe_log_groups()["logGroups"]
        yield "certificate", client("acm").list_certificates()["CertificateSummaryList"]
    iam, route53 = (deployed.client(service, REGIONS[0]) for service in ("iam", "route53"))
    yield "role", iam.list_roles()["Roles"]
    yield "policy", iam.list_policies(Scope="Local")["Policies"]
    yield "zone", route53.list_hosted_zones()["HostedZones"]
    yield "health check", route53.list_health_checks()["HealthChecks"]


def aliases(deployment, zone, name=NAME):
    """`{(role, type): host name}` that a name resolves to; by default, that of the customers."""
    records = deployment.client("route53").list_resource_record_sets(HostedZoneId=zone)
    return {
        (record["SetIdentifier"], record["Type"]): record["AliasTarget"]["DNSName"]
        for record in records["ResourceRecordSets"]
        if record["Name"] == name and "AliasTarget" in record
    }


def zone_of(deployment):
    """Id of the account's only zone."""
    (zone,) = deployment.client("route53").list_hosted_zones()["HostedZones"]
    return zone["Id"].rpartition("/")[2]
